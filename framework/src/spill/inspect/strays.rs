//! Files that somebody put among the segments: what they seem to hold, and what they hide, is not taken from them.

use std::path::PathBuf;

use super::Segment;
use crate::spill::disk::Disk;
use crate::spill::segment::Reader;
use crate::spill::storage::elsewhere;

/// A file whose records belong elsewhere than its name says, such as a copy of a segment under another number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// The file.
    pub path: PathBuf,
    /// The position at which its records begin.
    pub position: u64,
}

/// Takes those out that are no segments of this store.
pub(super) fn sort_out(disk: &dyn Disk, all: Vec<Segment>) -> (Vec<Segment>, Vec<Stray>) {
    let next: Vec<u64> = all.iter().skip(1).map(|segment| segment.first).collect();
    let (mut segments, mut strays) = (Vec::new(), Vec::new());
    for (index, segment) in all.into_iter().enumerate() {
        // One that cannot be opened, or is being written, does not say.
        let reader = (!segment.written).then(|| Reader::open_file(disk, segment.path.clone()).ok());
        let reader = reader.flatten();
        match reader.and_then(|reader| elsewhere(&reader, segment.first, next.get(index).copied())) {
            Some(position) => strays.push(Stray {
                path: segment.path,
                position,
            }),
            None => segments.push(segment),
        }
    }
    (segments, strays)
}
