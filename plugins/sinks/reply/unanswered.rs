//! Which frames an answer is about, how many more may be written, and since when an answer is owed: no clock, no I/O.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use aqueduct_framework::seeded::{self, Bug};

use super::Per;

#[cfg(test)]
mod tests;

/// What was written on one connection and is not answered. The peer answers in order: its k-th answer is about the k-th group of frames, and all of them
/// have the same size, or are a batch each.
///
/// ```text
///  bytes   0 ------ answered ------------- asked ------- written
///           answered | groups without answer | `open`: no whole group yet
/// ```
#[derive(Debug)]
pub(super) struct Unanswered {
    per: Per,
    /// Whole groups, oldest first.
    groups: VecDeque<Group>,
    /// The group that is not whole: no answer is due for it.
    open: Group,
    /// Frames of all groups.
    frames: u64,
    /// Where the last answered frame ended.
    answered_bytes: u64,
    /// Since when an answer has been due.
    owed_since: Option<Duration>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Group {
    frames: u64,
    /// Where the last of them ended, in bytes of the connection.
    end: u64,
}

/// What an answer is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) frames: u64,
    /// Of the connection.
    pub(super) bytes: Range<u64>,
}

impl Unanswered {
    pub(super) fn new(per: Per) -> Self {
        Self {
            per,
            groups: VecDeque::new(),
            open: Group::default(),
            frames: 0,
            answered_bytes: 0,
            owed_since: None,
        }
    }

    /// How many frames more may be written, where so many may be unanswered. A frame that is under way is not counted before it is whole, so one that was begun may be ended.
    pub(super) fn room(&self, window: u64) -> u64 {
        match self.per {
            // Where a batch ends the peer can only know by the pause behind it.
            Per::Batch if self.groups.is_empty() => u64::MAX,
            Per::Batch => 0,
            Per::Frames(_) => {
                let more = u64::from(seeded::has(Bug::WindowOneMore));
                (window + more).saturating_sub(self.frames)
            }
        }
    }

    /// Notes that a frame was written whole, which ended at this byte of the connection.
    pub(super) fn wrote(&mut self, end: u64, now: Duration) {
        self.frames += 1;
        self.open.frames += 1;
        self.open.end = end;
        if let Per::Frames(size) = self.per
            && self.open.frames >= size.get()
        {
            self.close_group(now);
        }
    }

    /// Notes that a batch was written whole, or what of it is to be written on this connection.
    pub(super) fn batch_ended(&mut self, now: Duration) {
        if self.per == Per::Batch && self.open.frames > 0 {
            self.close_group(now);
        }
    }

    fn close_group(&mut self, now: Duration) {
        self.groups.push_back(std::mem::take(&mut self.open));
        self.owed_since.get_or_insert(now);
    }

    /// Whether an answer is owed.
    pub(super) fn is_due(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Takes an answer: what it is about; none when none was due.
    pub(super) fn answered(&mut self, now: Duration) -> Option<Answered> {
        let Some(mut group) = self.groups.pop_front() else {
            let nothing = Answered {
                frames: 0,
                bytes: self.answered_bytes..self.answered_bytes,
            };
            return seeded::has(Bug::AnswerNotDueIgnored).then_some(nothing);
        };
        if seeded::has(Bug::AnswerSettlesTwo)
            && let Some(next) = self.groups.pop_front()
        {
            group = Group {
                frames: group.frames + next.frames,
                end: next.end,
            };
        }
        self.frames -= group.frames;
        let bytes = self.answered_bytes..group.end;
        self.answered_bytes = group.end;
        self.owed_since = (!self.groups.is_empty()).then_some(now);
        Some(Answered {
            frames: group.frames,
            bytes,
        })
    }

    /// How many frames the next answer is about; 1 when none is due.
    pub(super) fn asked_frames(&self) -> u64 {
        self.groups.front().map_or(1, |group| group.frames)
    }

    /// When an answer is overdue: so long after the last one, or after the first frame that it is due for.
    pub(super) fn overdue_at(&self, timeout: Duration) -> Option<Duration> {
        self.owed_since.map(|since| since + timeout)
    }

    /// Frames written whole and not answered.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes of the connection that are answered.
    pub(super) fn answered_bytes(&self) -> u64 {
        if seeded::has(Bug::WrittenIsAnswered) {
            return self.groups.back().map_or(self.answered_bytes, |group| group.end);
        }
        self.answered_bytes
    }

    /// Where the frames end that the next answer is about; no further than what is answered when none is due.
    pub(super) fn asked_bytes(&self) -> u64 {
        self.groups.front().map_or(self.answered_bytes, |group| group.end)
    }
}
