//! What a store tells of its named cursors: gauges, one sentence for each, and losses in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::plugin::Context;
use crate::spill::cursors::{Cursors, Reached};
use crate::spill::named::Recovered;
use crate::telemetry::{Counter, Gauge};
use crate::units::Period;

/// Sentences are renewed this often, in nanoseconds.
const EVERY_NS: u64 = 1_000_000_000;

pub(super) struct Told {
    context: Context,
    cursors: Gauge,
    open: Gauge,
    furthest: Gauge,
    passed: Counter,
    unreadable: Counter,
    again_ns: u64,
    /// What each was moved past when that was told last.
    moves: BTreeMap<Arc<str>, Moves>,
}

#[derive(Default)]
struct Moves {
    counted: u64,
    told: u64,
}

impl Told {
    pub(super) fn new(context: &Context) -> Self {
        context.gauge("retaining").set(1);
        Self {
            cursors: context.gauge("cursors"),
            open: context.gauge("cursors_open"),
            furthest: context.gauge("cursors_furthest_frames"),
            passed: context.counter("cursors_passed_frames"),
            unreadable: context.counter("unreadable"),
            again_ns: 0,
            moves: BTreeMap::new(),
            context: context.clone(),
        }
    }

    /// What the store has when it is opened.
    pub(super) fn found(&self, named: &[Recovered], floor: u64, tail: u64) {
        let actor = &self.context.actor;
        let frames = tail - floor;
        if frames > 0 {
            tracing::info!(%actor, "{frames} frames of earlier runs are kept for {} cursors", named.len());
        }
        for damaged in named.iter().filter(|cursor| !cursor.whole) {
            let (name, position) = (&damaged.name, damaged.position.max(floor));
            tracing::error!(%actor, "the file of cursor {name} is damaged: its client goes on from position {position}, so frames may come again");
        }
    }

    /// Frames that are lost to a cursor because they are damaged.
    pub(super) fn unreadable(&self, frames: u64) {
        if frames > 0 {
            self.unreadable.add(frames);
            self.context.meters.lost.add(frames);
        }
    }

    pub(super) fn update(&mut self, cursors: &Cursors, now_ns: u64) {
        // The clock may have been set back.
        if now_ns < self.again_ns && self.again_ns - now_ns <= EVERY_NS {
            return;
        }
        self.again_ns = now_ns + EVERY_NS;
        self.end(cursors, now_ns);
    }

    /// The same now.
    pub(super) fn end(&mut self, cursors: &Cursors, now_ns: u64) {
        let (mut count, mut open, mut furthest) = (0, 0, 0);
        for reached in cursors.all() {
            count += 1;
            open += u64::from(reached.open);
            furthest = reached.waiting_frames.max(furthest);
            self.context
                .say(&format!("cursor {}", reached.name), sentence(&reached, now_ns));
            self.moved(&reached);
        }
        self.cursors.set(count);
        self.open.set(open);
        self.furthest.set(furthest);
    }

    /// Told whenever what a cursor was moved past has doubled.
    fn moved(&mut self, reached: &Reached<'_>) {
        let passed = reached.passed_frames;
        if passed == 0 {
            return;
        }
        if !self.moves.contains_key(reached.name) {
            self.moves.insert(reached.name.into(), Moves::default());
        }
        let Some(moves) = self.moves.get_mut(reached.name) else {
            return;
        };
        self.passed.add(passed - moves.counted);
        moves.counted = passed;
        if passed >= 2 * moves.told.max(1) || moves.told == 0 {
            moves.told = passed;
            tracing::warn!(actor = %self.context.actor, cursor = reached.name, passed, "a cursor was moved forward: frames it had not settled were older than the store retains (retain_bytes, retain_age), or are damaged");
        }
    }
}

/// `away for 3h, 12,345 frames behind, 600 frames passed by retention`
fn sentence(reached: &Reached<'_>, now_ns: u64) -> String {
    let mut words = match (reached.open, reached.moved_ns) {
        (true, _) => "reading".to_owned(),
        (false, Some(moved_ns)) => {
            let seconds = now_ns.saturating_sub(moved_ns) / 1_000_000_000;
            format!("away for {}", Period::seconds(seconds))
        }
        (false, None) => "away".to_owned(),
    };
    words += &format!(", {} frames behind", grouped(reached.waiting_frames));
    if reached.passed_frames > 0 {
        words += &format!(", {} frames passed by retention", grouped(reached.passed_frames));
    }
    words
}

/// `12345` as `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
