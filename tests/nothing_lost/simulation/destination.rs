//! Whoever the frames are for: looks at every byte, and knows what may come when.

use std::collections::BTreeSet;

use super::upstream::number;

/// The destination.
pub(super) struct Destination {
    line: Vec<u8>,
    away_until_ns: u64,
    last: Option<u64>,
    came: BTreeSet<u64>,
    rejected: BTreeSet<u64>,
    /// There was a drop or a crash: only behind one may a frame come again.
    disturbed: bool,
    /// Frames that are lost for good, which is right for what nobody acknowledged.
    pub(super) lost: BTreeSet<u64>,
    pub(super) repeats: u64,
}

impl Destination {
    pub(super) fn new() -> Self {
        Self {
            line: Vec::new(),
            away_until_ns: 0,
            last: None,
            came: BTreeSet::new(),
            rejected: BTreeSet::new(),
            disturbed: false,
            lost: BTreeSet::new(),
            repeats: 0,
        }
    }

    pub(super) fn is_there(&self, now_ns: u64) -> bool {
        now_ns >= self.away_until_ns
    }

    pub(super) fn stay_away(&mut self, until_ns: u64) {
        self.away_until_ns = until_ns;
    }

    pub(super) fn disturb(&mut self) {
        self.disturbed = true;
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.came.contains(&number) || self.rejected.contains(&number)
    }

    /// These were rejected, and will not come; they may have come before, or be lost and found.
    pub(super) fn do_without(&mut self, rejected: Vec<u64>) {
        self.rejected.extend(rejected);
    }

    /// The begin of a frame is no frame.
    pub(super) fn connection_ends(&mut self) {
        self.line.clear();
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.line.push(*byte);
            if self.line.ends_with(b"\r\n") {
                let line = std::mem::take(&mut self.line);
                self.frame(number(&line[..line.len() - 2]));
            }
        }
    }

    fn frame(&mut self, number: u64) {
        assert!(!self.lost.contains(&number), "frame {number} cannot come any more");
        if self.came.insert(number) {
            let later = self.came.range(number + 1..).next();
            // What was rejected before a crash may pass behind it.
            assert!(
                later.is_none() || self.rejected.contains(&number),
                "frame {number} came behind {later:?}"
            );
        } else {
            assert!(self.disturbed, "frame {number} came again for no reason");
            self.repeats += 1;
        }
        let from = self.last.map_or(0, |last| last + 1);
        for skipped in from..number {
            assert!(
                self.lost.contains(&skipped) || self.has(skipped),
                "frame {number} came before {skipped}"
            );
        }
        self.last = Some(number);
    }
}
