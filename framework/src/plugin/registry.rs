//! The plugins there are: a list written by hand, so that reading it is enough to know.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Awaits, Context, DynProcessor, DynSink, DynSource, FramingSpec, HoldLimit, Placement, Processor, Sink, Source,
    StoreUse, framings,
};
use crate::config::{Catalog, FramingConfig, PluginInfo, Role};
use crate::error::{Error, Result};
use crate::framing::{DynFraming, Framing};

type Build<T> = Arc<dyn Fn(&Value, &Context) -> Result<Box<T>> + Send + Sync>;
type BuildFraming = Arc<dyn Fn(&Value) -> Result<Box<dyn DynFraming>> + Send + Sync>;

/// What is known about a plugin besides how to build it.
#[derive(Debug, Clone)]
pub struct About {
    /// What the config checker needs: schema, outputs, addresses, paths.
    pub info: PluginInfo,
    /// A table that works.
    pub sample: &'static str,
    /// Where it runs.
    pub placement: Placement,
    /// The declared outputs, for processors.
    pub outputs: &'static [&'static str],
}

/// A plugin with its settings, to be built on the thread where it will run.
pub struct Blueprint<T: ?Sized> {
    build: Build<T>,
    settings: Value,
    /// What is known about it.
    pub about: About,
}

impl<T: ?Sized> Clone for Blueprint<T> {
    fn clone(&self) -> Self {
        Self {
            build: self.build.clone(),
            settings: self.settings.clone(),
            about: self.about.clone(),
        }
    }
}

impl<T: ?Sized> Blueprint<T> {
    /// Builds one instance.
    ///
    /// # Errors
    /// What the plugin's `new` returns.
    pub fn build(&self, context: &Context) -> Result<Box<T>> {
        (self.build)(&self.settings, context)
    }
}

struct Entry<T: ?Sized> {
    about: About,
    build: Build<T>,
}

/// Sources, processors, sinks and framings by name.
#[derive(Default)]
pub struct Registry {
    sources: BTreeMap<&'static str, Entry<dyn DynSource>>,
    processors: BTreeMap<&'static str, Entry<dyn DynProcessor>>,
    sinks: BTreeMap<&'static str, Entry<dyn DynSink>>,
    framings: BTreeMap<&'static str, (PluginInfo, BuildFraming)>,
}

impl Registry {
    /// Adds a source. A later one of the same name replaces it.
    pub fn source<T: Source>(&mut self) -> &mut Self {
        let mut about = about::<T::Config>(T::NAME, Role::Source, T::SAMPLE, T::PLACEMENT);
        about.info.listens = owned(T::LISTENS);
        about.info.paths = owned(T::PATHS);
        about.info.will_not_wait = T::WILL_NOT_WAIT;
        about.info.feeds_store = T::FEEDS_STORE;
        let build: Build<dyn DynSource> =
            Arc::new(|settings, context| Ok(Box::new(T::new(parse(T::NAME, settings)?, context)?)));
        self.sources.insert(T::NAME, Entry { about, build });
        self
    }

    /// Adds a processor.
    pub fn processor<T: Processor>(&mut self) -> &mut Self {
        let mut about = about::<T::Config>(T::NAME, Role::Processor, T::SAMPLE, T::PLACEMENT);
        about.info.outputs = owned(T::OUTPUTS);
        about.outputs = T::OUTPUTS;
        about.info.alone = T::ALONE.map(str::to_owned);
        let build: Build<dyn DynProcessor> =
            Arc::new(|settings, context| Ok(Box::new(T::new(parse(T::NAME, settings)?, context)?)));
        self.processors.insert(T::NAME, Entry { about, build });
        self
    }

    /// Adds a sink.
    pub fn sink<T: Sink>(&mut self) -> &mut Self {
        let mut about = about::<T::Config>(T::NAME, Role::Sink, T::SAMPLE, T::PLACEMENT);
        about.info.listens = owned(T::LISTENS);
        about.info.paths = owned(T::PATHS);
        let build: Build<dyn DynSink> =
            Arc::new(|settings, context| Ok(Box::new(T::new(parse(T::NAME, settings)?, context)?)));
        self.sinks.insert(T::NAME, Entry { about, build });
        self
    }

    /// Adds a framing of one's own.
    pub fn framing<T: Framing>(&mut self) -> &mut Self {
        let about = about::<T::Config>(T::NAME, Role::Source, "", Placement::Data);
        let build: BuildFraming = Arc::new(|settings| Ok(Box::new(T::new(parse(T::NAME, settings)?)?)));
        self.framings.insert(T::NAME, (about.info, build));
        self
    }

    /// The source of that name with these settings.
    pub fn source_blueprint(&self, name: &str, settings: &Value) -> Option<Blueprint<dyn DynSource>> {
        self.sources.get(name).map(|entry| entry.blueprint(settings))
    }

    /// The processor of that name with these settings.
    pub fn processor_blueprint(&self, name: &str, settings: &Value) -> Option<Blueprint<dyn DynProcessor>> {
        self.processors.get(name).map(|entry| entry.blueprint(settings))
    }

    /// How much the processor of that name holds back with these settings; none when it never does, or does not take them.
    pub fn hold_limit(&self, name: &str, settings: &Value) -> Option<HoldLimit> {
        let plan = self.processor_blueprint(name, settings)?;
        let built = crate::actors::build(&plan, &Context::new("check", name, ""));
        built.ok().and_then(|plugin| plugin.holds())
    }

    /// The same with the settings of its sample.
    pub fn sample_hold_limit(&self, name: &str) -> Option<HoldLimit> {
        let sample = self.processors.get(name)?.about.sample;
        self.hold_limit(name, &crate::testing::sample_settings(Role::Processor, sample).ok()?)
    }

    /// What is known about the framing plugin of that name.
    pub fn framing_about(&self, name: &str) -> Option<&PluginInfo> {
        self.framings.get(name).map(|(info, _)| info)
    }

    /// The sink of that name with these settings.
    pub fn sink_blueprint(&self, name: &str, settings: &Value) -> Option<Blueprint<dyn DynSink>> {
        self.sinks.get(name).map(|entry| entry.blueprint(settings))
    }

    /// How to build the framing of a checked config.
    ///
    /// # Errors
    /// When it names a framing that is not registered.
    pub fn framing_spec(&self, config: &FramingConfig) -> Result<FramingSpec> {
        let limits = framings::limits(config);
        let FramingConfig::Custom { name, settings, .. } = config else {
            let config = config.clone();
            return Ok(FramingSpec::new(limits, move || framings::built_in(&config)));
        };
        let (_, build) = (self.framings.get(name.as_str())).ok_or_else(|| {
            Error::fatal(format!(
                "no framing is called {name:?}; register it, or correct the config"
            ))
        })?;
        let (build, settings) = (build.clone(), settings.clone());
        Ok(FramingSpec::new(limits, move || build(&settings)))
    }

    /// Everything known about the plugins of a role, in the order of their names.
    pub fn all(&self, role: Role) -> Vec<&About> {
        match role {
            Role::Source => self.sources.values().map(|entry| &entry.about).collect(),
            Role::Processor => self.processors.values().map(|entry| &entry.about).collect(),
            Role::Sink => self.sinks.values().map(|entry| &entry.about).collect(),
            Role::Spill => Vec::new(),
        }
    }
}

impl<T: ?Sized> Entry<T> {
    fn blueprint(&self, settings: &Value) -> Blueprint<T> {
        Blueprint {
            build: self.build.clone(),
            settings: settings.clone(),
            about: self.about.clone(),
        }
    }
}

impl Catalog for Registry {
    fn plugin(&self, role: Role, name: &str) -> Option<PluginInfo> {
        let found = self.all(role).into_iter().find(|about| about.info.name == name);
        found.map(|about| about.info.clone())
    }

    fn names(&self, role: Role) -> Vec<String> {
        self.all(role)
            .into_iter()
            .map(|about| about.info.name.clone())
            .collect()
    }

    fn framing(&self, name: &str) -> Option<PluginInfo> {
        self.framings.get(name).map(|(info, _)| info.clone())
    }

    fn framing_names(&self) -> Vec<String> {
        self.framings.keys().map(|name| (*name).to_owned()).collect()
    }

    fn holds(&self, name: &str, settings: &Value) -> bool {
        self.hold_limit(name, settings).is_some()
    }

    fn store_use(&self, name: &str, settings: &Value) -> StoreUse {
        let context = Context::new("check", name, "");
        let built = self.sink_blueprint(name, settings).map(|plan| plan.build(&context));
        built
            .and_then(Result::ok)
            .map_or_else(StoreUse::default, |sink| sink.store_use())
    }

    fn open_files(&self, role: Role, name: &str, settings: &Value) -> u64 {
        let context = Context::new("check", name, "");
        let files = match role {
            Role::Source => self
                .source_blueprint(name, settings)
                .and_then(|plan| Some(plan.build(&context).ok()?.open_files())),
            Role::Sink => self
                .sink_blueprint(name, settings)
                .and_then(|plan| Some(plan.build(&context).ok()?.open_files())),
            Role::Processor | Role::Spill => None,
        };
        files.unwrap_or(0)
    }

    fn awaits(&self, name: &str, settings: &Value) -> Awaits {
        let context = Context::new("check", name, "");
        let built = self.source_blueprint(name, settings).map(|plan| plan.build(&context));
        built
            .and_then(Result::ok)
            .map_or_else(Awaits::default, |source| source.awaits())
    }

    fn accepts(&self, role: Role, name: &str, settings: &Value) -> Result<(), String> {
        let context = Context::new("check", name, "");
        let built = match role {
            Role::Source => self
                .source_blueprint(name, settings)
                .map(|plan| plan.build(&context).map(drop)),
            Role::Processor => self
                .processor_blueprint(name, settings)
                .map(|plan| plan.build(&context).map(drop)),
            Role::Sink => self
                .sink_blueprint(name, settings)
                .map(|plan| plan.build(&context).map(drop)),
            Role::Spill => None,
        };
        built.unwrap_or(Ok(())).map_err(|error| error.to_string())
    }
}

fn about<C: schemars::JsonSchema>(name: &str, role: Role, sample: &'static str, placement: Placement) -> About {
    About {
        info: PluginInfo {
            name: name.to_owned(),
            role,
            schema: schemars::schema_for!(C).to_value(),
            outputs: Vec::new(),
            listens: Vec::new(),
            paths: Vec::new(),
            will_not_wait: false,
            feeds_store: false,
            alone: None,
        },
        sample,
        placement,
        outputs: &[],
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn parse<C: DeserializeOwned>(name: &str, settings: &Value) -> Result<C> {
    serde_json::from_value(settings.clone())
        .map_err(|error| Error::fatal(format!("the settings of `{name}` do not fit it: {error}")))
}
