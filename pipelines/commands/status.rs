//! `aqueduct status`: asks running pipelines over their admin sockets.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::admin::Ask;
use crate::commands::FAILED;
use crate::framework::pipeline::PipelineStatus;
use crate::{admin, words};

/// How long a pipeline may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ask running pipelines for their state
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The pipeline's name; all of this user's without it
    pipeline: Option<String>,
    /// Print JSON instead of words
    #[arg(long)]
    json: bool,
    /// The admin socket, where the config sets another than the usual one
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Status {
    pub(crate) fn run(&self) -> ExitCode {
        let sockets = admin::sockets(self.socket.as_deref(), self.pipeline.as_deref());
        if sockets.is_empty() {
            eprintln!(
                "no pipeline of this user is running (looked in {})",
                admin::folder().display()
            );
            return ExitCode::from(FAILED);
        }
        let mut code = ExitCode::SUCCESS;
        for socket in sockets {
            match admin::ask(&socket, Ask::Status, PATIENCE) {
                Ok(text) if self.json => println!("{text}"),
                Ok(text) => match serde_json::from_str::<PipelineStatus>(&text) {
                    Ok(status) => print!("{}", words::status(&status)),
                    Err(error) => {
                        eprintln!(
                            "{}: the answer is not a status ({error}); is it another version?",
                            socket.display()
                        );
                        code = ExitCode::from(FAILED);
                    }
                },
                Err(error) => {
                    eprintln!(
                        "{}: {error}; the pipeline is not running, or runs as another user",
                        socket.display()
                    );
                    code = ExitCode::from(FAILED);
                }
            }
        }
        code
    }
}
