use std::fs;
use std::path::Path;

use aqueduct_framework::testing::conformance::source;
use aqueduct_framework::testing::{self, SourceRun};
use tempfile::TempDir;

use super::FromStore;
use crate::testing::{Running, mistakes};

const FRAMES: u64 = 30_000;

/// Called with those of all other sources.
pub(in crate::sources) fn conforms() {
    let folder = store();
    source::<FromStore>().options(&options(folder.path(), "")).check();
}

/// A store in which [`FRAMES`] frames wait, at the positions that are their numbers.
fn store() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let running = filling(folder.path());
    running.wait("plant", "settled", FRAMES);
    assert_eq!(running.stop().failure, None);
    folder
}

/// Nobody comes to the sink, so everything stays.
fn filling(folder: &Path) -> Running {
    Running::start(&format!(
        r#"
        flow = "plant -> drain -> network"
        sources.plant = {{ type = "generate", count = {FRAMES} }}
        spills.drain = {{ directory = "{}", persist = "always", segment_bytes = "1 MiB", commit_bytes = "256 KiB" }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        "#,
        folder.join("store").display()
    ))
}

fn options(folder: &Path, more: &str) -> String {
    format!("directory = {:?}\n{more}", folder.join("store"))
}

fn read(folder: &TempDir, more: &str) -> SourceRun {
    testing::source::<FromStore>(&options(folder.path(), more)).run()
}

fn content(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder.join("store")).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut content: Vec<_> = paths
        .map(|path| (path.clone(), fs::read(&path).unwrap_or_default()))
        .collect();
    content.sort();
    content
}

#[test]
fn everything_that_waits_comes_out_as_it_was_and_stays() {
    let folder = store();
    let before = content(folder.path());
    let run = read(&folder, "");
    assert!(run.numbers().into_iter().eq(0..FRAMES));
    assert!(run.sources().iter().all(|source| *source == "plant"));
    assert!(run.frames()[777].starts_with("00000000000000000777"));
    assert_eq!((run.count("position"), run.failure()), (FRAMES, None));
    assert!(content(folder.path()) == before, "something in the store has changed");
}

#[test]
fn positions_and_times_say_what_comes_out() {
    let folder = store();
    let run = read(&folder, "from = 9990\nto = 25001");
    assert!(run.numbers().into_iter().eq(9_990..25_001));
    assert_eq!((run.count("first_position"), run.count("position")), (9_990, 25_001));
    assert!(
        read(&folder, "since = \"2000-01-01T00:00:00Z\"")
            .numbers()
            .into_iter()
            .eq(0..FRAMES)
    );
    for nothing in [
        "from = 30000",
        "to = 0",
        "from = 5\nto = 5",
        "since = \"2999-01-01T00:00:00Z\"",
    ] {
        let run = read(&folder, nothing);
        assert_eq!((run.numbers(), run.failure()), (vec![], None), "{nothing}");
    }
}

#[test]
fn damage_is_counted_and_the_rest_goes_on() {
    let folder = store();
    let frame = b"00000000000000015000";
    let at = |bytes: &[u8]| bytes.windows(frame.len()).position(|window| window == frame);
    let (path, mut bytes, at) = content(folder.path())
        .into_iter()
        .find_map(|(path, bytes)| at(&bytes).map(|at| (path, bytes, at)))
        .expect("it is on disk");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("a file");
    let run = read(&folder, "");
    let missing = run.count("missing_frames");
    assert_eq!((run.count("damaged_segments"), run.failure()), (1, None));
    assert!(missing > 0 && !run.numbers().contains(&15_000));
    assert_eq!(run.numbers().len() as u64 + missing, FRAMES);
    assert_eq!(run.numbers().last(), Some(&(FRAMES - 1)));
}

#[test]
fn a_folder_that_is_no_store_fails_the_pipeline_and_a_time_that_is_none_is_a_mistake() {
    let folder = TempDir::new().expect("a folder");
    let run = read(&folder, "");
    let failure = run.failure().expect("there is nothing to read");
    assert!(
        failure.contains("store is no spill store: there is no such folder"),
        "{failure}"
    );
    let said = mistakes(
        r#"
        flow = "again -> out"
        sources.again = { type = "spill", directory = "data", since = "yesterday" }
        sinks.out = { type = "blackhole" }
        "#,
    );
    assert!(
        said.contains("expected a time such as") && said.contains("\"yesterday\""),
        "{said}"
    );
}

#[test]
fn a_pipeline_does_not_read_its_own_store() {
    let said = mistakes(
        r#"
        flow = "again -> drain -> out"
        sources.again = { type = "spill", directory = "data" }
        spills.drain = { directory = "data" }
        sinks.out = { type = "blackhole" }
        "#,
    );
    assert!(said.contains("the same path is used by"), "{said}");
    let folder = TempDir::new().expect("a folder");
    let running = filling(folder.path());
    running.wait("plant", "settled", FRAMES);
    let run = read(&folder, "");
    let failure = run.failure().expect("another pipeline of this process has it");
    assert!(failure.contains("pipeline of this very process"), "{failure}");
    assert_eq!(running.stop().failure, None);
}
