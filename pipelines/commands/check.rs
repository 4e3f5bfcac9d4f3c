//! `aqueduct check`: every mistake at once, without opening anything.

use crate::say::tell;
use std::process::ExitCode;

use clap::Args;

use crate::cli::Files;
use crate::commands::load;
use crate::framework::plugin::Registry;

/// Check pipeline files
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    files: Files,
}

impl Check {
    pub(crate) fn run(&self, registry: &Registry) -> ExitCode {
        let loaded = match load(&self.files, registry) {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        for pipeline in &loaded.pipelines {
            let (actors, edges) = (pipeline.actors.len(), pipeline.edges.len());
            tell!(
                "{}: pipeline `{}` is fine: {actors} actors, {edges} edges",
                pipeline.file.display(),
                pipeline.name
            );
        }
        ExitCode::SUCCESS
    }
}
