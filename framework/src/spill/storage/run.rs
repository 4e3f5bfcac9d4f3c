//! How the last run ended, and who it was: the file `run`.
//!
//! ```text
//! aqueduct-run 1
//! legacy-feed drain                 the pipeline and the actor that use the store, when that is known
//! ended 812345                      or `running`: the position behind the last frame at an orderly end
//! clock 1795237590342986478 1795237590342986478
//!                                   the system's clock when this was noted, and the run's epoch, both in nanoseconds since 1970
//! 5d0c1b2a                          CRC32C of all lines before
//! ```
//! It says what no segment can: that the newest one is missing, and which numbers earlier runs gave. A run that is killed leaves `running` behind.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::spill::disk::{self, Disk};
use crate::spill::folder::first_of;
use crate::spill::inspect::LastRun;
use crate::telemetry::now_ns;

const WORD: &str = "aqueduct-run 1";
const NAME: &str = "run";
const RUNNING: &str = "running";
const ENDED: &str = "ended ";
const CLOCK: &str = "clock ";
/// A clock that is kept right by small steps is no word worth.
const STEP: Duration = Duration::from_secs(10);

/// What a start finds of the last run, and what it leaves to the next.
#[derive(Debug)]
pub(super) struct Run {
    path: PathBuf,
    owner: String,
    found: Option<Last>,
    epoch: u64,
    clock_back: Duration,
    /// Another store beside this one has the same owner, and frames.
    left_behind: Option<PathBuf>,
}

impl Run {
    /// Of the store in a directory. `owner`: who uses it from now on; empty for tools, which change nothing about that.
    pub(super) fn of(disk: &dyn Disk, store: &Path, owner: &str) -> Self {
        let path = store.join(NAME);
        let found = read(disk, &path);
        let before = found.as_ref().map(|last| last.owner.clone()).unwrap_or_default();
        let left_behind = match &found {
            // It is looked for once, by who begins a new store.
            None if !owner.is_empty() => left_behind(disk, store, owner),
            _ => None,
        };
        let now_ns = now_ns();
        let (clock_ns, epoch) = found.as_ref().map_or((0, 0), |last| (last.clock_ns, last.epoch));
        let clock_back = Duration::from_nanos(clock_ns.saturating_sub(now_ns));
        Self {
            path,
            owner: if owner.is_empty() { before } else { owner.to_owned() },
            // Later than every earlier one, whatever the clock says: with it numbers are never given twice.
            epoch: now_ns.max(epoch.saturating_add(1)),
            clock_back: if clock_back >= STEP { clock_back } else { Duration::ZERO },
            found,
            left_behind,
        }
    }

    /// The epoch of the numbers that this run gives, in nanoseconds since 1970: later than those of all earlier runs that could be noted.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How far the system's clock was set back since the last run; zero for less than some seconds.
    pub(super) fn clock_back(&self) -> Duration {
        self.clock_back
    }

    /// The position behind the last frame, as the last run noted it at its end.
    pub(super) fn ended_at(&self) -> Option<u64> {
        self.found.as_ref()?.ended
    }

    /// The last run was killed.
    pub(super) fn was_killed(&self) -> bool {
        self.found.as_ref().is_some_and(|last| last.ended.is_none())
    }

    pub(super) fn left_behind(&self) -> Option<&Path> {
        self.left_behind.as_deref()
    }

    /// From now on a kill is seen. What cannot be noted, on a full disk, is not told by the next start.
    pub(super) fn begin(&self, disk: &dyn Disk) {
        self.note(disk, RUNNING);
    }

    /// Everything is closed in order.
    pub(super) fn end(&self, disk: &dyn Disk, tail: u64) {
        self.note(disk, &format!("{ENDED}{tail}"));
    }

    fn note(&self, disk: &dyn Disk, how: &str) {
        let (clock_ns, epoch) = (now_ns(), self.epoch);
        let body = format!("{WORD}\n{}\n{how}\n{CLOCK}{clock_ns} {epoch}\n", self.owner);
        let text = format!("{body}{:08x}\n", crc32c::crc32c(body.as_bytes()));
        let _ = disk::write_durably(disk, &self.path, text.as_bytes());
    }
}

/// How the last run ended that used the store in a directory; none of a store that does not say.
pub(in crate::spill) fn last_run(disk: &dyn Disk, store: &Path) -> Option<LastRun> {
    let Last { owner, ended, .. } = read(disk, &store.join(NAME))?;
    Some(LastRun { owner, ended })
}

/// The last run.
#[derive(Debug)]
struct Last {
    owner: String,
    /// The position behind its last frame; none when it was killed.
    ended: Option<u64>,
    /// 0 where the file does not say, as those of earlier versions.
    clock_ns: u64,
    epoch: u64,
}

/// None of a store that does not say.
fn read(disk: &dyn Disk, path: &Path) -> Option<Last> {
    let text = disk::read(disk, path).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (body, crc) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    if u32::from_str_radix(crc, 16) != Ok(crc32c::crc32c(format!("{body}\n").as_bytes())) {
        return None;
    }
    let mut lines = body.lines();
    let (word, owner, how) = (lines.next()?, lines.next()?, lines.next()?);
    let ended = match how.strip_prefix(ENDED) {
        Some(tail) => Some(tail.parse().ok()?),
        None => None,
    };
    let clock = lines.next().and_then(|line| line.strip_prefix(CLOCK)?.split_once(' '));
    let (clock_ns, epoch) = match clock {
        Some((clock_ns, epoch)) => (clock_ns.parse().ok()?, epoch.parse().ok()?),
        None => (0, 0),
    };
    (word == WORD).then(|| Last {
        owner: owner.to_owned(),
        ended,
        clock_ns,
        epoch,
    })
}

/// A store in a folder beside this one that has the same owner, and segments.
fn left_behind(disk: &dyn Disk, store: &Path, owner: &str) -> Option<PathBuf> {
    let (above, own) = (store.parent()?, store.file_name()?);
    let above = if above.as_os_str().is_empty() {
        Path::new(".")
    } else {
        above
    };
    let names = disk.names(above).ok()?;
    let others = names.into_iter().filter(|name| own != name.as_str());
    others.map(|name| above.join(name)).find(|other| {
        let known = read(disk, &other.join(NAME)).is_some_and(|last| last.owner == owner);
        let stored = || {
            disk.names(other)
                .is_ok_and(|names| names.iter().any(|name| first_of(name).is_some()))
        };
        known && stored()
    })
}
