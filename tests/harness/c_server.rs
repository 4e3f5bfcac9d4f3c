//! The legacy server in C, compiled once per run with the system's compiler.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use super::lines::Lines;

/// A running server; dropping it ends it.
pub(crate) struct CServer {
    child: Child,
    events: Lines,
    pub(crate) address: String,
}

impl CServer {
    /// Starts it on a free port; `options` are those of its README.
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut command = Command::new(program());
        let mut child = command
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let events = Lines::of(child.stdout.take().expect("piped"));
        let line = events.first(&["listening "]);
        let port = line.trim_start_matches("listening ");
        let address = format!("127.0.0.1:{port}");
        Self { child, events, address }
    }

    /// Waits for the `nth` event of this name, counted from 1.
    pub(crate) fn event(&self, nth: usize, name: &str) -> Value {
        let line = self.events.nth(nth, &[&format!("\"event\":\"{name}\"")]);
        serde_json::from_str(&line).expect("its events are JSON")
    }

    /// Ends it and waits for its report.
    pub(crate) fn stop(&self) -> Value {
        super::program::signal(&self.child, rustix::process::Signal::TERM);
        self.event(1, "done")
    }
}

impl Drop for CServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/c_server/legacy_server.c");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (program, fresh) = (
            folder.join("legacy_server"),
            folder.join(format!("legacy_server-{}", std::process::id())),
        );
        let compiled = Command::new("cc")
            .args(["-O2", "-Wall", "-Wextra", "-o"])
            .arg(&fresh)
            .arg(source)
            .output();
        let compiled = compiled.expect("a C compiler is installed as `cc`");
        assert!(
            compiled.status.success(),
            "{}",
            String::from_utf8_lossy(&compiled.stderr)
        );
        // Replaced at once and whole, because another run may be using the one that is there.
        std::fs::rename(&fresh, &program).expect("the folder is writable");
        program
    })
}
