//! The sink `file`: appends to a file, and sets it aside under a number when it is large or old enough.
//!
//! A delivery is all or nothing: when a write or a sync fails, the file is cut back to where the delivery began, so that the next attempt
//! neither repeats a frame nor begins inside one.

mod rotation;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Delivery, Placement, Sink};
use aqueduct_framework::units::{ByteSize, FileMode, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::json;
use rotation::Rotation;

/// Appends to a file, rotated by size or time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// The file, relative to the pipeline file. It is appended to; folders that are missing are made.
    path: PathBuf,
    /// Bytes after which the file is set aside and a new one begun. A larger frame still gets a file. Unset: never.
    #[schemars(range(min = 1))]
    rotate_bytes: Option<ByteSize>,
    /// Age after which it is set aside, looked at when something is written. Unset: never.
    #[schemars(extend("minimum" = 1))]
    rotate_every: Option<Period>,
    /// How many files set aside are kept. Unset: all.
    keep: Option<NonZeroUsize>,
    /// When frames must have reached the disk.
    #[serde(default)]
    sync: Sync,
    /// Permissions of a new file, octal; one that is there keeps its own.
    #[serde(default)]
    mode: FileMode,
    /// What is written of a frame.
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// Its bytes, in the sink's framing.
    #[default]
    Frames,
    /// A line of JSON with its bytes, number, trace id and attributes: for dead letters, which say why they were rejected.
    Json,
}

/// JSON lines are written together until they have this many bytes.
const JSON_BYTES: usize = 256 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sync {
    /// The kernel writes them when it likes; a power cut may lose the last seconds.
    #[default]
    Never,
    /// Before a batch counts as delivered (fdatasync(2)).
    Batch,
}

/// The plugin.
pub(super) struct FileSink {
    path: PathBuf,
    rotation: Rotation,
    sync: Sync,
    mode: FileMode,
    format: Format,
    open: Option<Open>,
    /// What is left to cut off, when a failed write could not be undone at once.
    torn: Option<Torn>,
    context: Context,
}

struct Open {
    file: File,
    bytes: u64,
    /// How old what it held was when it was opened; zero where the clock says that it is not begun yet.
    age: Duration,
    /// From then on time only runs forward: a clock that is set neither sets files aside nor keeps them.
    opened: Instant,
    /// It held something when it was opened: nobody has looked yet whether that ends with a whole frame.
    unchecked: bool,
}

/// A file with a part of a delivery at its end.
struct Torn {
    /// Device and inode.
    file: (u64, u64),
    /// Its length without that part.
    bytes: u64,
}

/// The longest end of a frame that is looked for at the end of a file.
const LONGEST_END_BYTES: usize = 512;

impl Sink for FileSink {
    type Config = Config;
    const NAME: &'static str = "file";
    const SAMPLE: &'static str = include_str!("sample.toml");
    // Disks block.
    const PLACEMENT: Placement = Placement::Own;
    const PATHS: &'static [&'static str] = &["path"];

    fn new(config: Config, context: &Context) -> Result<Self> {
        let path = context.path(&config.path);
        if path.file_name().is_none() {
            return Err(Error::fatal(format!("`path` = {} names no file", path.display())));
        }
        Ok(Self {
            rotation: Rotation {
                bytes: config.rotate_bytes.map(ByteSize::bytes),
                every: config.rotate_every.map(Period::duration),
                keep: config.keep.map(NonZeroUsize::get),
            },
            path,
            sync: config.sync,
            mode: config.mode,
            format: config.format,
            open: None,
            torn: None,
            context: context.clone(),
        })
    }

    async fn open(&mut self) -> Result<()> {
        self.open = None;
        let open = self.open_file().map_err(|error| self.failed("open", error))?;
        self.open = Some(open);
        self.context.say("state", format!("writing {}", self.path.display()));
        Ok(())
    }

    async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        match self.format {
            Format::Frames => self.write_frames(delivery),
            Format::Json => self.write_json(delivery),
        }
    }

    async fn close(&mut self) -> Result<()> {
        match &self.open {
            Some(open) if self.sync == Sync::Batch => open.file.sync_all().map_err(|error| self.failed("sync", error)),
            _ => Ok(()),
        }
    }
}

impl FileSink {
    fn open_file(&mut self) -> io::Result<Open> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = self.mode.open(OpenOptions::new().append(true), &self.path)?;
        let mut about = file.metadata()?;
        // Somebody may have put another file there meanwhile, which is whole.
        if let Some(torn) = &self.torn
            && torn.file == (about.dev(), about.ino())
            && torn.bytes < about.len()
        {
            file.set_len(torn.bytes)?;
            about = file.metadata()?;
        }
        self.torn = None;
        if self.sync == Sync::Batch {
            rotation::sync_folder_of(&self.path)?;
        }
        let begun = if about.len() == 0 { None } else { about.created().ok() };
        Ok(Open {
            bytes: about.len(),
            unchecked: about.len() > 0,
            age: begun.and_then(|begun| begun.elapsed().ok()).unwrap_or_default(),
            opened: Instant::now(),
            file,
        })
    }

    fn write_frames(&mut self, delivery: &mut Delivery) -> Result<()> {
        while !delivery.is_done() {
            self.rotate_if_due(delivery.whole_frames(0).len())?;
            let end = end_of_frame(delivery);
            self.never_glue(end).map_err(|error| self.failed("write", error))?;
            let wire = delivery.whole_frames(self.room());
            self.append(wire).map_err(|error| self.failed("write", error))?;
            delivery.advance(wire.len());
        }
        Ok(())
    }

    fn write_json(&mut self, delivery: &mut Delivery) -> Result<()> {
        while !delivery.is_done() {
            let first = json::line(None, delivery.batch().frame(delivery.frames_written()));
            let first = first.map_err(|error| Error::rejected("the frame cannot be written as JSON").because(error))?;
            self.rotate_if_due(first.len())?;
            self.never_glue(b"\n").map_err(|error| self.failed("write", error))?;
            let (lines, frames) = lines(delivery, first, self.room().min(JSON_BYTES));
            self.append(&lines).map_err(|error| self.failed("write", error))?;
            delivery.advance_frames(frames);
        }
        Ok(())
    }

    /// Before the first frame behind what was in the file: when that ends inside a frame, as after a crash or by another program's hand, its end
    /// is written, so that the next frame does not become a part of it.
    fn never_glue(&mut self, end: &[u8]) -> io::Result<()> {
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        if !std::mem::take(&mut open.unchecked) || end.is_empty() || end.len() > LONGEST_END_BYTES {
            return Ok(());
        }
        let mut last = vec![0; end.len().min(usize::try_from(open.bytes).unwrap_or(usize::MAX))];
        // A file that may be written and not read cannot be looked at.
        let Ok(file) = File::open(&self.path) else {
            return Ok(());
        };
        let from = open.bytes - last.len() as u64;
        file.read_exact_at(&mut last, from)?;
        if last == end {
            return Ok(());
        }
        self.append(end)?;
        self.context.counter("torn_ends").add(1);
        let (actor, path) = (&self.context.actor, self.path.display());
        tracing::warn!(%actor, "{path} ended inside a frame; that end stands alone now, and new frames follow behind it");
        Ok(())
    }

    /// Bytes that this file still takes before it is set aside.
    fn room(&self) -> usize {
        let Some((most, open)) = self.rotation.bytes.zip(self.open.as_ref()) else {
            return usize::MAX;
        };
        usize::try_from(most.saturating_sub(open.bytes)).unwrap_or(usize::MAX)
    }

    fn rotate_if_due(&mut self, next_bytes: usize) -> Result<()> {
        self.try_rotate(next_bytes)
            .map_err(|error| self.failed("rotate", error))
    }

    fn try_rotate(&mut self, next_bytes: usize) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let age = open.age + open.opened.elapsed();
        if !self.rotation.is_due(open.bytes, age, next_bytes as u64) {
            return Ok(());
        }
        if self.sync == Sync::Batch {
            open.file.sync_all()?;
        }
        let removed = self.rotation.set_aside(&self.path)?;
        self.context.counter("rotations").add(1);
        self.context.counter("files_removed").add(removed);
        self.open = Some(self.open_file()?);
        Ok(())
    }

    /// Appends whole frames, or nothing of them.
    fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        let open = self.open.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let written = open.file.write_all(frames).and_then(|()| match self.sync {
            Sync::Never => Ok(()),
            Sync::Batch => open.file.sync_data(),
        });
        match written {
            Ok(()) => open.bytes += frames.len() as u64,
            Err(_) if open.file.set_len(open.bytes).is_ok() => {}
            Err(_) => {
                self.torn = open.file.metadata().ok().map(|about| Torn {
                    file: (about.dev(), about.ino()),
                    bytes: open.bytes,
                });
            }
        }
        written
    }

    fn failed(&self, what: &str, error: io::Error) -> Error {
        let advice = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the disk",
            io::ErrorKind::PermissionDenied => "give this user the right to write there",
            io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => "correct `path`",
            io::ErrorKind::FileTooLarge => "set `rotate_bytes`, or raise the file size limit",
            _ => "see the system's error",
        };
        Error::unavailable(format!("cannot {what} {}: {advice}", self.path.display())).because(error)
    }
}

/// What the framing writes behind the next frame; nothing where frames do not end with bytes of the framing.
fn end_of_frame(delivery: &Delivery) -> &[u8] {
    let frame = delivery.batch().frame(delivery.frames_written());
    delivery.whole_frames(0).strip_prefix(frame.bytes()).unwrap_or_default()
}

/// The lines of the next frames behind the `first`, as many as `most` bytes take together; and how many those are, the first included.
fn lines(delivery: &Delivery, first: Vec<u8>, most: usize) -> (Vec<u8>, usize) {
    let (mut lines, mut frames) = (first, 1);
    for frame in delivery.frames_written() + 1..delivery.batch().len() {
        // One that cannot be written is told when it is the first.
        let Ok(line) = json::line(None, delivery.batch().frame(frame)) else {
            break;
        };
        if lines.len() + line.len() > most {
            break;
        }
        lines.extend(line);
        frames += 1;
    }
    (lines, frames)
}
