//! Replies to what was read, at once. They never wait: what the peer does not take is counted and forgotten.

#[cfg(test)]
mod tests;

use std::io;
use std::rc::Rc;

use aqueduct_framework::batch::Batch;
use aqueduct_framework::plugin::Context;
use aqueduct_framework::receipt::Receipt;
use aqueduct_framework::telemetry::Counter;

use super::quoting::Quoting;
use super::template::Brought;
use super::{Per, Plan};

/// The most bytes of equal replies that are written at once.
const BLOCK_BYTES: usize = 64_000;

/// The replies on one connection.
pub(in crate::sources::connection) struct Replies {
    plan: Rc<Plan>,
    quoting: Quoting,
    /// What the read in hand brought, where replies quote it.
    noted: Vec<Batch>,
    reply: Vec<u8>,
    block: Vec<u8>,
    /// What is left of a reply that the peer took only in part; it goes out before any other.
    rest: Vec<u8>,
    failure: Option<io::Error>,
    sent: Counter,
    untaken: Counter,
}

impl Replies {
    pub(in crate::sources::connection) fn new(plan: Rc<Plan>, context: &Context) -> Self {
        Self {
            quoting: Quoting::new(&plan, context),
            plan,
            noted: Vec::new(),
            reply: Vec::new(),
            block: Vec::new(),
            rest: Vec::new(),
            failure: None,
            sent: context.counter("replies"),
            untaken: context.counter("replies_untaken"),
        }
    }

    /// Notes a batch of the read in hand. Its fate is of no interest.
    pub(in crate::sources::connection) fn note(&mut self, batch: &Batch) -> Receipt {
        if self.plan.looks_at_frames() {
            self.noted.push(batch.share(Receipt::none()));
        }
        Receipt::none()
    }

    /// Answers a read with `write`, which must not wait.
    pub(in crate::sources::connection) fn answer(
        &mut self,
        brought: Brought,
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) {
        if self.plan.looks_at_frames() {
            return self.answer_each(brought, write);
        }
        let count = if self.plan.per == Per::Read { 1 } else { brought.frames };
        self.reply.clear();
        self.plan.template.render(brought, &mut self.reply);
        let mut left = if self.reply.is_empty() { 0 } else { count };
        while left > 0 && self.finish_rest(&mut write) {
            let copies = (BLOCK_BYTES / self.reply.len()).clamp(1, left);
            self.block.clear();
            for _ in 0..copies {
                self.block.extend_from_slice(&self.reply);
            }
            let taken = self.write(&mut write);
            let (whole, part) = (taken / self.reply.len(), taken % self.reply.len());
            if part > 0 {
                self.rest.extend_from_slice(&self.reply[part..]);
            }
            let begun = whole + usize::from(part > 0);
            self.sent.add(begun as u64);
            left -= begun;
            if taken < self.block.len() {
                break;
            }
        }
        self.untaken.add(left as u64);
    }

    /// The same where each frame has a reply of its own.
    fn answer_each(&mut self, brought: Brought, mut write: impl FnMut(&[u8]) -> io::Result<usize>) {
        let (mut ends, may_write) = (Vec::new(), self.finish_rest(&mut write));
        self.block.clear();
        for batch in self.noted.drain(..) {
            for frame in batch.frames() {
                self.quoting.render(frame, brought, &mut self.block);
                ends.push(self.block.len());
            }
        }
        let taken = if may_write { self.write(&mut write) } else { 0 };
        let mut begun = ends.partition_point(|end| *end <= taken);
        let whole_bytes = begun.checked_sub(1).map_or(0, |last| ends[last]);
        if taken > whole_bytes
            && let Some(end) = ends.get(begun)
        {
            self.rest.extend_from_slice(&self.block[taken..*end]);
            begun += 1;
        }
        if !may_write {
            begun = 0;
        }
        self.sent.add(begun as u64);
        self.untaken.add((ends.len() - begun) as u64);
    }

    /// The error that a reply ran into, once.
    pub(in crate::sources::connection) fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// True when no part of an earlier reply is left.
    fn finish_rest(&mut self, write: &mut impl FnMut(&[u8]) -> io::Result<usize>) -> bool {
        if self.rest.is_empty() {
            return self.failure.is_none();
        }
        std::mem::swap(&mut self.rest, &mut self.block);
        let taken = self.write(write);
        std::mem::swap(&mut self.rest, &mut self.block);
        self.rest.drain(..taken);
        self.rest.is_empty()
    }

    /// Writes the block; 0 when nothing is taken now, or ever.
    fn write(&mut self, write: &mut impl FnMut(&[u8]) -> io::Result<usize>) -> usize {
        match write(&self.block) {
            Ok(taken) => taken,
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    self.failure.get_or_insert(error);
                }
                0
            }
        }
    }
}
