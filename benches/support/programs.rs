//! The C programs of `benches/c`: compiled with the system's compiler, started, and their one line of JSON.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::Outcome;

/// The compiled programs.
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Compiles them all into Cargo's folder for temporary files.
    ///
    /// # Errors
    /// When there is no `cc`, or it refuses a program.
    pub(crate) fn build() -> Outcome<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c");
        std::fs::create_dir_all(&folder)?;
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/c");
        for name in ["append", "read_loop", "relay", "sink", "source"] {
            let built = Command::new("cc")
                .args(["-O2", "-Wall", "-Wextra", "-o"])
                .arg(folder.join(name))
                .arg(sources.join(name).with_extension("c"))
                .status()
                .map_err(|error| {
                    format!("the benchmarks compare with C programs, and `cc` cannot be started: {error}")
                })?;
            if !built.success() {
                return Err(format!("cc refused benches/c/{name}.c").into());
            }
        }
        Ok(Self { folder })
    }

    /// Starts one of them.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(&self, name: &'static str, arguments: &[&str]) -> Outcome<Program> {
        let mut child = Command::new(self.folder.join(name))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        let output = child.stdout.take().ok_or("no standard output")?;
        Ok(Program {
            name,
            child,
            output: BufReader::new(output),
        })
    }

    /// Runs one of them to its end.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn run(&self, name: &'static str, arguments: &[&str]) -> Outcome<Report> {
        self.start(name, arguments)?.finish()
    }
}

/// A running C program; it is killed when this is dropped.
pub(crate) struct Program {
    name: &'static str,
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// The port it says it listens on.
    ///
    /// # Errors
    /// When it says something else.
    pub(crate) fn port(&mut self) -> Outcome<String> {
        let line = self.line()?;
        let port = line.trim().strip_prefix("listening ");
        Ok(port
            .ok_or_else(|| format!("{}: expected a port, got {line:?}", self.name))?
            .to_owned())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn finish(mut self) -> Outcome<Report> {
        let line = self.line()?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("{}: {status}", self.name).into());
        }
        Ok(Report(serde_json::from_str(&line)?))
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already unless the benchmark failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a C program measured.
pub(crate) struct Report(Value);

impl Report {
    /// One of its numbers.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn number(&self, key: &str) -> Outcome<f64> {
        let number = self.0.get(key).and_then(Value::as_f64);
        number.ok_or_else(|| format!("{key} is missing in {}", self.0).into())
    }
}
