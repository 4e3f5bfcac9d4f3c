//! What a store knows of the streams that end in it: how far it has each of them, durable.
//!
//! A batch that another store handed down brings its [`Position`](crate::batch::Position). The position behind its last frame is committed in the
//! transaction that makes the frames durable, so that both are there or neither. Every segment says in its first commit how far all streams are, and afterwards what has
//! changed; so the newest segment knows all of it. Before the last segment goes, and when one turns out damaged, it is written to the file `streams`:
//!
//! ```text
//! aqueduct-streams 1
//! 000102030405060708090a0b0c0d0e0f 4711 1700000000      stream, sequence, when it last came (seconds since 1970)
//! 5d0c1b2a                                              CRC32C of all lines before
//! ```
//! What is read back: the newest segment that can be trusted, and that file, whichever has more of a stream. An older segment may have in it the end of a commit that failed and was
//! carried out by the next segment: it counts only when it ends where the next one begins.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::batch::StreamId;

const WORD: &str = "aqueduct-streams 1";

/// How far a store has a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The position behind the last frame that is durable.
    pub sequence: u64,
    /// When it was committed, in seconds since 1970.
    pub seen_s: u64,
}

impl Mark {
    /// Detects a mark that has changed on disk.
    pub(super) fn crc(self, stream: StreamId) -> u32 {
        let crc = crc32c::crc32c(&stream.0.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &self.sequence.to_le_bytes());
        crc32c::crc32c_append(crc, &self.seen_s.to_le_bytes())
    }
}

/// How far a store has its streams, as the thread that owns its files and the source in front of it see it. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Streams(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    marks: BTreeMap<StreamId, Mark>,
    /// Not gone from the disk yet.
    forgotten: Vec<StreamId>,
}

impl Streams {
    /// How far the store has this stream, durable; none when it does not know it.
    pub fn get(&self, stream: StreamId) -> Option<Mark> {
        self.known().marks.get(&stream).copied()
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<StreamId, Mark> {
        self.known().marks.clone()
    }

    /// When any of them was committed last, in seconds since 1970; 0 without any.
    pub fn latest_s(&self) -> u64 {
        self.known().marks.values().map(|mark| mark.seen_s).max().unwrap_or(0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known().marks.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets a stream; on disk, with the next commit. If it comes back, it is a new one: what of it is sent again is taken again.
    pub fn forget(&self, stream: StreamId) {
        let mut known = self.known();
        if known.marks.remove(&stream).is_some() {
            known.forgotten.push(stream);
        }
    }

    /// What is to be removed at the next commit.
    pub(super) fn forgotten(&self) -> Vec<StreamId> {
        self.known().forgotten.clone()
    }

    /// These are durable, and those gone.
    pub(super) fn committed(&self, marks: &BTreeMap<StreamId, Mark>, gone: &[StreamId]) {
        let mut known = self.known();
        known.marks.extend(marks);
        known.forgotten.retain(|stream| !gone.contains(stream));
    }

    /// Takes what was read back, where it is more than what is known.
    pub(super) fn raise(&self, marks: impl IntoIterator<Item = (StreamId, Mark)>) {
        let mut known = self.known();
        for (stream, mark) in marks {
            let is = known.marks.entry(stream).or_insert(mark);
            if mark.sequence > is.sequence {
                *is = mark;
            }
        }
    }

    /// The content of the file.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{WORD}\n");
        for (stream, mark) in &self.known().marks {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{stream} {} {}", mark.sequence, mark.seen_s);
        }
        let crc = crc32c::crc32c(text.as_bytes());
        let _ = writeln!(text, "{crc:08x}");
        text
    }

    // A thread that panicked left a map that is whole: entries are replaced in one step.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The marks in the file's content; none when it is not as it was written.
pub(super) fn parse(text: &str) -> Option<Vec<(StreamId, Mark)>> {
    let (body, crc) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let body = format!("{body}\n");
    if u32::from_str_radix(crc, 16) != Ok(crc32c::crc32c(body.as_bytes())) {
        return None;
    }
    let mut lines = body.lines();
    if lines.next() != Some(WORD) {
        return None;
    }
    lines
        .map(|line| {
            let mut words = line.split(' ');
            let stream = words.next()?.parse().ok()?;
            let sequence = words.next()?.parse().ok()?;
            let seen_s = words.next()?.parse().ok()?;
            Some((stream, Mark { sequence, seen_s }))
        })
        .collect()
}
