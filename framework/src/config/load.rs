//! From files and options to checked pipelines.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use schemars::schema_for;
use serde_json::{Value, json};

use super::actors::{self, Actor, is_name, resolve};
use super::catalog::Catalog;
use super::claims::{self, Claim};
use super::descriptors::{self, Need};
use super::framing::FramingConfig;
use super::mistake::Mistake;
use super::neighbours;
use super::pipeline::{PipelineConfig, Role};
use super::process::ProcessConfig;
use super::report::{Report, join};
use super::routes::{Plan, Sheet};
use super::schema;
use super::{ActorConfig, LoadOptions, Loaded, advice, flow, graph, levels, tree};
use crate::plugin::StoreUse;

/// The tables of [`ProcessConfig`].
pub(super) const PROCESS_TABLES: [&str; 4] = ["telemetry", "log", "admin", "shutdown"];

/// Reads and checks pipeline files. Relative paths in them are resolved against their own folders. Besides the
/// files named here, nothing is opened, created, or looked up.
///
/// # Errors
/// Every mistake there is, in the order of the files and of their lines; those between pipelines last.
pub fn load(files: &[PathBuf], options: &LoadOptions, catalog: &dyn Catalog) -> Result<Loaded, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let plan = Plan::new(files, options, &mut mistakes);
    let variables: HashMap<String, String> = options.variables.iter().cloned().collect();
    let mut loaded = Loaded {
        pipelines: Vec::new(),
        process: ProcessConfig::default(),
        warnings: Vec::new(),
    };
    let mut claims: Vec<Claim> = Vec::new();
    let mut needs: Vec<Need> = Vec::new();
    let alone = plan.process.is_none();
    for sheet in plan.pipelines {
        let mut part = Part::new(&sheet, catalog);
        part.tree = tree::build(sheet.layers, &variables, &mut part.report);
        let process = part.pipeline_file(alone, &variables);
        let pipeline = part.pipeline();
        claims.extend(claims::of(&part.name(), &part.actors, &part.report));
        needs.extend(
            descriptors::of(&part.actors, catalog, &part.report)
                .into_iter()
                .filter(|_| pipeline.is_some()),
        );
        loaded.warnings.extend(part.warnings);
        loaded.pipelines.extend(pipeline);
        loaded.process = process.unwrap_or(loaded.process);
        mistakes.extend(part.report.finish());
    }
    if let Some(sheet) = plan.process {
        let mut part = Part::new(&sheet, catalog);
        part.tree = tree::build(sheet.layers, &variables, &mut part.report);
        let own = schema_for!(ProcessConfig).to_value();
        schema::check(&mut part.tree, &own, &[], "", &mut part.report);
        loaded.process = part.process(&variables).unwrap_or_default();
        loaded.warnings.extend(part.warnings);
        mistakes.extend(part.report.finish());
    }
    mistakes.extend(claims::conflicts(&claims));
    let limit = options.open_files;
    loaded
        .warnings
        .extend(limit.and_then(|limit| descriptors::warning(&needs, limit)));
    if mistakes.is_empty() { Ok(loaded) } else { Err(mistakes) }
}

/// One file under work, with what is laid over it.
struct Part<'a> {
    path: PathBuf,
    folder: PathBuf,
    stem: String,
    catalog: &'a dyn Catalog,
    report: Report,
    tree: Value,
    actors: Vec<Actor>,
    warnings: Vec<Mistake>,
}

impl<'a> Part<'a> {
    fn new(sheet: &Sheet, catalog: &'a dyn Catalog) -> Self {
        let absolute = std::path::absolute(&sheet.path).unwrap_or_else(|_| sheet.path.clone());
        Self {
            path: sheet.path.clone(),
            folder: absolute.parent().unwrap_or(Path::new("/")).to_owned(),
            stem: sheet
                .path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            catalog,
            report: Report::new(sheet.path.display().to_string()),
            tree: Value::Null,
            actors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Checks everything but the tables of actors; gives the process-wide settings when they may stand here.
    fn pipeline_file(&mut self, alone: bool, variables: &HashMap<String, String>) -> Option<ProcessConfig> {
        schema::check(&mut self.tree, &file_schema(), &[], "", &mut self.report);
        if alone {
            return self.process(variables);
        }
        for name in PROCESS_TABLES.iter().filter(|name| self.tree.get(**name).is_some()) {
            self.report
                .add(name, "is for the whole process")
                .expected("it in the file of a single pipeline, or in the one given by --process");
        }
        None
    }

    /// The process-wide tables, once they have been checked.
    fn process(&mut self, variables: &HashMap<String, String>) -> Option<ProcessConfig> {
        let tables = PROCESS_TABLES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.tree.get(name)?.clone())));
        let mut process: ProcessConfig = serde_json::from_value(Value::Object(tables.collect())).ok()?;
        levels::check(&process.log.level, &mut self.report);
        for (key, path) in [("socket", &process.admin.socket), ("reports", &process.admin.reports)] {
            if let Some(path) = path {
                actors::check_path(&join("admin", key), path, &mut self.report);
            }
        }
        process.admin.socket = process.admin.socket.map(|socket| resolve(&self.folder, &socket));
        process.admin.reports = process.admin.reports.map(|reports| resolve(&self.folder, &reports));
        self.warnings.extend(advice::of_socket(&process.admin, &self.report));
        if let Err(refused) = process.telemetry.collector(|name| variables.get(name).cloned()) {
            self.report.mistakes.push(refused.mistake(&self.report));
        }
        Some(process)
    }

    fn name(&self) -> String {
        self.tree
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or(&self.stem)
            .to_owned()
    }

    /// The pipeline, when there is no mistake in it.
    fn pipeline(&mut self) -> Option<PipelineConfig> {
        let name = self
            .tree
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or(&self.stem)
            .to_owned();
        if !is_name(&name, "_-") {
            let expected = "`name` of small letters, digits, `_` and `-`, a letter first";
            self.report
                .add("name", format!("`{name}` is not a name for a pipeline"))
                .expected(expected);
        }
        self.actors = actors::read(&mut self.tree, &self.folder, self.catalog, &mut self.report);
        let flow_value = self.tree.get("flow").cloned().unwrap_or_default();
        let edges = flow::read(&flow_value, &mut self.report);
        if !self.report.clean("flow") {
            return None;
        }
        let checked = self.report.mistakes.len();
        let edges = graph::check(&self.actors, edges, &mut self.report);
        self.forget_the_misplaced(checked);
        neighbours::check(&self.actors, &edges, self.catalog, &mut self.report);
        self.framings(&edges);
        if !self.report.mistakes.is_empty() {
            return None;
        }
        self.warnings.extend(advice::of(&self.actors, &edges, &self.report));
        let edges: Vec<_> = edges.into_iter().map(|edge| edge.edge).collect();
        let place = |name: &str| edges.iter().position(|edge| edge.from == name || edge.to == name);
        let mut actors: Vec<_> = self.actors.iter().filter_map(|actor| actor.config.clone()).collect();
        actors.sort_by_key(|actor| place(&actor.name).map(|at| (at, edges[at].from != actor.name)));
        Some(PipelineConfig {
            name,
            file: self.path.clone(),
            folder: self.folder.clone(),
            actors,
            edges,
        })
    }

    /// Actors in a table of a wrong name, such as `[sink.out]`, are told by that name already: that the flow does not find them follows from it.
    fn forget_the_misplaced(&mut self, checked: usize) {
        let known = |name: &str| Role::ALL.iter().any(|role| role.table() == name);
        let wrong = self
            .tree
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| !known(name));
        let misplaced: Vec<String> = wrong
            .filter_map(|(_, table)| table.as_object())
            .flat_map(|table| table.keys())
            .map(|name| format!("no actor is called `{name}`"))
            .collect();
        if misplaced.is_empty() {
            return;
        }
        let mut index = 0;
        self.report.mistakes.retain(|mistake| {
            index += 1;
            index <= checked || !misplaced.contains(&mistake.message)
        });
    }

    /// Gives sources their default framing, and sinks that of their sources.
    fn framings(&mut self, edges: &[flow::Edge]) {
        for actor in self.actors.iter_mut().filter(|actor| actor.role == Role::Source) {
            if let Some(config) = &mut actor.config {
                config.framing.get_or_insert_with(FramingConfig::default);
            }
        }
        for index in 0..self.actors.len() {
            let sink = &self.actors[index];
            if sink.role != Role::Sink || sink.config.as_ref().is_none_or(|config| config.framing.is_some()) {
                continue;
            }
            let counts =
                |config: &ActorConfig| self.catalog.store_use(&config.plugin, &config.settings) == StoreUse::Positions;
            if sink.config.as_ref().is_some_and(counts) {
                // It passes batches on as they are.
                continue;
            }
            let sources = graph::sources(&self.actors, edges, &sink.name);
            let mut framings: Vec<FramingConfig> = sources
                .iter()
                .filter_map(|source| source.config.as_ref()?.framing.clone())
                .collect();
            framings.dedup();
            if framings.len() > 1 {
                let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
                let message = format!(
                    "its sources frame differently ({}), so it cannot inherit their framing",
                    names.join(", ")
                );
                self.report
                    .add(&sink.key.clone(), message)
                    .expected("`framing` in this table");
            } else if let Some(config) = &mut self.actors[index].config {
                config.framing = framings.pop();
            }
        }
    }
}

/// The schema of a pipeline file; the tables of actors are checked on their own.
fn file_schema() -> Value {
    let mut schema = schema_for!(ProcessConfig).to_value();
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.insert("name".into(), json!({ "type": "string" }));
        properties.insert(
            "flow".into(),
            json!({ "type": ["string", "array"], "items": { "type": "string" } }),
        );
        let tables = json!({ "type": "object", "additionalProperties": { "type": "object" } });
        properties.extend(Role::ALL.map(|role| (role.table().to_owned(), tables.clone())));
    }
    schema["required"] = json!(["flow"]);
    schema
}
