//! The sink `my_plugin`: appends frames to a file, each behind a text.
//!
//! It works as it stands. Change it into yours: the config first, then `open` and `write`, then
//! the tests.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aqueduct::framework::error::{Error, Result};
use aqueduct::framework::plugin::{Context, Delivery, Placement, Sink};
use schemars::JsonSchema;
use serde::Deserialize;

/// Appends frames to a file, each on a line behind a text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The file, relative to the pipeline file. It is appended to.
    path: PathBuf,
    /// What each line begins with.
    prefix: String,
}

/// The plugin.
struct MyPlugin {
    path: PathBuf,
    prefix: String,
    file: Option<File>,
}

impl Sink for MyPlugin {
    type Config = Config;
    const NAME: &'static str = "my_plugin";
    const SAMPLE: &'static str = r#"type = "my_plugin"
path = "lines.txt"
prefix = "> "
"#;
    // Disks block, so it gets a thread of its own.
    const PLACEMENT: Placement = Placement::Own;
    // `aqueduct check` refuses two actors that write one file.
    const PATHS: &'static [&'static str] = &["path"];

    // The file is opened in `open`: `aqueduct check` builds the plugin too.
    fn new(config: Config, context: &Context) -> Result<Self> {
        Ok(Self {
            path: context.path(config.path),
            prefix: config.prefix,
            file: None,
        })
    }

    async fn open(&mut self) -> Result<()> {
        let file = append_to(&self.path).map_err(|error| self.failed("open", error))?;
        self.file = Some(file);
        Ok(())
    }

    // When it returns, the frames count as delivered. After `unavailable` it is opened again, and what
    // is left of the batch comes again.
    async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        let mut text = Vec::new();
        for frame in delivery.batch().frames().skip(delivery.frames_written()) {
            text.extend_from_slice(self.prefix.as_bytes());
            text.extend_from_slice(frame.bytes());
            text.push(b'\n');
        }
        self.append(&text)
            .map_err(|error| self.failed("write", error))?;
        delivery.advance(delivery.wire().len());
        Ok(())
    }
}

impl MyPlugin {
    /// Appends all of it or nothing, because all of it comes again after an error.
    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let before = file.metadata()?.len();
        if let Err(error) = file.write_all(text) {
            file.set_len(before)?;
            return Err(error);
        }
        Ok(())
    }

    fn failed(&self, what: &str, error: io::Error) -> Error {
        Error::unavailable(format!("cannot {what} {}", self.path.display())).because(error)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().append(true).create(true).open(path)
}

fn main() -> ExitCode {
    aqueduct::main(|plugins| plugins.sink::<MyPlugin>())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use aqueduct::framework::testing;
    use tempfile::TempDir;

    use super::MyPlugin;

    const OPTIONS: &str = "path = \"lines.txt\"\nprefix = \"> \"";

    #[test]
    fn each_frame_is_a_line_behind_the_prefix() {
        let folder = TempDir::new().unwrap();
        let kit = testing::sink::<MyPlugin>(OPTIONS);
        let run = kit.folder(folder.path()).frames(["one", "two"]);
        assert_eq!(run.failure(), None);
        let lines = fs::read_to_string(folder.path().join("lines.txt")).unwrap();
        assert_eq!(lines, "> one\n> two\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_tried_again() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("lines.txt");
        fs::create_dir(&file).unwrap();
        let kit = testing::sink::<MyPlugin>(OPTIONS);
        let sink = kit.folder(folder.path()).start();
        sink.wait_count("retries", 1);
        fs::remove_dir(&file).unwrap();
        sink.send(["late"]);
        sink.wait_settled(1);
        assert_eq!(fs::read_to_string(&file).unwrap(), "> late\n");
    }

    #[test]
    fn it_keeps_to_the_contract_of_sinks() {
        let folder = TempDir::new().unwrap();
        let suite = testing::conformance::sink::<MyPlugin>();
        suite.folder(folder.path()).check();
    }
}
