//! Stores that earlier versions wrote are read by this one: the folders under `golden/`, one for each format, never changed.

use std::path::{Path, PathBuf};

use aqueduct::framework::batch::StreamId;
use aqueduct::framework::spill::{FIRST_FORMAT, FORMAT, SpillOptions, Storage};
use tempfile::TempDir;

use crate::run::Case;

/// Sixty frames in a segment that was closed in order, twenty in one that a kill left; seven are settled.
const FRAMES: u64 = 80;
const SETTLED: u64 = 7;
/// From format 4 on the frames came over a link, where they stood 1,000 positions higher.
const STREAM: StreamId = StreamId(7);

fn golden(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/nothing_lost/golden/format-{format}"))
}

fn copy(from: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_into(from, folder.path());
    folder
}

fn copy_into(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy_into(&path, &to);
        } else {
            std::fs::copy(&path, to).unwrap();
        }
    }
}

fn frames(storage: &mut Storage, from: u64, to: u64) -> Vec<String> {
    let (mut at, mut frames) = (from, Vec::new());
    while at < to {
        let found = storage.read(at, to, 1_000).unwrap();
        assert_eq!(found.unreadable, 0);
        for (_, batch) in &found.batches {
            frames.extend(
                batch
                    .frames()
                    .map(|frame| String::from_utf8_lossy(frame.bytes()).into_owned()),
            );
        }
        at = found.next;
    }
    frames
}

pub(crate) const CASES: u64 = 2;

pub(crate) fn play(case: &mut Case) -> Result<(), String> {
    match case.seed {
        0 => stores_of_every_format_so_far_are_read_and_written_on(),
        _ => the_present_format_has_a_golden_folder(),
    }
    Ok(())
}

fn stores_of_every_format_so_far_are_read_and_written_on() {
    for format in 1..=FORMAT {
        let folder = copy(&golden(format));
        let options = SpillOptions::new(folder.path());
        let (mut storage, recovered) = Storage::open(&options).unwrap();
        assert_eq!(
            (recovered.settled, recovered.tail),
            (SETTLED, FRAMES),
            "format {format}"
        );
        let expected: Vec<String> = (SETTLED..FRAMES).map(|number| format!("frame {number}")).collect();
        assert_eq!(frames(&mut storage, SETTLED, FRAMES), expected, "format {format}");
        let sequence = storage.streams().get(STREAM).map(|mark| mark.sequence);
        assert_eq!(sequence, (format >= 4).then_some(1_000 + FRAMES), "format {format}");
        storage.append(FRAMES, &crate::store::batch(&[1, 2, 3])).unwrap();
        assert_eq!(storage.commit().unwrap(), FRAMES + 3);
        storage.close().unwrap();
        // From now on an older program refuses it, when it would not know what is in it.
        let written = std::fs::read_to_string(folder.path().join("format")).unwrap();
        let wanted = format.max(FIRST_FORMAT);
        assert!(written.starts_with(&format!("aqueduct-spill {wanted} ")), "{written}");
        let (mut storage, recovered) = Storage::open(&options).unwrap();
        assert_eq!(recovered.tail, FRAMES + 3);
        assert_eq!(frames(&mut storage, SETTLED, FRAMES), expected);
        let cursors: Vec<_> = storage
            .named()
            .iter()
            .map(|cursor| (&*cursor.name, cursor.position))
            .collect();
        let known: &[_] = if format < 3 { &[] } else { &[("a", SETTLED), ("b", 30)] };
        assert_eq!(cursors, known, "format {format}");
    }
}

/// Writes the golden folder of the present format, when it has none yet.
fn the_present_format_has_a_golden_folder() {
    let path = golden(FORMAT);
    if path.exists() {
        return;
    }
    let options = SpillOptions::new(&path);
    let (mut storage, _) = Storage::open(&options).unwrap();
    for first in (0..60).step_by(20) {
        storage.append(first, &text(first)).unwrap();
        storage.commit().unwrap();
    }
    for name in ["a", "b"] {
        storage.make_named(&name.into(), 0).unwrap();
    }
    storage.settle_named("a", SETTLED).unwrap();
    storage.settle_named("b", 30).unwrap();
    storage.settle(SETTLED).unwrap();
    storage.close().unwrap();
    let (mut storage, _) = Storage::open(&options).unwrap();
    storage.append(60, &text(60)).unwrap();
    storage.commit().unwrap();
    // As kill -9 leaves it.
    std::mem::forget(storage);
    for entry in ["lock", "reserve"] {
        std::fs::remove_file(path.join(entry)).unwrap();
    }
    panic!("{} was written: look at it, and commit it", path.display());
}

fn text(first: u64) -> aqueduct::framework::batch::Batch {
    use aqueduct::framework::batch::{BatchBuilder, Layout, Numbers, Position};
    let layout = Layout {
        head: 0,
        tail: 1,
        wire: Some("delimited:0a".into()),
    };
    let mut builder = BatchBuilder::with_layout(&Numbers::new("source".into(), 42, 0, 0), layout);
    for number in first..first + 20 {
        builder.push_span(format!("frame {number}\n").as_bytes(), number);
    }
    let mut batch = builder.finish(1_234, None, aqueduct::framework::receipt::Receipt::none());
    batch.position = Some(Position {
        stream: STREAM,
        first: 1_000 + first,
    });
    batch
}
