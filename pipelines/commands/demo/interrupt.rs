//! Ctrl-C and SIGTERM: the acts wait in many places, so one thread tidies up for all of them and ends the process.

use std::io::{self, Write};

use tokio::signal::unix::{SignalKind, signal};

use super::folder::Folder;
use super::server::Process;

/// The exit code of a program that ended on SIGINT, as shells report it (128 + 2).
const INTERRUPTED: i32 = 130;

/// Starts the thread.
pub(super) fn watch(folder: &Folder, server: Process) -> Result<(), String> {
    let doomed = folder.is_temporary().then(|| folder.path().to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime for signals: {error}"))?;
    let wait = move || {
        if runtime.block_on(interrupted()).is_err() {
            return;
        }
        server.end();
        if let Some(path) = doomed {
            // What cannot be removed now lies in the system's folder for temporary files, which is cleaned anyway.
            let _ = std::fs::remove_dir_all(path);
        }
        let _ = writeln!(io::stdout(), "\nInterrupted; nothing is left running.");
        std::process::exit(INTERRUPTED);
    };
    std::thread::Builder::new()
        .name("demo-signals".into())
        .spawn(wait)
        .map_err(|error| format!("no thread for signals: {error}"))?;
    Ok(())
}

async fn interrupted() -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
