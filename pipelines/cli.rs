//! The command line: one subcommand per file in `commands/`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::commands;
use crate::framework::config::LoadOptions;
use crate::framework::plugin::Registry;
use crate::say::{say, tell};

/// Drains sources that will not wait, keeps the overflow on disk in order, and delivers it later by itself.
#[derive(Debug, Parser)]
#[command(name = "aqueduct", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0  ended in order; every frame was delivered, rejected to where the flow says, or is safe in a store
  1  the pipeline failed, or a command could not write what it prints
  2  the command line or a config is wrong; nothing was opened or created
  3  frames were lost
  4  ended by force: a second signal, or the shutdown deadline";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run pipelines until SIGTERM, SIGINT, SIGQUIT or SIGHUP; a second signal forces the end
    Run(commands::run::Run),
    /// Check pipeline files and tell every mistake at once; opens nothing
    Check(commands::check::Check),
    /// Draw a pipeline as text, DOT or Mermaid
    Graph(commands::graph::Graph),
    /// List the plugins, or tell everything about one
    Plugins(commands::plugins::Plugins),
    /// Write a plugin or a pipeline to begin with
    New(commands::new::New),
    /// Ask a running pipeline what flows, what waits and why
    Status(commands::status::Status),
    /// Find one message in running pipelines: which actor has it, what it does with it, since when, and the trace's id
    Trace(commands::trace::Trace),
    /// Say why connections ended: the last reports of running and ended pipelines
    Explain(commands::explain::Explain),
    /// Look into a spill store's directory, or mend it by hand: what waits, what is damaged, frames out of it or through a pipeline
    Spill(commands::spill::Spill),
    /// Play the story: a slow reader, a repaired one, and a pipeline, against a server that will not wait
    Demo(commands::demo::Demo),
}

/// Pipeline files and what is laid over them.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// Pipeline files (TOML, YAML or JSON); one file is one pipeline
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Lay this file over the pipeline's; with several pipelines `PIPELINE:FILE`
    #[arg(long, value_name = "FILE")]
    overlay: Vec<String>,
    /// Set one key, as in `sinks.network.address="127.0.0.1:9000"`; with several pipelines `PIPELINE:key=value`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Take [telemetry], [log], [admin] and [shutdown] from this file
    #[arg(long, value_name = "FILE")]
    process: Option<PathBuf>,
}

impl Files {
    /// Everything but the files, with the environment's variables.
    pub(crate) fn options(&self) -> LoadOptions {
        LoadOptions {
            overlays: self.overlay.clone(),
            // Variables that are not text cannot be config values, so leaving them out loses nothing.
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            settings: self.set.clone(),
            process: self.process.clone(),
            // What `run` raises the limit to.
            open_files: Some(aqueduct_sys::process::open_file_limit().1),
        }
    }
}

pub(crate) fn run(registry: Registry) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => return answer(&told),
    };
    match cli.command {
        Command::Run(run) => run.run(&registry),
        Command::Check(check) => check.run(&registry),
        Command::Graph(graph) => graph.run(&registry),
        Command::Plugins(plugins) => plugins.run(&registry),
        Command::New(new) => new.run(&registry),
        Command::Status(status) => status.run(),
        Command::Trace(trace) => trace.run(),
        Command::Explain(explain) => explain.run(),
        Command::Spill(spill) => spill.run(&registry),
        Command::Demo(demo) => demo.run(&registry),
    }
}

/// Help and version, or what is wrong with the command line. clap would not say that it cannot be written.
fn answer(told: &clap::Error) -> ExitCode {
    if told.use_stderr() {
        say!("{}", told.render().to_string().trim_end());
    } else {
        tell!("{}", told.render().to_string().trim_end());
    }
    ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(commands::WRONG))
}
