//! The streams that end in the store, and the one that begins in it: committed, kept, and found again. See [`crate::spill::streams`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Opened, Storage};
use crate::batch::{Position, StreamId};
use crate::seeded::{self, Bug};
use crate::spill::SpillError;
use crate::spill::disk::{self, patiently};
use crate::spill::folder::{Folder, STREAMS_FORMAT};
use crate::spill::segment::{Changes, Reader};
use crate::spill::streams::{Mark, Streams, parse};
use crate::telemetry::now_ns;

const MARKS: &str = "streams";
const OWN: &str = "stream";
const OWN_WORD: &str = "aqueduct-stream 1";

impl Storage {
    /// How far it has the streams that end in it. Follows every commit.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// What its own positions are called; none of a store with `persist = "overflow"`, of which no position is durable.
    pub fn stream(&self) -> Option<StreamId> {
        self.stream
    }

    /// Notes where a batch stood in the store that handed it down: durable with the next commit.
    pub(super) fn note_stream(&mut self, end: Position) -> Result<(), SpillError> {
        self.folder.require(STREAMS_FORMAT)?;
        let sequence = self
            .noted
            .get(&end.stream)
            .map_or(end.first, |noted| end.first.max(*noted));
        self.noted.insert(end.stream, sequence);
        Ok(())
    }

    /// What of the streams goes with the next commit: all of it, into a segment that has none yet.
    pub(super) fn changes(&self, all: bool) -> Changes {
        let seen_s = self.opened_s + self.opened.elapsed().as_secs();
        let mut marks = if all { self.streams.all() } else { BTreeMap::new() };
        marks.extend(self.noted.iter().map(|(stream, sequence)| {
            let known = self.streams.get(*stream).map_or(0, |mark| mark.sequence);
            let sequence = known.max(*sequence);
            (*stream, Mark { sequence, seen_s })
        }));
        Changes {
            marks,
            gone: self.streams.forgotten(),
        }
    }

    /// Writes down how far all streams are: there may be no segment any more that knows it.
    ///
    /// # Errors
    /// Then no segment may go.
    pub(super) fn keep_streams(&mut self) -> Result<(), SpillError> {
        if self.streams.is_empty() || seeded::has(Bug::ForgetStreamsWithSegment) {
            return Ok(());
        }
        match self.write_streams() {
            Err(error) if error.is_full() && self.reserve.give_up(&self.folder) => self.write_streams(),
            written => written,
        }
    }

    fn write_streams(&self) -> Result<(), SpillError> {
        let path = self.file(MARKS);
        let written = disk::write_durably(self.folder.disk(), &path, self.streams.text().as_bytes());
        written.map_err(|error| SpillError::io("write", &path, error))?;
        self.folder.sync()
    }

    /// Finds what earlier runs knew of the streams.
    pub(super) fn find_streams(&mut self) {
        self.read_streams();
        // Who was silent for longest is told by it, whatever the clock was set to meanwhile.
        self.opened_s = self.streams.latest_s().max(now_ns() / 1_000_000_000);
    }

    fn read_streams(&mut self) {
        let path = self.file(MARKS);
        let read = || match disk::read(self.folder.disk(), &path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(|error| SpillError::io("read", &path, error)),
        };
        match patiently(read) {
            Ok(Some(text)) => match parse(&String::from_utf8_lossy(&text)) {
                Some(marks) => self.streams.raise(marks),
                None => self.doubt_streams("the file `streams` is damaged"),
            },
            Ok(None) => {}
            Err(error) => self.doubt_streams(&error.to_string()),
        }
        let mut next = None;
        let firsts: Vec<u64> = self.closed.keys().rev().copied().collect();
        for first in firsts {
            match patiently(|| self.marks_of(first, next)) {
                Ok(Some(marks)) => return self.streams.raise(marks),
                Ok(None) => self.doubt_streams(&format!("segment {first} cannot tell them")),
                Err(error) => self.doubt_streams(&error.to_string()),
            }
            next = Some(first);
        }
    }

    /// What a segment says; none when that cannot be trusted. `next` is where the segment behind it begins.
    ///
    /// # Errors
    /// When it cannot be read.
    fn marks_of(&self, first: u64, next: Option<u64>) -> Result<Option<Vec<(StreamId, Mark)>>, SpillError> {
        if self.is_damaged(first) {
            return Ok(None);
        }
        let opened;
        let reader = match &self.reader {
            Some((open, Opened::Tree(reader))) if *open == first && !reader.has_failed() => reader,
            _ => {
                opened = Reader::open(&self.folder, first)?;
                &opened
            }
        };
        let whole = match next.or(self.sealed.end_of(first)) {
            Some(end) => reader.tail()? == Some(end),
            None => true,
        };
        Ok(reader.streams()?.filter(|_| whole))
    }

    fn doubt_streams(&self, why: &str) {
        tracing::warn!(directory = %self.folder.path().display(), "how far streams from other Aqueducts are is read from an older place, because {why}: frames that are sent again may be taken again, none is lost");
    }

    /// What its own positions are called: what they were called before, or a new name.
    pub(super) fn name_stream(&mut self) {
        let path = self.file(OWN);
        let read = || match disk::read(self.folder.disk(), &path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(|error| SpillError::io("read", &path, error)),
        };
        let before = patiently(read);
        let known = before.as_ref().ok().and_then(Option::as_ref);
        self.stream = known.and_then(|text| own(&String::from_utf8_lossy(text)));
        if self.stream.is_some() {
            return;
        }
        if !matches!(before, Ok(None)) {
            tell_new_name(&self.folder);
        }
        let stream = StreamId(random());
        self.stream = Some(stream);
        let line = format!("{OWN_WORD} {stream}");
        let text = format!("{line} {:08x}\n", crc32c::crc32c(line.as_bytes()));
        let written = disk::write_durably(self.folder.disk(), &path, text.as_bytes());
        if let Err(error) = written
            .map_err(|error| SpillError::io("write", &path, error))
            .and_then(|()| self.folder.sync())
        {
            // A store on a full disk is drained all the same.
            tracing::warn!(
                "what the store's positions are called holds for this run only ({error}): frames may be sent again by the next, none is lost"
            );
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Positions may be given twice: frames under a name that others know would be taken for repeats. So the name goes before anything does that
/// shows it, whoever opened the store, and whatever becomes of this start.
pub(super) fn forget_name(folder: &Folder) -> Result<(), SpillError> {
    let path = folder.path().join(OWN);
    if seeded::has(Bug::NameOutlivesEnd) || folder.check_named(&path).is_err() {
        return Ok(());
    }
    tell_new_name(folder);
    folder.remove(&path)?;
    folder.sync()
}

fn tell_new_name(folder: &Folder) {
    tracing::warn!(directory = %folder.path().display(), "the end of the store, or what its positions are called, is lost: another Aqueduct that frames are linked to takes this for a new stream. Frames it has may be sent to it again, none is lost");
}

/// Bits of the system; where it gives none, those of this process.
fn random() -> u128 {
    let mut bits = [0; 16];
    match rustix::rand::getrandom(&mut bits, rustix::rand::GetRandomFlags::empty()) {
        Ok(16) => u128::from_le_bytes(bits),
        _ => fastrand::u128(..),
    }
}

fn own(text: &str) -> Option<StreamId> {
    let (line, crc) = text.trim_end().rsplit_once(' ')?;
    let checked = u32::from_str_radix(crc, 16) == Ok(crc32c::crc32c(line.as_bytes()));
    let stream = line.strip_prefix(OWN_WORD)?.trim().parse().ok()?;
    checked.then_some(stream)
}
