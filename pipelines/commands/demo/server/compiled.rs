//! The real server: the C program, compiled with the system's compiler and run as a process.

use crate::say::say;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Event, Orders, Server};

/// The program's text, so that the binary needs no checkout.
pub(super) const SOURCE: &str = include_str!("../../../../examples/c_server/legacy_server.c");

/// Compiles `source` to a program beside it, and tries whether it starts.
///
/// # Errors
/// Why not, as the end of a sentence.
pub(super) fn compile(source: &Path) -> Result<PathBuf, String> {
    let program = source.with_extension("");
    let compiled = Command::new("cc")
        .arg("-O2")
        .arg("-o")
        .arg(&program)
        .arg(source)
        .output();
    match compiled {
        Err(error) => return Err(format!("this machine has no C compiler (`cc`: {error})")),
        Ok(output) if !output.status.success() => {
            let said = String::from_utf8_lossy(&output.stderr);
            let first = said.lines().next().unwrap_or("without a word").to_owned();
            return Err(format!("`cc` failed ({first})"));
        }
        Ok(_) => {}
    }
    // A folder for temporary files may forbid programs (mount option noexec).
    let tried = Command::new(&program).arg("--help").stdout(Stdio::null()).status();
    match tried {
        Ok(status) if status.success() => Ok(program),
        Ok(status) => Err(format!("its program does not run here ({status})")),
        Err(error) => Err(format!("its program does not run in {} ({error})", program.display())),
    }
}

/// The server's process, if one runs. Clones share it.
#[derive(Clone, Default)]
pub(in crate::commands::demo) struct Process(Arc<Mutex<Option<Child>>>);

impl Process {
    /// Ends it, if it runs.
    pub(in crate::commands::demo) fn end(&self) {
        if let Some(mut child) = self.lock().take() {
            // It may have ended by itself already, which is just as well.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the process when dropped.
struct Ended(Process);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end();
    }
}

pub(super) fn start(program: &Path, process: &Process, orders: Orders) -> Result<Server, String> {
    let mut command = Command::new(program);
    command.arg("--rate").arg(format!("{:.0}", orders.rate));
    command
        .arg("--seconds")
        .arg(orders.time.as_secs_f64().to_string())
        .arg("--linger-on-end");
    if orders.one_client {
        command.arg("--exit-after-close");
    }
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| format!("{} does not start: {error}", program.display()))?;
    let out = child.stdout.take();
    process.lock().replace(child);
    let ended = Ended(process.clone());
    let out = out.ok_or("the server has no standard output")?;
    let mut out = BufReader::new(out);
    let mut first = String::new();
    let heard = out.read_line(&mut first).map_err(|error| error.to_string());
    let port = heard.and_then(|_| {
        let port = first
            .strip_prefix("listening ")
            .and_then(|port| port.trim().parse().ok());
        port.ok_or_else(|| format!("the server said {first:?} instead of its port"))
    })?;
    let (sender, events) = mpsc::channel();
    std::thread::spawn(move || pass_on(out, &sender));
    Ok(Server::new(port, events, ended))
}

/// Passes events on until the process ends.
fn pass_on(out: BufReader<ChildStdout>, events: &Sender<Event>) {
    for line in out.lines().map_while(Result::ok) {
        let Ok(event) = serde_json::from_str(&line) else {
            say!("the server said something strange: {line}");
            continue;
        };
        if events.send(event).is_err() {
            return;
        }
    }
}
