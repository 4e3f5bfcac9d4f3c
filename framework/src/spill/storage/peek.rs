//! Looking at one record without changing anything: what is damaged stays where it is, for the read that delivers it to set aside.

use super::Storage;
use super::damage::Opened;
use crate::spill::SpillError;
use crate::spill::search::Peeked;
use crate::spill::segment::Records;

/// The closed segment that a search looked into last.
#[derive(Debug, Default)]
pub struct Glass(Option<(u64, Opened)>);

impl Storage {
    /// The record that holds the position `at`, or the next one; at most a record or two are read.
    pub fn peek(&self, at: u64, glass: &mut Glass) -> Peeked {
        let Some((first, end)) = self.segment_for(at) else {
            return Peeked {
                next: u64::MAX,
                ..Peeked::default()
            };
        };
        let unreadable = Peeked {
            next: end,
            damaged: true,
            ..Peeked::default()
        };
        let Ok(read) = self.records_at(first, at, end, glass) else {
            return unreadable;
        };
        for (index, (key, value)) in read.records.iter().enumerate() {
            match self.decode(first, *key, value) {
                Ok(record) if record.end() > at => {
                    return Peeked {
                        next: record.end(),
                        batches: record.batches,
                        damaged: false,
                    };
                }
                Ok(_) => {}
                Err(_) => {
                    let next = read.records.get(index + 1).map_or(end, |(key, _)| *key);
                    if next > at {
                        return Peeked { next, ..unreadable };
                    }
                }
            }
        }
        Peeked {
            next: end,
            ..Peeked::default()
        }
    }

    fn records_at(&self, first: u64, at: u64, end: u64, glass: &mut Glass) -> Result<Records, SpillError> {
        if let Some(writer) = self.writer.as_ref().filter(|writer| writer.first() == first) {
            return writer.read(at, end, 1);
        }
        // The delivery's own reader stays where it is, unless it happens to be there.
        if let Some((_, opened)) = self.reader.as_ref().filter(|(open, _)| *open == first) {
            return opened.read(at, end, 1);
        }
        if glass.0.as_ref().is_none_or(|(open, _)| *open != first) {
            glass.0 = Some((first, self.open_segment(first)?));
        }
        match &glass.0 {
            Some((_, opened)) => opened.read(at, end, 1),
            None => Ok(Records::default()),
        }
    }
}

impl Glass {
    /// Lets go of the segment.
    pub fn close(&mut self) {
        self.0 = None;
    }
}
