//! `aqueduct status`: asks running pipelines over their admin sockets.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::commands::FAILED;
use crate::framework::pipeline::PipelineStatus;
use crate::{admin, words};

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
        let sockets = match (&self.socket, &self.pipeline) {
            (Some(socket), _) => vec![socket.clone()],
            (None, Some(name)) => vec![admin::path(name)],
            (None, None) => all(),
        };
        if sockets.is_empty() {
            eprintln!(
                "no pipeline of this user is running (looked in {})",
                admin::folder().display()
            );
            return ExitCode::from(FAILED);
        }
        let mut code = ExitCode::SUCCESS;
        for socket in sockets {
            match ask(&socket) {
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

fn all() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(admin::folder()).into_iter().flatten().flatten();
    let mut sockets: Vec<_> = entries.map(|entry| entry.path()).collect();
    sockets.retain(|path| path.extension().is_some_and(|extension| extension == "sock"));
    sockets.sort();
    sockets
}

fn ask(socket: &Path) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
