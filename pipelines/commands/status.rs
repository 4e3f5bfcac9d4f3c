//! `aqueduct status`: asks running pipelines over their admin sockets.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::admin::Ask;
use crate::commands::FAILED;
use crate::framework::pipeline::PipelineStatus;
use crate::say::{say, show, tell};
use crate::{admin, terminal, words};

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
        if let (None, Err(error)) = (&self.socket, admin::trusted()) {
            say!("{error}; nothing in it is believed, see XDG_RUNTIME_DIR and --socket");
            return ExitCode::from(FAILED);
        }
        let sockets = admin::sockets(self.socket.as_deref(), self.pipeline.as_deref());
        if sockets.is_empty() {
            say!(
                "no pipeline of this user is running (looked in {})",
                admin::folder().display()
            );
            return ExitCode::from(FAILED);
        }
        let mut code = ExitCode::SUCCESS;
        for socket in sockets {
            if let Err(why) = self.tell(&socket) {
                say!("{}: {why}", socket.display());
                code = ExitCode::from(FAILED);
            }
        }
        code
    }

    fn tell(&self, socket: &Path) -> Result<(), String> {
        let text = admin::ask(socket, Ask::Status, PATIENCE).map_err(|error| match error.kind() {
            ErrorKind::TimedOut => {
                format!("{error}; it is stopped (SIGCONT goes on), or its machine has no time for it")
            }
            ErrorKind::PermissionDenied => error.to_string(),
            _ => format!("{error}; the pipeline is not running, or runs as another user"),
        })?;
        let strange = |error| format!("the answer is not a status ({error}); is it another version?");
        let mut value: Value = serde_json::from_str(&text).map_err(strange)?;
        if self.json {
            show!("{}", words::json(&value));
            return Ok(());
        }
        words::clean(&mut value);
        let status: PipelineStatus = serde_json::from_value(value).map_err(strange)?;
        tell!("{}", words::status(&status, terminal::columns()).trim_end());
        Ok(())
    }
}
