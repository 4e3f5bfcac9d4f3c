//! `aqueduct new pipeline`: a commented config.

use std::net::TcpListener;
use std::path::Path;

use clap::Args;

use super::{Mistake, commands, write};
use crate::commands::FAILED;

const PIPELINE: &str = include_str!("templates/pipeline.toml");

/// Write a commented pipeline file
#[derive(Debug, Args)]
pub(super) struct NewPipeline {
    /// The pipeline's name: small letters, digits, `_` and `-`; the file is NAME.toml
    #[arg(default_value = "pipeline")]
    name: String,
}

impl NewPipeline {
    /// Writes the file; says what to do with it.
    pub(super) fn write(&self) -> Result<String, Mistake> {
        let name = &self.name;
        let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
        if !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.chars().all(fits) {
            return Err(Mistake::wrong(format!(
                "`{name}` cannot be the name of a pipeline: give it small letters, digits, `_` and `-`, a letter first; the file is written to the folder you are in"
            )));
        }
        let file = format!("{name}.toml");
        if Path::new(&file).exists() {
            return Err(Mistake::wrong(format!(
                "there is a file {file} already, and nothing is overwritten; give the pipeline another name"
            )));
        }
        let [source_port, sink_port] = free_ports()?;
        let text = PIPELINE
            .replace("my_pipeline", name)
            .replace("source_port", &source_port)
            .replace("sink_port", &sink_port);
        write(Path::new(&file), &text)?;
        // As it was called now, which need not be by a name that a shell finds.
        let program = std::env::args().next().unwrap_or_else(|| "aqueduct".to_owned());
        let next = [
            format!("{program} check {file}"),
            format!("{program} run {file}"),
            format!("echo 'hello ERROR' > /dev/tcp/127.0.0.1/{source_port}     # from a second terminal, in bash"),
            format!("cat < /dev/tcp/127.0.0.1/{sink_port}"),
        ];
        Ok(format!(
            "Wrote the pipeline `{name}` to {file}. It listens on {source_port} and {sink_port}, which are free now.\n{}",
            commands(&next)
        ))
    }
}

/// Two ports that nobody listens on.
fn free_ports() -> Result<[String; 2], Mistake> {
    // Both are held before one is let go, so that they differ.
    let pick = || TcpListener::bind("127.0.0.1:0");
    let ports = || -> std::io::Result<_> {
        let held = [pick()?, pick()?];
        Ok([
            held[0].local_addr()?.port().to_string(),
            held[1].local_addr()?.port().to_string(),
        ])
    };
    ports().map_err(|error| Mistake {
        code: FAILED,
        text: format!("there is no free port on 127.0.0.1: {error}"),
    })
}
