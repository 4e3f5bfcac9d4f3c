//! The functions that are fuzzed, without a fuzzer: over a corpus, and over seeded mutations of it.
//!
//! A fuzzer goes further, for hours. With `cargo install cargo-fuzz` and a C++ compiler:
//!
//! ```sh
//! mkdir -p /tmp/found && RUSTC_BOOTSTRAP=1 cargo fuzz run framing --fuzz-dir tests/fuzz -s none /tmp/found tests/fuzz/corpus/framing
//! ```
//! (or `record`, `link`, `config`). What makes it crash belongs into `tests/fuzz/corpus`, where every run of this test plays it again.

use std::path::Path;
use std::sync::LazyLock;

use aqueduct::framework::batch::StreamId;
use aqueduct::framework::receipt::Receipt;
use aqueduct::framework::spill::record::Packer;
use aqueduct::framework::testing::lines;
use aqueduct::plugins::link::{Hello, Message, Welcome};

use crate::run::Case;

#[path = "../fuzz/targets/mod.rs"]
mod targets;

/// The longest input.
const MOST_BYTES: usize = 4_096;

static FRAMING: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| corpus("framing"));
static RECORDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| corpus("record"));
static LINKS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| corpus("link"));
static CONFIGS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| corpus("config"));

type Target = fn(&[u8]);

pub(crate) const TARGETS: u64 = 4;

/// Every input of a target's corpus, as it is.
pub(crate) fn as_they_are(case: &mut Case) -> Result<(), String> {
    let (corpus, target) = match case.seed {
        0 => (&FRAMING, targets::framing as Target),
        1 => (&RECORDS, targets::record as Target),
        2 => (&LINKS, targets::link as Target),
        _ => (&CONFIGS, targets::config as Target),
    };
    corpus.iter().for_each(|input| target(input));
    case.count("inputs", corpus.len() as u64);
    Ok(())
}

/// Framing follows any stream, however it is split.
pub(crate) fn framing(case: &mut Case) -> Result<(), String> {
    mutate(case, &FRAMING, targets::framing)
}

/// Records of any bytes are read or refused.
pub(crate) fn records(case: &mut Case) -> Result<(), String> {
    mutate(case, &RECORDS, targets::record)
}

/// A link takes any bytes, and no frame twice.
pub(crate) fn links(case: &mut Case) -> Result<(), String> {
    mutate(case, &LINKS, targets::link)
}

/// Files of any text are loaded or refused.
pub(crate) fn configs(case: &mut Case) -> Result<(), String> {
    mutate(case, &CONFIGS, targets::config)
}

fn mutate(case: &Case, corpus: &[Vec<u8>], target: Target) -> Result<(), String> {
    let mut random = case.random();
    let mut input = random.choice(corpus).cloned().unwrap_or_default();
    for _ in 0..random.usize(1..6) {
        change(&mut input, corpus, &mut random);
    }
    input.truncate(MOST_BYTES);
    target(&input);
    Ok(())
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Records are made, not kept: their format changes with the version.
    let mut corpus = match target {
        "record" => packed(),
        "link" => linked(),
        _ => files(&root.join("tests/fuzz/corpus").join(target)),
    };
    if target == "config" {
        for (form, folder) in [(0, "pipelines"), (0, "framework/src/config/cases")] {
            for text in files(&root.join(folder)) {
                corpus.push([&[form], text.as_slice()].concat());
            }
        }
    }
    corpus.sort();
    assert!(!corpus.is_empty(), "there is a corpus");
    corpus
}

/// Records as a store writes them, each behind its key.
fn packed() -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for frames in [&["one"][..], &["", "two", "three and more"], &["x"; 300]] {
        let batch = lines(frames, 7, Receipt::none());
        let mut packer = Packer::default();
        let mut emit = |key: u64, value: &[u8]| {
            records.push([&key.to_le_bytes(), value].concat());
            Ok::<(), std::convert::Infallible>(())
        };
        let pushed = packer
            .push(42, &batch, &mut emit)
            .and_then(|()| packer.flush(&mut emit));
        pushed.expect("it is only kept");
    }
    records
}

/// What a sender says, with frames it has said before among them; and what a receiver says.
fn linked() -> Vec<Vec<u8>> {
    let hello = Message::Hello(Hello {
        lowest: 1,
        highest: 1,
        stream: StreamId(7),
        first: 42,
    });
    let welcome = Message::Welcome(Welcome {
        version: 1,
        sequence: 42,
        longest: 4_096,
    });
    let refused = Message::Refused {
        reason: 2,
        text: "too many".to_owned(),
    };
    let (mut sender, mut receiver) = (vec![7], vec![3]);
    hello.encode(&mut sender);
    for record in packed().iter().chain(&packed()) {
        Message::encode_data(42, &record[8..], &mut sender);
    }
    for message in [welcome, Message::Ack(43), refused] {
        message.encode(&mut receiver);
    }
    vec![sender, receiver]
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    paths.map(|path| std::fs::read(path).unwrap()).collect()
}

/// One mutation, such as fuzzers make.
fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut fastrand::Rng) {
    let at = random.usize(0..=input.len());
    let end = (at + random.usize(0..20)).min(input.len());
    match random.u8(0..8) {
        0 => input.insert(at, random.u8(..)),
        1 if at < input.len() => input[at] ^= 1 << random.u8(0..8),
        2 if at < input.len() => input[at] = *random.choice(&[0, 1, 0x7F, 0x80, 0xFF, b'\n']).unwrap(),
        3 => drop(input.drain(at..end)),
        4 => {
            let copy = input[at..end].to_vec();
            input.splice(at..at, copy);
        }
        5 => input.truncate(at),
        6 => {
            let other = random.choice(corpus).unwrap();
            let from = random.usize(0..=other.len());
            let to = (from + random.usize(0..60)).min(other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
        _ => {
            let bytes: Vec<u8> = (0..random.usize(0..12)).map(|_| random.u8(b' '..=b'~')).collect();
            input.splice(at..end, bytes);
        }
    }
}
