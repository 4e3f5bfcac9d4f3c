//! `stdin` itself is that of the test run, so a source of these tests reads a pipe and a file the same way.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use aqueduct_framework::error::Result;
use aqueduct_framework::plugin::{Context, Feed, Placement, Registry, Source};
use aqueduct_framework::testing::conformance::source;
use schemars::JsonSchema;
use serde::Deserialize;

use super::input::{self, Input};
use crate::testing::Running;

/// Reads what it finds under a path, such as a named pipe.
struct Opened(PathBuf);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What is read.
    path: PathBuf,
}

impl Source for Opened {
    type Config = Config;
    const NAME: &'static str = "opened";
    const PLACEMENT: Placement = Placement::Own;

    fn new(config: Config, _: &Context) -> Result<Self> {
        Ok(Self(config.path))
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        let file = File::open(&self.0).expect("it is there");
        input::read(Input::new(file), "the test's input", feed).await
    }
}

/// Called with those of all other sources.
pub(in crate::sources) fn conforms() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("input.txt");
    std::fs::write(&file, crate::testing::lines(0..50_000)).expect("a file");
    source::<Opened>().options(&format!("path = {file:?}")).check();
}

fn reading(path: &str) -> Running {
    let mut registry = Registry::default();
    crate::register(&mut registry);
    registry.source::<Opened>();
    let toml = format!(
        r#"
        flow = "input -> nowhere"
        [sources.input]
        type = "opened"
        path = "{path}"
        [sinks.nowhere]
        type = "blackhole"
        "#
    );
    Running::start_with(&toml, registry)
}

/// The writing end of a pipe, and a path to its reading end that lives as long as the second value.
fn pipe() -> (File, OwnedFd, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let reader = OwnedFd::from(reader);
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
    (File::from(OwnedFd::from(writer)), reader, path)
}

#[test]
fn a_pipe_is_read_until_its_end() {
    let (mut writer, reader, path) = pipe();
    let running = reading(&path);
    writer.write_all(b"one\ntwo\n").expect("the pipe takes it");
    running.wait("nowhere", "frames_out", 2);
    writer.write_all(b"three\nfour").expect("the pipe takes it");
    drop((writer, reader));
    running.wait("nowhere", "frames_out", 4);
    assert_eq!(running.ending().failure, None);
}

#[test]
fn it_stops_while_nobody_writes() {
    let (writer, _reader, path) = pipe();
    let running = reading(&path);
    running.wait("nowhere", "opened", 1);
    let ending = running.stop();
    assert!(!ending.forced && ending.failure.is_none());
    drop(writer);
}

#[test]
fn a_regular_file_is_read_to_its_end() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("input.txt");
    std::fs::write(&file, crate::testing::lines(0..50_000)).expect("a file");
    let running = reading(file.to_str().expect("a plain path"));
    running.wait("nowhere", "frames_out", 50_000);
    assert_eq!(running.ending().failure, None);
}
