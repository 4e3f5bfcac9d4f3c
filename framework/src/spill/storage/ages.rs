//! How old segments are, by a clock of the store's own: it runs while the store is open, and goes on at the next start where it stopped.
//!
//! The clock of the system may be set to anything, also between two runs, so no frame is too old because of that. The price: the time between two
//! runs does not count. What is noted in the file `ages`, at the end and every ten seconds, survives a kill:
//!
//! ```text
//! aqueduct-ages 1
//! 86400000                          the store's clock, in milliseconds
//! 00000000000000000000 4711         a closed segment, when its newest frame was written
//! 5d0c1b2a                          CRC32C of all lines before
//! ```
//! A segment that is not noted counts as written when the store was opened.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::spill::disk::{self, Disk};

const WORD: &str = "aqueduct-ages 1";
const NAME: &str = "ages";
/// How often it is noted.
const NOTE: Duration = Duration::from_secs(10);

/// The clock of a store, and when its segments were written by it.
#[derive(Debug)]
pub(super) struct Ages {
    path: PathBuf,
    opened: Instant,
    /// What the clock showed when the store was opened.
    before: Duration,
    /// By first position: when the newest frame of a closed segment was written.
    closed: BTreeMap<u64, Duration>,
    /// When the first and the last commit to the segment that is written were.
    written: Option<(Duration, Duration)>,
    /// When it was noted last; none while nobody has asked for an age.
    noted: Option<Duration>,
}

impl Ages {
    /// Those of the store in a directory.
    pub(super) fn of(disk: &dyn Disk, store: &std::path::Path) -> Self {
        let path = store.join(NAME);
        let text = disk::read(disk, &path).unwrap_or_default();
        let (before, closed) = parse(&String::from_utf8_lossy(&text)).unwrap_or_default();
        Self {
            path,
            opened: Instant::now(),
            before,
            closed,
            written: None,
            noted: None,
        }
    }

    fn now(&self) -> Duration {
        self.before + self.opened.elapsed()
    }

    /// Lets time pass: for tests.
    pub(super) fn grow_older(&mut self, by: Duration) {
        self.before += by;
    }

    /// Something was committed to the segment that is written.
    pub(super) fn committed(&mut self) {
        let now = self.now();
        let (began, _) = self.written.unwrap_or((now, now));
        self.written = Some((began, now));
    }

    /// The segment that was written is closed.
    pub(super) fn closed(&mut self, first: u64) {
        let (_, newest) = self.written.take().unwrap_or_default();
        self.closed.insert(first, newest);
    }

    pub(super) fn forget(&mut self, first: u64) {
        self.closed.remove(&first);
    }

    /// Whether the first frame of the segment that is written is older than this.
    pub(super) fn began_before(&self, age: Duration) -> bool {
        self.written.is_some_and(|(began, _)| self.now() - began > age)
    }

    /// Whether the newest frame of a closed segment is older than this.
    pub(super) fn ended_before(&mut self, first: u64, age: Duration) -> bool {
        let now = self.now();
        let newest = *self.closed.entry(first).or_insert(self.before);
        now.saturating_sub(newest) > age
    }

    /// Notes all of it every ten seconds, once somebody asks: what is killed again and again must grow older, too.
    pub(super) fn note_at_times(&mut self, disk: &dyn Disk) {
        if self.noted.is_none_or(|noted| self.now().saturating_sub(noted) >= NOTE) {
            self.noted = Some(self.now());
            self.note(disk);
        }
    }

    /// The same at the end, if anybody has asked. What cannot be noted counts as younger than it is.
    pub(super) fn note_at_end(&mut self, disk: &dyn Disk) {
        if self.noted.is_some() {
            self.note(disk);
        }
    }

    fn note(&self, disk: &dyn Disk) {
        let mut text = format!("{WORD}\n{}\n", self.now().as_millis());
        for (first, newest) in &self.closed {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{first:020} {}", newest.as_millis());
        }
        let crc = crc32c::crc32c(text.as_bytes());
        let _ = writeln!(text, "{crc:08x}");
        let _ = disk::write_durably(disk, &self.path, text.as_bytes());
    }
}

/// The clock and the segments in the file's content; none when it is not as it was written.
fn parse(text: &str) -> Option<(Duration, BTreeMap<u64, Duration>)> {
    let (body, crc) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let mut lines = body.lines();
    if lines.next() != Some(WORD) || u32::from_str_radix(crc, 16) != Ok(crc32c::crc32c(format!("{body}\n").as_bytes()))
    {
        return None;
    }
    let clock = Duration::from_millis(lines.next()?.parse().ok()?);
    let segments = lines.map(|line| {
        let (first, newest) = line.split_once(' ')?;
        Some((first.parse().ok()?, Duration::from_millis(newest.parse().ok()?)))
    });
    Some((clock, segments.collect::<Option<_>>()?))
}
