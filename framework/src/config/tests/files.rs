//! Config files of the tests, and ways to load them.

use std::path::PathBuf;

use tempfile::TempDir;

use super::catalog::Fake;
use crate::config::{HostConfig, LoadOptions, Loaded, Mistake, PipelineConfig, SpillConfig, load};

pub(super) const FEED: &str = r#"
flow = ["c_server -> drain -> process -> network", "process.rejected -> dead_letters"]
[sources.c_server]
type = "tcp_client"
address = "127.0.0.1:8000"
framing = { type = "delimited", delimiter = "\u0000", max_frame_bytes = "64 KiB", on_oversize = "close" }
[spills.drain]
directory = "data/feed"
max_bytes = "1GB"
when_full = "drop_oldest"
persist = "always"
[processors.process]
type = "filter"
contains = "ERROR"
workers = 4
[sinks.network]
type = "tcp_client"
address = "127.0.0.1:9000"
retry = { max = "5s" }
[sinks.dead_letters]
type = "file"
path = "../dead.txt"
"#;

/// A folder of config files.
pub(super) struct Files(pub(super) TempDir);

impl Files {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let files_in = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(files_in.path(name), text).unwrap();
        }
        files_in
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn load(&self, names: &[&str], options: &LoadOptions) -> Result<Loaded, Vec<Mistake>> {
        let files: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        load(&files, options, &Fake)
    }

    pub(super) fn feed(&self, options: &LoadOptions) -> PipelineConfig {
        self.load(&["feed.toml"], options).unwrap().pipelines.remove(0)
    }
}

pub(super) fn feed(options: &LoadOptions) -> PipelineConfig {
    Files::new(&[("feed.toml", FEED)]).feed(options)
}

pub(super) fn variables(pairs: &[(&str, &str)]) -> LoadOptions {
    let variables = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    LoadOptions {
        variables,
        ..LoadOptions::default()
    }
}

pub(super) fn settings(texts: &[&str]) -> LoadOptions {
    LoadOptions {
        settings: texts.iter().map(|text| (*text).to_owned()).collect(),
        ..LoadOptions::default()
    }
}

pub(super) fn address(pipeline: &PipelineConfig) -> &str {
    pipeline.actor("network").unwrap().settings["address"].as_str().unwrap()
}

pub(super) fn spill(pipeline: &PipelineConfig) -> SpillConfig {
    match &pipeline.actor("drain").unwrap().host {
        HostConfig::Spill(spill) => spill.clone(),
        other => panic!("not a spill store: {other:?}"),
    }
}
