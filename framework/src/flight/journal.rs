//! The bounded file of a pipeline's reports. It outlives the process, so that the reports of the last hour can be read after a crash.
//!
//! Reports are JSON objects, one a line. When the file would pass half of its bound it becomes `NAME.old`, in place of the one before; so
//! both together never pass the bound. Nothing is synced: a crash of the process loses none, one of the machine may lose the last.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::Report;
use crate::telemetry::Counter;

/// Reports that may wait to be written. A peer that resets in a loop faster than the file takes reports must not fill the memory.
const WAITING: usize = 256;

/// The way of reports to their file. Cloning is cheap; the default leads nowhere.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    to: Option<mpsc::Sender<Report>>,
    dropped: Counter,
}

impl Journal {
    /// A journal, and the reports that come through it: the receiver is to be drained off the data threads, because files may block.
    pub fn new() -> (Self, mpsc::Receiver<Report>) {
        let (to, from) = mpsc::channel(WAITING);
        let journal = Self {
            to: Some(to),
            dropped: Counter::default(),
        };
        (journal, from)
    }

    /// Hands a report on, without waiting. One that finds no room is counted.
    pub fn write(&self, report: Report) {
        let refused = self.to.as_ref().is_some_and(|to| to.try_send(report).is_err());
        self.dropped.add(u64::from(refused));
    }

    /// Reports that found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }
}

/// The file.
#[derive(Debug)]
pub struct JournalFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
}

impl JournalFile {
    /// Opens it to append, with mode 0600; the folder must be there. It and its predecessor together keep to `max_bytes`.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        let bytes = file.metadata()?.len();
        let mut last = [b'\n'];
        if bytes > 0 {
            file.read_exact_at(&mut last, bytes - 1)?;
        }
        if last != [b'\n'] {
            // A crash cut the last line short; the next report must not become part of it.
            file.write_all(b"\n")?;
        }
        Ok(Self {
            bytes,
            path: path.to_owned(),
            file,
            max_bytes,
        })
    }

    /// Appends a report as one line, by one write(2).
    ///
    /// # Errors
    /// Those of write(2), rename(2) and open(2). The report is lost then; the next one may succeed.
    pub fn append(&mut self, report: &Report) -> io::Result<()> {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        let bytes = line.len() as u64;
        if self.bytes > 0 && self.bytes + bytes > self.max_bytes / 2 {
            std::fs::rename(&self.path, old(&self.path))?;
            *self = Self::open(&self.path, self.max_bytes)?;
        }
        self.file.write_all(&line)?;
        self.bytes += bytes;
        Ok(())
    }

    /// The reports of a file and its predecessor, oldest first, and the number of lines that are none: one that a crash cut short, or of a newer version.
    ///
    /// # Errors
    /// Those of open(2) and read(2), for the file itself.
    pub fn read(path: &Path) -> io::Result<(Vec<Report>, usize)> {
        let newer = File::open(path)?;
        let older = File::open(old(path)).ok();
        let (mut reports, mut unreadable) = (Vec::new(), 0);
        for file in older.into_iter().chain([newer]) {
            for line in BufReader::new(file).split(b'\n') {
                match serde_json::from_slice(&line?) {
                    Ok(report) => reports.push(report),
                    Err(_) => unreadable += 1,
                }
            }
        }
        Ok((reports, unreadable))
    }
}

fn old(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".old");
    name.into()
}
