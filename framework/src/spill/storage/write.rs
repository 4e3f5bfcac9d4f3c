//! What is appended, and durable with the next commit.

use super::{Closed, Storage};
use crate::batch::Batch;
use crate::seeded::{self, Bug};
use crate::spill::SpillError;
use crate::spill::segment::Writer;

/// No commit is made smaller than this for a file size limit.
const COMMIT_BYTES_AT_LEAST: u64 = 4096;

impl Storage {
    /// Adds a batch behind what was appended before; it is durable after the next [`Storage::commit`]. Its receipt is not touched.
    ///
    /// # Errors
    /// What was appended since the last commit is undone, and the segment is not written any more.
    pub fn append(&mut self, position: u64, batch: &Batch) -> Result<(), SpillError> {
        let done = self.try_append(position, batch);
        self.undo_on_error(done)
    }

    /// Makes everything appended durable and returns the position behind it.
    ///
    /// # Errors
    /// What was appended since the last commit is undone: it may or may not be on disk, and is not read from there.
    pub fn commit(&mut self) -> Result<u64, SpillError> {
        let done = self.try_commit();
        self.undo_on_error(done)?;
        Ok(self.tail)
    }

    fn try_append(&mut self, position: u64, batch: &Batch) -> Result<(), SpillError> {
        self.check_undone()?;
        let rolled_over = self.writer.is_none() && !self.closed.is_empty();
        if seeded::has(Bug::LoseBatchAtRollover) && rolled_over {
            self.closed.remove(&position);
            self.writer = Some(Writer::create(&self.folder, position, self.commit_bytes)?);
            self.appended = position + batch.len() as u64;
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                // A segment that begins there was named, and never confirmed: the new one takes its name.
                if self.closed.remove(&position).is_some() {
                    self.reader = None;
                }
                self.writer_bytes = 0;
                self.sealed.forget(&self.folder, position);
                none.insert(Writer::create(&self.folder, position, self.commit_bytes)?)
            }
        };
        self.packer
            .push(position, batch, &mut |key, value| writer.insert(key, value))?;
        if let Some(place) = batch.position {
            self.note_stream(place.behind(batch.len()))?;
        }
        self.appended = position + batch.len() as u64;
        Ok(())
    }

    fn try_commit(&mut self) -> Result<(), SpillError> {
        self.check_undone()?;
        let first = self.writer.as_ref().is_some_and(|writer| !writer.is_published());
        let changes = self.changes(first);
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        if !seeded::has(Bug::TailWithoutLastRecord) || self.writer_bytes < self.segment_bytes / 2 {
            self.packer.flush(&mut |key, value| writer.insert(key, value))?;
        }
        writer.commit(&self.folder, self.appended, &changes)?;
        // A file that has lost its name takes all that is written, and gives nothing back after a restart.
        self.folder.check_named(writer.path())?;
        self.streams.committed(&changes.marks, &changes.gone);
        self.noted.clear();
        self.sealed.is_covered();
        self.tail = self.appended;
        self.writer_bytes = self.folder.allocated_bytes(writer.path());
        self.reserve.renew(&self.folder);
        self.ages.committed();
        if self.writer_bytes >= self.segment_bytes
            && let Some(writer) = self.writer.take()
        {
            self.shelve(writer);
        }
        Ok(())
    }

    /// An error when something appended since the last commit is gone.
    fn check_undone(&mut self) -> Result<(), SpillError> {
        if !std::mem::take(&mut self.undone) || seeded::has(Bug::ForgetUndone) {
            return Ok(());
        }
        let lost = std::io::Error::other("its segment turned out damaged; it is written again to a new one");
        Err(SpillError::io("commit to", self.folder.path(), lost))
    }

    fn undo_on_error(&mut self, done: Result<(), SpillError>) -> Result<(), SpillError> {
        if done.as_ref().is_err_and(SpillError::is_file_limit) {
            self.keep_below_file_limit();
        }
        if done.is_err() && !seeded::has(Bug::GoOnAfterFailedWrite) {
            self.packer.restart(self.tail);
            self.noted.clear();
            self.appended = self.tail;
            if let Some(writer) = self.writer.take() {
                let (first, end) = (writer.first(), writer.tail());
                self.shelve(writer);
                // One that begins at its end has nothing confirmed in it: the next one takes its name.
                if first < end {
                    self.seal(first, end);
                }
            }
        }
        done
    }

    /// A file may not grow as far as a segment would: the next ones are closed before, and take commits that fit.
    fn keep_below_file_limit(&mut self) {
        match &self.writer {
            Some(writer) if writer.is_published() => self.segment_bytes = self.segment_bytes.min(self.writer_bytes),
            Some(_) => self.commit_bytes = (self.commit_bytes / 2).max(COMMIT_BYTES_AT_LEAST),
            // Not even an empty one fits: nothing helps but a higher limit.
            None => return,
        }
        self.commit_bytes = self.commit_bytes.min(self.segment_bytes);
    }

    /// Closes a segment that is not written any more. One that never had a commit is removed.
    pub(super) fn shelve(&mut self, writer: Writer) {
        let (first, published, path) = (writer.first(), writer.is_published(), writer.path().to_owned());
        // Whatever a failed close leaves unfinished is put in order when the segment is read.
        let _ = writer.close();
        if published {
            self.ages.closed(first);
            let bytes = self.folder.allocated_bytes(&path);
            let closed = Closed {
                bytes,
                vetted: true,
                ..Closed::default()
            };
            self.closed.insert(first, closed);
        } else {
            // What cannot be removed now is removed at the next start.
            let _ = self.folder.remove(&path);
        }
    }
}
