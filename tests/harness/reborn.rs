//! This test binary once more, as the program of somebody with plugins of their own: what a kill -9 is to meet cannot run in the test itself.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Folder;

/// Names the folder of its pipeline, to the program alone.
const FOLDER: &str = "AQUEDUCT_TEST_PROGRAM_FOLDER";
/// What it tells, a file for each, in its folder.
const TOLD: &str = "told";

/// The program; killed when dropped.
pub(crate) struct Reborn {
    child: Child,
    folder: PathBuf,
}

impl Reborn {
    /// Runs this test alone, which must be one that calls [`Reborn::run`]. What an earlier one told is forgotten.
    pub(crate) fn start(folder: &Folder, test: &str) -> Self {
        let _ = std::fs::remove_dir_all(folder.path(TOLD));
        std::fs::create_dir(folder.path(TOLD)).expect("a folder");
        let child = Command::new(std::env::current_exe().expect("a test binary"))
            .args([test, "--exact"])
            .env(FOLDER, folder.path(""))
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let folder = folder.path("");
        Self { child, folder }
    }

    /// In the program: calls `run` with its folder. In a run of the tests it does nothing.
    pub(crate) fn run(run: impl FnOnce(PathBuf)) {
        if let Some(folder) = std::env::var_os(FOLDER) {
            run(folder.into());
        }
    }

    /// In the program: tells what `look` sees, again and again, until it is to stop.
    pub(crate) fn tell(folder: &Path, look: impl Fn() -> Vec<(String, String)>) {
        let told = folder.join(TOLD);
        while !told.join("stop").exists() {
            for (name, text) in look() {
                // Written aside and renamed, so that no half of it is read.
                let aside = told.join(format!("{name}.new"));
                std::fs::write(&aside, text)
                    .and_then(|()| std::fs::rename(aside, told.join(name)))
                    .expect("a file");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it told last; empty before.
    pub(crate) fn told(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(TOLD).join(name)).unwrap_or_default()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it lives");
        self.child.wait().expect("it is ours");
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) {
        std::fs::write(self.folder.join(TOLD).join("stop"), "").expect("a file");
        assert!(self.child.wait().expect("it is ours").success());
    }
}

impl Drop for Reborn {
    fn drop(&mut self) {
        // Most have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
