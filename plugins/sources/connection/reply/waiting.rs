//! The frames of one connection that wait for their replies: which reply is due, in the order of the frames.

use std::collections::VecDeque;

use aqueduct_framework::receipt::Fate;

#[cfg(test)]
mod tests;

/// The batches in the order in which they came. Pure: told what happens, asked what is due.
#[derive(Debug)]
pub(super) struct Waiting {
    entries: VecDeque<Entry>,
    /// The token of the first entry.
    first: u64,
    /// Of all entries.
    frames: u64,
    /// So many frames may wait.
    most: u64,
    /// Bytes of the first entry's replies that are out.
    written: usize,
    /// A frame is lost, so that nothing behind it will have a reply.
    broken: bool,
}

#[derive(Debug)]
struct Entry {
    frames: u64,
    replies: Vec<u8>,
    fate: Option<Fate>,
    /// A frame that came with it was too long.
    cut: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due<'a> {
    /// Nothing, until something is told.
    Nothing,
    /// Write these replies.
    Write(&'a [u8]),
    /// Frames are lost: there is no reply to them, nor to what is behind them.
    Lost(Loss),
}

/// Frames that have no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sources::connection) struct Loss {
    pub(in crate::sources::connection) frames: u64,
    pub(in crate::sources::connection) why: Why,
}

/// What became of one of them at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sources::connection) enum Why {
    /// It was too long, and not taken.
    TooLong,
    /// An actor rejected it and no dead letter keeps it, or a store that is full gave it up.
    Rejected,
    /// It was dropped.
    Dropped,
}

impl Waiting {
    pub(super) fn new(most: u64) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            frames: 0,
            most,
            written: 0,
            broken: false,
        }
    }

    /// Frames that have no reply yet.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True while more frames may come. What one read brings may pass the bound.
    pub(super) fn may_take(&self) -> bool {
        self.frames < self.most && !self.broken
    }

    /// The token of the batch that comes next.
    pub(super) fn next_token(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// A batch of so many frames is about to go downstream: the token of its receipt.
    pub(super) fn take(&mut self, frames: u64) -> u64 {
        let token = self.next_token();
        self.frames += frames;
        self.entries.push_back(Entry {
            frames,
            replies: Vec::new(),
            fate: None,
            cut: false,
        });
        token
    }

    /// What to say to the frames of a batch. To be told before anything is due.
    pub(super) fn reply(&mut self, token: u64, replies: Vec<u8>) {
        if let Some(entry) = self.entry(token) {
            entry.replies = replies;
        }
    }

    /// A frame that came between those of the batches from `token` on, or behind them, was too long: whoever counts replies would take one for it.
    pub(super) fn cut(&mut self, token: u64) {
        let index = usize::try_from(token.saturating_sub(self.first)).unwrap_or(usize::MAX);
        if index >= self.entries.len() {
            self.take(0);
        }
        self.entries.iter_mut().skip(index).for_each(|entry| entry.cut = true);
        self.broken = true;
    }

    /// The fate of a batch.
    pub(super) fn settled(&mut self, token: u64, fate: Fate) {
        let Some(entry) = self.entry(token) else { return };
        entry.fate = Some(fate);
        self.broken |= fate != Fate::Delivered;
    }

    /// What is due now.
    pub(super) fn due(&self) -> Due<'_> {
        let Some(entry) = self.entries.front() else {
            return Due::Nothing;
        };
        let why = match entry.fate {
            _ if entry.cut => Why::TooLong,
            None => return Due::Nothing,
            Some(Fate::Delivered) => return Due::Write(&entry.replies[self.written..]),
            Some(Fate::Rejected) => Why::Rejected,
            Some(Fate::Dropped) => Why::Dropped,
        };
        let frames = self.frames;
        Due::Lost(Loss { frames, why })
    }

    /// So many bytes of what was due are written. Returns how many frames have their reply now.
    pub(super) fn wrote(&mut self, bytes: usize) -> u64 {
        self.written += bytes;
        let whole = |entry: &&Entry| self.written >= entry.replies.len();
        let Some(frames) = self.entries.front().filter(whole).map(|entry| entry.frames) else {
            return 0;
        };
        self.entries.pop_front();
        (self.first, self.written) = (self.first + 1, 0);
        self.frames -= frames;
        frames
    }

    fn entry(&mut self, token: u64) -> Option<&mut Entry> {
        let index = token.checked_sub(self.first)?;
        self.entries.get_mut(usize::try_from(index).ok()?)
    }
}
