//! A store on a modelled disk, and everything it was told and has promised.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use aqueduct::framework::batch::{Batch, BatchBuilder, Layout, Numbers, Position, StreamId};
use aqueduct::framework::receipt::Receipt;
use aqueduct::framework::spill::{Persist, SpillError, SpillOptions, Storage};

use crate::disk::{Image, SimDisk};
use crate::random::Random;

pub(crate) fn options() -> SpillOptions {
    SpillOptions {
        segment_bytes: 120_000,
        commit_bytes: 60_000,
        quarantine_bytes: 1 << 30,
        persist: Persist::Always,
        ..SpillOptions::new(PathBuf::from("/store"))
    }
}

/// What frame `id` consists of.
pub(crate) fn frame(id: u64) -> Vec<u8> {
    let mut random = Random::new(id);
    let length = match random.below(40) {
        0 => random.below(9_000),
        1..=4 => 0,
        _ => random.below(200),
    };
    let mut bytes = format!("{id}:").into_bytes();
    bytes.extend((0..length).map(|_| random.next() as u8 | 0x80));
    bytes.push(b'\n');
    bytes
}

pub(crate) fn batch(ids: &[u64]) -> Batch {
    let layout = Layout {
        head: 0,
        tail: 1,
        wire: Some("delimited:0a".into()),
    };
    let mut builder = BatchBuilder::with_layout(&Numbers::new("harness".into(), 1, 0, 0), layout);
    for id in ids {
        builder.push_span(&frame(*id), *id);
    }
    builder.finish(1, None, Receipt::none())
}

/// A stream of another store, of which every frame stands here where it stood there.
const STREAM: StreamId = StreamId(7);

/// The same, come over a link.
fn linked(position: u64, ids: &[u64]) -> Batch {
    let stream = STREAM;
    Batch {
        position: Some(Position {
            stream,
            first: position,
        }),
        ..batch(ids)
    }
}

/// How far the store says that it has the stream.
fn sequence(storage: &Storage) -> u64 {
    storage.streams().get(STREAM).map_or(0, |mark| mark.sequence)
}

/// What the store was told, and what it has promised.
#[derive(Debug, Clone, Default)]
pub(crate) struct Promises {
    /// Position -> frame, of everything that was ever appended.
    pub(crate) frames: BTreeMap<u64, u64>,
    /// The position behind the last frame that was appended.
    pub(crate) appended: u64,
    /// Everything below was acknowledged.
    pub(crate) acknowledged: u64,
    /// What `settle` was asked to make durable.
    pub(crate) settle_asked: u64,
    /// What it said is durable.
    pub(crate) settle_done: u64,
    pub(crate) next_id: u64,
    /// What the store's positions are called, which the receivers of a link know.
    pub(crate) stream: Option<StreamId>,
}

impl Promises {
    /// True when a cursor at `settled` passes a frame that is not settled.
    pub(crate) fn is_passed(&self, settled: u64) -> bool {
        let low = self.settle_asked.min(settled);
        self.frames.range(low..settled).next().is_some()
    }
}

/// An open store with its promises.
pub(crate) struct Store {
    pub(crate) storage: Storage,
    pub(crate) promises: Promises,
    /// Appended, not acknowledged: written again after a failure.
    unsure: Vec<(u64, Vec<u64>)>,
    /// The last write failed.
    again: bool,
    /// A commit succeeded, and did not cover what was appended.
    pub(crate) short: bool,
    /// Everything below was read and found right.
    pub(crate) delivered: u64,
}

impl Store {
    pub(crate) fn open(disk: SimDisk, options: &SpillOptions, promises: Promises) -> Result<Self, SpillError> {
        let (storage, recovered) = Storage::open_on(Arc::new(disk), options)?;
        let mut promises = promises;
        // Whatever was appended behind never came to be.
        promises.frames.split_off(&recovered.tail);
        promises.appended = recovered.tail;
        // The sender of a stream is told of what a start finds.
        promises.acknowledged = promises.acknowledged.max(recovered.tail);
        promises.stream = storage.stream();
        Ok(Self {
            storage,
            unsure: Vec::new(),
            again: false,
            short: false,
            delivered: recovered.settled,
            promises,
        })
    }

    /// Appends frames; `gap` positions before them were settled before they were written.
    pub(crate) fn append(&mut self, count: u64, gap: u64) -> Result<(), SpillError> {
        let promises = &mut self.promises;
        let position = promises.appended + gap;
        let ids: Vec<u64> = (promises.next_id..promises.next_id + count).collect();
        promises.next_id += count;
        promises.frames.extend((position..).zip(ids.iter().copied()));
        promises.appended = position + count;
        self.unsure.push((position, ids));
        if self.again {
            return Ok(());
        }
        let (position, ids) = &self.unsure[self.unsure.len() - 1];
        let done = self.storage.append(*position, &linked(*position, ids));
        self.again = done.is_err();
        done
    }

    /// Commits; after a failure everything unsure is appended again first.
    pub(crate) fn commit(&mut self) -> Result<(), SpillError> {
        let done = self.try_commit();
        self.again = done.is_err();
        let tail = done?;
        if !self.unsure.is_empty() {
            self.promises.acknowledged = self.promises.acknowledged.max(tail);
            self.unsure.clear();
            self.short = tail < self.promises.appended;
        }
        Ok(())
    }

    fn try_commit(&mut self) -> Result<u64, SpillError> {
        if self.again {
            for (position, ids) in &self.unsure {
                self.storage.append(*position, &linked(*position, ids))?;
            }
        }
        self.storage.commit()
    }

    /// Reads on and checks what comes. The error is a broken promise, or what the storage said.
    pub(crate) fn read(&mut self, bytes: u64) -> Result<Result<(), SpillError>, String> {
        let to = self.promises.acknowledged.max(self.delivered);
        let found = match self.storage.read(self.delivered, to, bytes) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let lost = found.unreadable;
        check(&self.promises, self.delivered, found.next, &found.batches, lost)?;
        if lost > 0 {
            return Err(format!("{lost} frames behind {} are said to be lost", self.delivered));
        }
        self.delivered = found.next;
        Ok(Ok(()))
    }

    pub(crate) fn settle(&mut self, position: u64) -> Result<(), SpillError> {
        self.promises.settle_asked = self.promises.settle_asked.max(position);
        self.storage.settle(position)?;
        self.promises.settle_done = self.promises.settle_done.max(position);
        Ok(())
    }
}

/// Checks that the batches are exactly the frames from `from` up to `next`, except `lost` of them.
pub(crate) fn check(
    promises: &Promises,
    from: u64,
    next: u64,
    batches: &[(u64, Batch)],
    lost: u64,
) -> Result<u64, String> {
    let (mut at, mut count) = (from, 0);
    for (position, batch) in batches {
        if *position < at {
            return Err(format!("position {position} comes behind {at}: out of order or twice"));
        }
        at = *position;
        for (index, span) in (0..batch.len()).map(|index| (index, batch.span(index))) {
            let Some(id) = promises.frames.get(&at) else {
                return Err(format!("position {at} was never appended"));
            };
            if batch.payload[span] != frame(*id) {
                return Err(format!(
                    "the frame at position {at} is not what was appended (index {index})"
                ));
            }
            (at, count) = (at + 1, count + 1);
        }
    }
    if at > next {
        return Err(format!(
            "frames up to {at} came, of which those behind {next} come again"
        ));
    }
    let expected = promises.frames.range(from..next.max(from)).count() as u64;
    if count + lost < expected {
        return Err(format!(
            "{expected} frames stand at {from}..{next}, {count} came, {lost} are said to be lost"
        ));
    }
    Ok(count)
}

/// What a start on an image finds.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) came: u64,
    pub(crate) lost: u64,
    pub(crate) damaged: u64,
    pub(crate) tail: u64,
    pub(crate) settled: u64,
}

/// Opens an image and reads everything in it. Nothing may come that was not appended, or out of order, or without being said to be lost.
pub(crate) fn read_all(image: &Image, promises: &Promises) -> Result<(Checked, Store), String> {
    let opened = Storage::open_on(Arc::new(SimDisk::of(image)), &options());
    let (storage, recovered) = opened.map_err(|error| format!("does not start: {error}"))?;
    let mut store = Store {
        storage,
        promises: promises.clone(),
        unsure: Vec::new(),
        again: false,
        short: false,
        delivered: recovered.settled,
    };
    let mut checked = Checked {
        tail: recovered.tail,
        settled: recovered.settled,
        ..Checked::default()
    };
    while store.delivered < recovered.tail {
        let found = store.storage.read(store.delivered, u64::MAX, 20_000);
        let found = found.map_err(|error| format!("cannot be read: {error}"))?;
        if found.next <= store.delivered {
            return Err(format!("reading stands still at {}", store.delivered));
        }
        checked.lost += found.unreadable;
        checked.came += check(promises, store.delivered, found.next, &found.batches, found.unreadable)?;
        store.delivered = found.next;
    }
    checked.damaged = store.storage.usage().damaged;
    Ok((checked, store))
}

/// The same, where nothing is damaged: all that was acknowledged must be there.
pub(crate) fn verify(image: &Image, promises: &Promises, go_on: bool) -> Result<(), String> {
    let (checked, mut store) = read_all(image, promises)?;
    if checked.lost > 0 || checked.damaged > 0 {
        return Err(format!("a power cut or a failure is taken for damage: {checked:?}"));
    }
    if checked.tail < promises.acknowledged {
        return Err(format!(
            "acknowledged up to {}, there up to {}",
            promises.acknowledged, checked.tail
        ));
    }
    // Less, and frames would be taken twice; more, and some would be taken for repeats.
    if sequence(&store.storage) != checked.tail {
        let sequence = sequence(&store.storage);
        return Err(format!(
            "the stream is said to be at {sequence}, it is at {}",
            checked.tail
        ));
    }
    if promises.is_passed(checked.settled) {
        return Err(format!(
            "the cursor leads: {} of {}",
            checked.settled, promises.settle_asked
        ));
    }
    if checked.settled < promises.settle_done {
        return Err(format!(
            "the cursor fell back: {} of {}",
            checked.settled, promises.settle_done
        ));
    }
    if checked.tail > promises.appended.max(promises.settle_asked) {
        return Err(format!("more is there than was appended: {}", checked.tail));
    }
    if go_on {
        store.promises.frames.split_off(&checked.tail);
        store.promises.appended = checked.tail;
        store.promises.acknowledged = checked.tail;
        let failed = |error: SpillError| format!("does not go on: {error}");
        store.append(3, 0).map_err(failed)?;
        store.commit().map_err(failed)?;
        store.read(u64::MAX)?.map_err(failed)?;
        if store.delivered != checked.tail + 3 {
            return Err(format!("goes on up to {} of {}", store.delivered, checked.tail + 3));
        }
    }
    Ok(())
}
