//! Looking at one record without changing anything: what is damaged stays where it is, for the read that delivers it to set aside.

use super::Storage;
use crate::spill::SpillError;
use crate::spill::record::decode;
use crate::spill::search::Peeked;
use crate::spill::segment::{Reader, Records};

/// The closed segment that a search looked into last.
#[derive(Debug, Default)]
pub struct Glass(Option<(u64, Reader)>);

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
        let keys: Vec<u64> = read.records.iter().map(|(key, _)| *key).skip(1).collect();
        let nexts = keys.into_iter().chain([read.next_key.unwrap_or(end)]);
        for ((key, value), next) in read.records.iter().zip(nexts).filter(|(_, next)| *next > at) {
            match decode(*key, value) {
                Ok(batches) if ends_behind(&batches, at) => {
                    return Peeked {
                        batches,
                        next,
                        damaged: false,
                    };
                }
                Ok(_) => {}
                Err(_) => return Peeked { next, ..unreadable },
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
        if let Some((_, reader)) = self.reader.as_ref().filter(|(open, _)| *open == first) {
            return reader.read(at, end, 1);
        }
        if glass.0.as_ref().is_none_or(|(open, _)| *open != first) {
            glass.close();
            glass.0 = Some((first, Reader::open(&self.folder.segment(first))?));
        }
        let Some((_, reader)) = &glass.0 else {
            return Ok(Records::default());
        };
        let (read, shares) = (reader.read(at, end, 1), reader.shares());
        if !shares {
            // The delivery must be able to open it at any time.
            glass.close();
        }
        read
    }
}

impl Glass {
    /// Lets go of the segment.
    pub fn close(&mut self) {
        if let Some((_, reader)) = self.0.take() {
            reader.close();
        }
    }
}

fn ends_behind(batches: &[(u64, crate::batch::Batch)], at: u64) -> bool {
    batches
        .last()
        .is_some_and(|(first, batch)| first + batch.len() as u64 > at)
}
