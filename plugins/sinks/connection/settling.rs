//! How far a plain TCP peer is: what its kernel has acknowledged, what its window shows as read, and what the connection
//! has outlived.
//!
//! A kernel acknowledges what its application may never read, and a proxy reads what it cannot pass on. Two things tell
//! more. The advertised window (RFC 9293, 3.8.6; `tcpi_snd_wnd`, tcp(7)) falls by what is not read, so bytes as many as
//! it stands below the largest one seen lie unread. And a proxy without a backend closes soon, so what the connection has
//! outlived by a while was taken by somebody.
//!
//! Pure: times are milliseconds since whenever, and the kernel's figures are arguments.

use std::collections::VecDeque;

use aqueduct_framework::plugin::Confirmed;

#[cfg(test)]
mod tests;

/// A receive buffer holds this much before its window says so: a connection begins with a window of 64 KiB, whatever the
/// buffer (131,072 bytes by Linux' `tcp_rmem`), and the window stays there until the difference is used up.
const UNSEEN_BYTES: u64 = 128 * 1024;

/// So many times `settle_after` what may lie in that difference waits, as long as nothing speaks against it.
const UNSEEN_PATIENCE: u64 = 3;

/// Marks kept for each `settle_after`.
const MARKS: u64 = 20;

/// After so long the largest window is measured anew, where the peer has kept up: buffers shrink too.
const RELEARN_MS: u64 = 2_000;

/// What the kernel says of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Bytes that the peer's kernel has acknowledged since the connection began.
    pub(super) acknowledged: u64,
    /// Bytes that our kernel holds and the peer's has not acknowledged.
    pub(super) unsent: u64,
    /// The peer's window; none where the kernel does not tell (before Linux 5.4).
    pub(super) window: Option<u64>,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Settling {
    after_ms: u64,
    /// When how much was acknowledged, oldest first: about [`MARKS`] for the time that the oldest byte may wait.
    marks: VecDeque<(u64, u64)>,
    acknowledged: u64,
    unsent: u64,
    window: u64,
    /// The largest window while it kept up, and ever.
    empty: u64,
    largest: u64,
    period: Period,
    /// The window fell by what came, when it was watched last while something came: that is not read.
    stuck: bool,
    rest: Rest,
    /// What the connection has outlived.
    outlived: u64,
    /// What the peer had acknowledged when it said goodbye: it has read that.
    read_at_end: Option<u64>,
    /// Its goodbye settles that.
    parted: bool,
    /// So many times `after_ms` waits what may lie where the window does not show it.
    patience: u64,
    /// Nothing is settled before the connection is as old as this.
    probation_ms: u64,
}

/// A time in which nothing comes.
#[derive(Debug, Default)]
struct Rest {
    acknowledged: u64,
    window: u64,
    /// The window is as it is since then, and has risen since the last byte came: that was read, or some before it.
    steady_since_ms: u64,
    rose: bool,
}

/// A while in which the window is watched.
#[derive(Debug, Default)]
struct Period {
    began_ms: u64,
    acknowledged: u64,
    window: u64,
    largest: u64,
    /// More was unsent than the window would take: the peer was behind.
    behind: bool,
}

impl Settling {
    pub(super) fn new(after_ms: u64) -> Self {
        Self {
            after_ms,
            marks: VecDeque::new(),
            acknowledged: 0,
            unsent: 0,
            window: 0,
            empty: 0,
            largest: 0,
            period: Period::default(),
            stuck: false,
            rest: Rest::default(),
            outlived: 0,
            read_at_end: None,
            parted: false,
            patience: UNSEEN_PATIENCE,
            probation_ms: 0,
        }
    }

    /// Until the connection is so old, nothing on it is settled.
    pub(super) fn on_probation(&mut self, ms: u64) {
        self.probation_ms = ms;
    }

    /// Takes in what the kernel says now.
    pub(super) fn note(&mut self, now_ms: u64, look: Look) {
        self.acknowledged = self.acknowledged.max(look.acknowledged);
        self.unsent = look.unsent;
        if let Some(window) = look.window {
            self.window = window;
            self.largest = self.largest.max(window);
            self.empty = self.empty.max(window);
            self.relearn(now_ms);
            self.rest(now_ms);
        }
        let apart = self.after_ms / MARKS;
        let due = self
            .marks
            .back()
            .is_none_or(|(at, _)| now_ms.saturating_sub(*at) >= apart);
        if due && self.marks.back().is_none_or(|(_, bytes)| *bytes < self.acknowledged) {
            self.marks.push_back((now_ms, self.acknowledged));
        }
        self.settle(now_ms);
    }

    /// The other side has said goodbye: it has read what it had acknowledged by then (RFC 2525, 2.17: one that closes with
    /// bytes unread resets instead). Where it `consents`, that is settled. A proxy's goodbye does not: what it has read
    /// and not passed on is lost, so only time settles that.
    pub(super) fn left(&mut self, consents: bool) {
        self.patience = 1;
        self.read_at_end = Some(self.acknowledged);
        self.parted |= consents && self.unsent == 0;
    }

    /// True once the connection has outlived something that was written on it.
    pub(super) fn has_outlived(&self) -> bool {
        self.outlived > 0
    }

    fn settled(&self) -> u64 {
        if self.parted {
            return self.read_at_end.unwrap_or(0).max(self.outlived);
        }
        self.outlived
    }

    pub(super) fn confirmed(&self) -> Confirmed {
        Confirmed {
            settled: self.settled(),
            read: self.acknowledged.saturating_sub(self.unread()).max(self.settled()),
            acknowledged: self.acknowledged,
            proven: self.proven(),
        }
    }

    /// All but what a receive buffer holds at most.
    fn proven(&self) -> u64 {
        self.beyond_a_buffer(self.largest).max(self.read_at_end.unwrap_or(0))
    }

    /// What does not fit any more into a buffer whose window is this large when it is empty.
    fn beyond_a_buffer(&self, empty: u64) -> u64 {
        self.acknowledged.saturating_sub(self.held(empty))
    }

    /// What such a buffer holds now. The window is an estimate of the other kernel's, which packs segments better than it thought: up to 15 % more were
    /// seen over veth.
    fn held(&self, empty: u64) -> u64 {
        let held = capacity(empty).saturating_sub(self.window);
        held + held / 4
    }

    /// True while only a fresh window could tell more: nothing is under way, and something seems not to be read.
    pub(super) fn wants_window(&self) -> bool {
        self.unsent == 0 && self.settled() < self.acknowledged && self.empty > self.window
    }

    /// Bytes that the window shows as not read.
    fn unread(&self) -> u64 {
        let below = self.empty.saturating_sub(self.window);
        if below <= self.empty / 8 {
            return below;
        }
        // It has stopped reading, or is slow.
        self.held(self.empty)
    }

    /// A window that stands a little below the largest one need not mean anything: after a burst it often stays there for ever.
    fn is_noise(&self) -> bool {
        let below = self.empty.saturating_sub(self.window);
        !self.stuck && below <= (UNSEEN_BYTES / 2).min(self.empty / 8)
    }

    fn settle(&mut self, now_ms: u64) {
        if now_ms < self.probation_ms {
            return;
        }
        let old = self.older_than(now_ms, self.after_ms);
        let patient = self.older_than(now_ms, self.after_ms.saturating_mul(self.patience));
        let seen = self.beyond_a_buffer(self.empty).max(patient);
        let read = self.acknowledged.saturating_sub(self.unread());
        let read = if self.is_noise() { read.max(patient) } else { read };
        self.outlived = self.outlived.max(old.min(read).min(seen));
        let patience_ms = self.after_ms.saturating_mul(UNSEEN_PATIENCE);
        let needless = |(at, bytes): &(u64, u64)| *bytes <= self.outlived || at.saturating_add(patience_ms) <= now_ms;
        while self.marks.get(1).is_some_and(needless) {
            self.marks.pop_front();
        }
    }

    /// Nothing more comes: what has come does not wait for longer than it must.
    pub(super) fn ends(&mut self) {
        self.patience = 1;
        self.probation_ms = 0;
    }

    /// A peer that has read on after the last byte, and then for long has nothing more to read, is done: its window is that of an empty buffer, however
    /// large that was before. Many small segments make a kernel smaller windows for good (`tcp_clamp_window` of Linux).
    fn rest(&mut self, now_ms: u64) {
        let rest = &mut self.rest;
        if self.unsent > 0 || rest.acknowledged != self.acknowledged {
            *rest = Rest {
                acknowledged: self.acknowledged,
                window: self.window,
                steady_since_ms: now_ms,
                rose: false,
            };
        } else if rest.window != self.window {
            rest.rose |= self.window > rest.window;
            (rest.window, rest.steady_since_ms) = (self.window, now_ms);
        }
        let patience_ms = self.after_ms.saturating_mul(UNSEEN_PATIENCE);
        if rest.rose && now_ms.saturating_sub(rest.steady_since_ms) >= patience_ms {
            self.empty = self.window;
        }
    }

    /// What was acknowledged `ms` ago or before.
    fn older_than(&self, now_ms: u64, ms: u64) -> u64 {
        let old = self.marks.iter().take_while(|(at, _)| at.saturating_add(ms) <= now_ms);
        old.last().map_or(0, |(_, bytes)| *bytes)
    }

    /// The window of an empty buffer is the largest while the peer keeps up: nothing was left unsent, and the window fell by
    /// little of what came.
    fn relearn(&mut self, now_ms: u64) {
        let period = &mut self.period;
        period.largest = period.largest.max(self.window);
        period.behind |= self.unsent > self.window;
        if now_ms.saturating_sub(period.began_ms) < RELEARN_MS {
            return;
        }
        let came = self.acknowledged - period.acknowledged;
        if !period.behind && came > 0 {
            self.stuck = period.window.saturating_sub(self.window) > came / 8;
            if !self.stuck {
                self.empty = period.largest;
            }
        }
        *period = Period {
            began_ms: now_ms,
            acknowledged: self.acknowledged,
            window: self.window,
            largest: self.window,
            behind: false,
        };
    }
}

/// What a buffer holds whose window was this large when it was empty. That of a new connection shows half of it.
fn capacity(window: u64) -> u64 {
    if window == 0 {
        return UNSEEN_BYTES;
    }
    window.max(window.saturating_mul(2).min(UNSEEN_BYTES))
}
