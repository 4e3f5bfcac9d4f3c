//! A store and what is below it: batches under way to one or two branches, receipts under way back, and drops anywhere.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aqueduct::framework::batch::{Batch, BatchBuilder, Layout, Numbers};
use aqueduct::framework::receipt::{Fate, Ledger, Settled};
use aqueduct::framework::spill::{Persist, SpillOptions};

use super::explore::Model;
use crate::simulation::edge::Edge;
use crate::simulation::store::Store;
use crate::simulation::upstream::{frame, number};

/// What is explored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pipe {
    persist: Persist,
    frames: u64,
    branches: usize,
    drops: u32,
}

impl Pipe {
    pub(super) const fn new(persist: Persist, frames: u64, branches: usize, drops: u32) -> Self {
        Self {
            persist,
            frames,
            branches,
            drops,
        }
    }
}

pub(super) struct Receipts {
    pipe: Pipe,
    sent: u64,
    above: Edge,
    store: Store,
    below: Edge,
    branches: Vec<Branch>,
    drops_left: u32,
    /// Tokens and epochs of what was dropped: what the receipts remember.
    dropped: BTreeSet<String>,
    ledger: Arc<Ledger>,
    told: Arc<Mutex<Vec<Settled>>>,
}

#[derive(Debug, Default)]
struct Branch {
    queue: VecDeque<Batch>,
    /// Being written: it is delivered even if its epoch ends meanwhile.
    writing: Option<Batch>,
    delivered: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    Append,
    /// The store's last batch goes to the branches.
    FanOut,
    /// A branch takes its next batch: to write it, unless its epoch has ended.
    Take(usize),
    Deliver(usize),
    /// What a branch was writing is given up.
    Drop(usize),
    /// The receipt of this index arrives at the store.
    Hear(usize),
    Commit,
    Read,
    Cursor,
}

/// So large that demand plays no role here.
const WINDOW: u64 = 1 << 30;

impl Receipts {
    pub(super) fn new(pipe: Pipe) -> Self {
        let options = SpillOptions {
            persist: pipe.persist,
            memory_age: Duration::from_secs(3600),
            // What is durable is read back from disk.
            memory_bytes: if pipe.persist == Persist::Always { 0 } else { 1 << 20 },
            ..SpillOptions::new("unused")
        };
        let (mut above, mut below) = (Edge::new(WINDOW), Edge::new(WINDOW));
        above.grant(false);
        below.grant(false);
        let told = Arc::new(Mutex::new(Vec::new()));
        let report = told.clone();
        Self {
            pipe,
            sent: 0,
            above,
            store: Store::new(options),
            below,
            branches: (0..pipe.branches).map(|_| Branch::default()).collect(),
            drops_left: pipe.drops,
            dropped: BTreeSet::new(),
            ledger: Ledger::counting(move |settled| report.lock().unwrap().push(settled)),
            told,
        }
    }

    fn append(&mut self) {
        let numbers = Numbers::new("source".into(), 1, self.sent, 1);
        let mut builder = BatchBuilder::with_layout(&numbers, Layout::default());
        builder.push_span(&frame(self.sent), self.sent);
        self.above
            .send(builder.finish(0, None, self.ledger.issue(self.sent, 1)));
        self.sent += 1;
    }

    fn fan_out(&mut self) {
        let batch = self.below.receive().unwrap();
        self.below.release(batch.cost());
        for branch in &mut self.branches[1..] {
            branch.queue.push_back(batch.share(batch.receipt.child()));
        }
        self.branches[0].queue.push_back(batch);
    }

    fn take(&mut self, branch: usize) {
        let branch = &mut self.branches[branch];
        branch.writing = branch.queue.pop_front();
        if let Some(stale) = branch.writing.take_if(|batch| batch.receipt.is_stale()) {
            self.dropped.insert(format!("{:?}", stale.receipt));
        }
    }

    fn deliver(&mut self, branch: usize) {
        let branch = &mut self.branches[branch];
        let batch = branch.writing.take().unwrap();
        let number = number(batch.frame(0).bytes());
        let next = branch.delivered.iter().max().map_or(0, |last| last + 1);
        assert!(number <= next, "frame {number} came before {next}");
        branch.delivered.push(number);
        batch.receipt.settle(Fate::Delivered);
    }
}

impl Model for Receipts {
    type Action = Action;

    fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut may = |possible: bool, action: Action| actions.extend(possible.then_some(action));
        may(self.sent < self.pipe.frames, Action::Append);
        may(!self.below.is_empty(), Action::FanOut);
        for (index, branch) in self.branches.iter().enumerate() {
            let writes = branch.writing.is_some();
            may(!writes && !branch.queue.is_empty(), Action::Take(index));
            may(writes, Action::Deliver(index));
            may(writes && self.drops_left > 0, Action::Drop(index));
        }
        (0..self.store.told()).for_each(|index| may(true, Action::Hear(index)));
        let (writes, read, cursor) = self.store.asked();
        may(writes > 0, Action::Commit);
        may(read, Action::Read);
        may(cursor, Action::Cursor);
        actions
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Append => self.append(),
            Action::FanOut => self.fan_out(),
            Action::Take(branch) => self.take(branch),
            Action::Deliver(branch) => self.deliver(branch),
            Action::Drop(branch) => {
                self.drops_left -= 1;
                let batch = self.branches[branch].writing.take();
                self.dropped.insert(format!("{:?}", batch.unwrap().receipt));
            }
            Action::Hear(index) => {
                self.store.hear_first(index);
                self.store.hear();
            }
            Action::Commit => self.store.commit(1),
            Action::Read => self.store.do_read(),
            Action::Cursor => self.store.persist_cursor(),
        }
        self.store.turn(0, &mut self.above, &mut self.below);
        let told = self.told.lock().unwrap();
        let tokens: BTreeSet<u64> = told.iter().map(|settled| settled.token).collect();
        assert_eq!(tokens.len(), told.len(), "each receipt settles once");
    }

    fn fingerprint(&self) -> String {
        let told: BTreeSet<u64> = self.told.lock().unwrap().iter().map(|settled| settled.token).collect();
        let below = (&self.below, &self.branches, &self.dropped);
        format!(
            "{} {} {below:?} {} {told:?}",
            self.sent,
            self.store.fingerprint(),
            self.drops_left
        )
    }

    fn at_rest(&self) {
        for branch in &self.branches {
            let came: BTreeSet<u64> = branch.delivered.iter().copied().collect();
            assert!(came.into_iter().eq(0..self.pipe.frames), "came: {:?}", branch.delivered);
        }
        assert_eq!(self.told.lock().unwrap().len() as u64, self.pipe.frames);
    }
}
