//! The `aqueduct` program as the user runs it, on a pipeline of the benchmark.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Outcome;
use super::process::{Usage, peak_bytes, state_and_cpu};

/// How long the program may take for what it is asked.
const PATIENCE: Duration = Duration::from_secs(120);

/// The running program; it is killed when this is dropped.
pub(crate) struct Aqueduct {
    child: Child,
    log: Receiver<String>,
    socket: PathBuf,
}

impl Aqueduct {
    /// Runs the pipeline `toml`, whose file and whose relative paths lie in `folder`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(folder: &Path, toml: &str) -> Outcome<Self> {
        let (file, socket) = (folder.join("bench.toml"), folder.join("admin.sock"));
        std::fs::write(
            &file,
            format!("{toml}\n[log]\nlevel = \"info,aqueduct_plugins=debug\"\n[admin]\nsocket = {socket:?}\n"),
        )?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_aqueduct"))
            .args(["run", "--no-live"])
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let errors = BufReader::new(child.stderr.take().ok_or("no standard error")?);
        let (sender, log) = channel();
        // Somebody has to read on, or the program would wait for its log to be read.
        std::thread::spawn(move || {
            let lines = errors.lines().map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(line)));
        });
        Ok(Self { child, log, socket })
    }

    /// Waits for a line of the log that contains `text`, and returns it.
    ///
    /// # Errors
    /// When the program ends without it, or takes too long.
    pub(crate) fn says(&self, text: &str) -> Outcome<String> {
        let (began, mut said) = (Instant::now(), Vec::new());
        while let Ok(line) = self.log.recv_timeout(PATIENCE.saturating_sub(began.elapsed())) {
            if line.contains(text) {
                return Ok(line);
            }
            said.push(line);
        }
        Err(format!("aqueduct did not say {text:?}, but:\n{}", said.join("\n")).into())
    }

    /// The port its source says it listens on.
    ///
    /// # Errors
    /// When it says nothing of it.
    pub(crate) fn port(&self) -> Outcome<String> {
        let line = self.says("listening on ")?;
        let address = line.split("listening on ").nth(1).unwrap_or_default();
        let address = address.split_whitespace().next().unwrap_or_default();
        let port = address.rsplit(':').next().filter(|port| !port.is_empty());
        Ok(port.ok_or_else(|| format!("no port in {line:?}"))?.to_owned())
    }

    /// A number of an actor's meters, as `aqueduct status` shows it; it is renewed once a second.
    ///
    /// # Errors
    /// When the program does not answer.
    pub(crate) fn meter(&self, actor: &str, name: &str) -> Outcome<u64> {
        let mut text = String::new();
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.write_all(b"status\n")?;
        stream.read_to_string(&mut text)?;
        let status: Value = serde_json::from_str(&text)?;
        let actors = status["actors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let found = actors.iter().find(|found| found["name"] == actor);
        Ok(found
            .and_then(|found| found["meters"]["numbers"][name].as_u64())
            .unwrap_or(0))
    }

    /// Waits until that meter has reached `least`.
    ///
    /// # Errors
    /// When it takes too long.
    pub(crate) fn reaches(&self, actor: &str, name: &str, least: u64) -> Outcome<()> {
        let began = Instant::now();
        loop {
            let value = self.meter(actor, name)?;
            if value >= least {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{actor}.{name} is {value}, expected {least}").into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it has used until now.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn usage(&self) -> Outcome<Usage> {
        let pid = self.child.id();
        Ok(Usage {
            cpu_seconds: state_and_cpu(pid)?.1,
            peak_bytes: peak_bytes(pid)?,
        })
    }

    /// Asks it to end in order, and returns what it used in all.
    ///
    /// # Errors
    /// When it does not end with exit code 0.
    pub(crate) fn end(mut self) -> Outcome<Usage> {
        let pid = self.child.id();
        let peak_bytes = peak_bytes(pid)?;
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let cpu_seconds = cpu_at_end(pid)?;
        let status = self.child.wait()?;
        if !status.success() {
            let log: Vec<String> = self.log.iter().collect();
            return Err(format!("aqueduct ended with {status}:\n{}", log.join("\n")).into());
        }
        Ok(Usage {
            cpu_seconds,
            peak_bytes,
        })
    }

    /// Ends it with SIGKILL.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn kill(mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// Waits until the process has ended, before anybody waits for it: its CPU time is whole then, and still there to read.
fn cpu_at_end(pid: u32) -> Outcome<f64> {
    let began = Instant::now();
    loop {
        let (state, cpu_seconds) = state_and_cpu(pid)?;
        if state == 'Z' {
            return Ok(cpu_seconds);
        }
        if began.elapsed() > PATIENCE {
            return Err("aqueduct does not end".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for Aqueduct {
    fn drop(&mut self) {
        // It has ended already unless the benchmark failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
