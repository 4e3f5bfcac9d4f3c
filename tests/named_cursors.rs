//! Several readers of one store, each with a cursor of its own, through kill -9, restarts and shutdown. The sink is one of somebody else, in a program of their own.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use aqueduct::framework::error::{Error, Result};
use aqueduct::framework::failure::Failure;
use aqueduct::framework::plugin::{Context, Delivery, ReadCursor, Sink, Start, StoreReader, StoreUse};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::harness::{Feeder, Folder, Messages, Reborn, wait_until};
use crate::plugins::{number, run, text};

/// Which readers there are, and where they write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Readers {
    folder: PathBuf,
    names: Vec<String>,
    /// So often nobody can be served at first.
    #[serde(default)]
    fails: u32,
}

/// Writes what each cursor reads to a file of its name. A crash of the program loses nothing of a file, so what was settled must be in it.
pub(crate) struct Scribe(Readers);

impl Sink for Scribe {
    type Config = Readers;
    const NAME: &'static str = "scribe";

    fn new(config: Readers, _: &Context) -> Result<Self> {
        Ok(Self(config))
    }

    async fn open(&mut self) -> Result<()> {
        Ok(())
    }

    async fn write(&mut self, _: &mut Delivery) -> Result<()> {
        Err(Error::fatal("nothing is handed down"))
    }

    fn store_use(&self) -> StoreUse {
        StoreUse::Cursors { at_least: 0 }
    }

    async fn serve(&mut self, store: &StoreReader) -> Result<()> {
        if let Some(left) = self.0.fails.checked_sub(1) {
            self.0.fails = left;
            return Err(Error::unavailable("nobody can be served yet").failing(Failure::TimedOut));
        }
        let mut cursors = Vec::new();
        for name in &self.0.names {
            cursors.push(store.cursor(name, Start::Oldest).await?);
        }
        let tasks = cursors.into_iter().enumerate().map(|(index, cursor)| {
            // The first reads much at a time, the others little.
            let bytes = if index == 0 { 64 * 1024 } else { 1 };
            let file = self.0.folder.join(format!("{}.txt", cursor.name()));
            actix_rt::spawn(copy(store.clone(), cursor, file, bytes))
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.map_err(|_| Error::fatal("a reader panicked"))??;
        }
        Ok(())
    }
}

async fn copy(store: StoreReader, mut cursor: ReadCursor, file: PathBuf, bytes: u64) -> Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .map_err(|error| Error::fatal("a file").because(error))?;
    loop {
        let read = tokio::select! {
            () = store.stopping() => return Ok(()),
            read = cursor.next(bytes) => read?,
        };
        let mut lines = String::new();
        if read.passed_frames > 0 {
            lines += &format!("passed {}\n", read.passed_frames);
        }
        for frame in read.batch.frames() {
            lines += &format!("{}\n", String::from_utf8_lossy(frame.bytes()));
        }
        file.write_all(lines.as_bytes())
            .map_err(|error| Error::fatal("a file").because(error))?;
        cursor.settle(read.end);
    }
}

/// A pipeline file whose store has these options and whose sink these.
fn pipeline(folder: &Folder, store: &str, sink: &str) -> PathBuf {
    let config = format!(
        r#"
        name = "p"
        flow = "source -> drain -> out"
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data", persist = "always", {store} }}
        sinks.out = {{ type = "scribe", folder = {:?}, {sink} }}
        "#,
        folder.path("")
    );
    folder.write("p.toml", &config);
    folder.path("p.toml")
}

/// A program with a sink of its own.
struct Program(Reborn);

impl Program {
    fn start(folder: &Folder, store: &str, names: &[&str]) -> Self {
        pipeline(folder, store, &format!("names = {names:?}"));
        Self(Reborn::start(folder, "named_cursors::the_program_with_readers"))
    }

    /// Sends lines, and waits until all are acknowledged.
    fn feed(&self, first: u64, last: u64) {
        let address = wait_until("the source listens", || {
            self.0.told("address").parse::<SocketAddr>().ok()
        });
        let lines: String = (first..=last).map(|number| format!("{number}\n")).collect();
        let mut feeder = Feeder::connect(address, Messages::SHORT);
        feeder.send_text(&lines);
        let wanted = (last + 1 - first).to_string();
        wait_until("all is acknowledged", || {
            (self.0.told("settled") == wanted).then_some(())
        });
    }

    fn kill(self) {
        self.0.kill();
    }

    fn stop(self) {
        self.0.stop();
    }
}

/// No test by itself: what [`Program`] runs.
#[test]
fn the_program_with_readers() {
    Reborn::run(|folder| {
        run(folder.join("p.toml"), move |view, control| {
            Reborn::tell(&folder, || {
                let cursor = |name| (format!("{name}.told"), text(view, "drain", &format!("cursor {name}")));
                vec![
                    ("settled".to_owned(), number(view, "source", "settled").to_string()),
                    ("address".to_owned(), text(view, "source", "listening")),
                    cursor("a"),
                    cursor("b"),
                ]
            });
            control.shut_down();
        });
    });
}

/// The numbers 1 to `last`, none left out, none before its turn; after each of so many restarts some may come again.
fn assert_all_in_order(text: &str, last: u64, restarts: usize) {
    let (mut next, mut before, mut backwards) = (1, 0, 0);
    for line in text.lines() {
        let number: u64 = line.parse().expect("a number");
        assert!(number <= next, "{number} came before {next}");
        backwards += usize::from(number <= before);
        next = next.max(number + 1);
        before = number;
    }
    assert_eq!(next, last + 1, "all has come");
    assert!(
        backwards <= restarts,
        "went back {backwards} times, with {restarts} restarts"
    );
}

#[test]
fn each_reader_gets_everything_in_order_through_kill_9() {
    let folder = Folder::new();
    let (rounds, each) = (6, 3_000);
    for round in 0..rounds {
        let program = Program::start(&folder, "retain_bytes = \"64 MiB\"", &["a", "b"]);
        program.feed(round * each + 1, (round + 1) * each);
        program.kill();
    }
    let program = Program::start(&folder, "retain_bytes = \"64 MiB\"", &["a", "b"]);
    // A new one behind all: what came before the kill may be what the files end with.
    let last = rounds * each + 1;
    program.feed(last, last);
    for file in ["a.txt", "b.txt"] {
        wait_until("all has come", || {
            folder.read(file).ends_with(&format!("\n{last}\n")).then_some(())
        });
    }
    program.stop();
    for file in ["a.txt", "b.txt"] {
        assert_all_in_order(&folder.read(file), last, rounds as usize);
    }

    // After an orderly end nothing comes again.
    let (a, b) = (folder.read("a.txt"), folder.read("b.txt"));
    let program = Program::start(&folder, "retain_bytes = \"64 MiB\"", &["a", "b"]);
    program.feed(last + 1, last + 1);
    let new = format!("{}\n", last + 1);
    for file in ["a.txt", "b.txt"] {
        wait_until("the new one has come", || {
            folder.read(file).ends_with(&format!("\n{new}")).then_some(())
        });
    }
    program.stop();
    for (file, before) in [("a.txt", a), ("b.txt", b)] {
        let now = folder.read(file);
        let came = now.strip_prefix(&before).expect("what was there is there");
        assert_eq!(came, new, "{file}");
    }
}

#[test]
fn a_reader_that_was_away_too_long_is_told_what_it_was_moved_past() {
    let (folder, store) = (Folder::new(), "retain_bytes = \"1 MiB\", commit_bytes = \"64 KiB\"");
    let program = Program::start(&folder, store, &["a", "b"]);
    program.feed(1, 100);
    for file in ["a.txt", "b.txt"] {
        wait_until("all has come", || folder.read(file).ends_with("\n100\n").then_some(()));
    }
    program.stop();
    let (far, last) = (400_000, 400_100);
    let program = Program::start(&folder, store, &["a"]);
    program.feed(101, far);
    let told = wait_until("b is passed", || {
        Some(program.0.told("b.told")).filter(|told| told.contains("frames passed by retention"))
    });
    assert!(
        told.starts_with("away for ") && told.contains("frames behind"),
        "{told}"
    );
    program.stop();
    let program = Program::start(&folder, store, &["b"]);
    program.feed(far + 1, last);
    wait_until("all has come", || {
        folder.read("b.txt").ends_with(&format!("\n{last}\n")).then_some(())
    });
    program.stop();
    let came = folder.read("b.txt");
    let rest = came.split_once("\n100\n").expect("the first run").1;
    // What passed in the run before was told in its log and status; what came is the end of everything, without a gap.
    let numbers: Vec<u64> = rest.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(numbers[0] > 101, "{}", numbers[0]);
    assert!(numbers.iter().copied().eq(numbers[0]..=last));
}

#[test]
fn a_sink_that_can_serve_nobody_is_tried_again_and_the_reason_counted() {
    let folder = Folder::new();
    let file = pipeline(&folder, "retain_bytes = \"1 MiB\"", "names = [\"a\"], fails = 2");
    run(file, |view, control| {
        wait_until("it was tried twice more", || {
            (number(view, "out", "retries") == 2).then_some(())
        });
        let counted = number(view, "out", "failures_timed_out");
        control.shut_down();
        assert_eq!(counted, 2);
    });
}

/// The program itself, on the store of a folder: what it says, and its exit code.
fn spill(folder: &Folder, words: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_aqueduct"))
        .arg("spill")
        .arg(folder.path("data"))
        .args(words)
        .output()
        .expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&said).into_owned(), output.status.code())
}

#[test]
fn the_cursor_of_a_client_that_will_not_come_back_is_shown_and_forgotten() {
    let (folder, store) = (Folder::new(), "retain_bytes = \"64 MiB\"");
    let program = Program::start(&folder, store, &["a", "b"]);
    program.feed(1, 100);
    for file in ["a.txt", "b.txt"] {
        wait_until("all has come", || folder.read(file).ends_with("\n100\n").then_some(()));
    }
    let (refused, code) = spill(&folder, &["forget", "b"]);
    assert!(code == Some(1) && refused.contains("in use"), "{refused}");
    program.stop();
    let program = Program::start(&folder, store, &["a"]);
    program.feed(101, 150);
    wait_until("all has come", || {
        folder.read("a.txt").ends_with("\n150\n").then_some(())
    });
    program.stop();

    let (info, _) = spill(&folder, &["info"]);
    assert!(info.contains("2 named cursors"), "{info}");
    assert!(
        info.contains("a: at 150, 0 frames behind") && info.contains("b: at 100, 50 frames behind"),
        "{info}"
    );
    let (unknown, code) = spill(&folder, &["forget", "c"]);
    assert!(code == Some(2) && unknown.contains("it has a, b"), "{unknown}");
    assert_eq!(spill(&folder, &["forget", "b"]).1, Some(0));
    let (info, _) = spill(&folder, &["info"]);
    assert!(info.contains("1 named cursor") && !info.contains("b: at"), "{info}");
}
