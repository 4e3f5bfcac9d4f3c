//! An open store with named cursors: the real machine and the real files, and between them a thread that is played here, with what was promised to each reader.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use aqueduct::framework::spill::cursors::{Cursors, Effect};
use aqueduct::framework::spill::{Found, Persist, Retention, SpillError, SpillOptions, Storage};

use super::promised::{Crowd, Kept, check_found};
use crate::disk::SimDisk;
use crate::random::Random;
use crate::store::{self, Store};

pub(super) const NAMES: [&str; 3] = ["away", "quick", "slow"];

const RETENTION: Retention = Retention {
    bytes: 400_000,
    age: Some(std::time::Duration::from_secs(60)),
    max_cursors: NAMES.len() as u64,
};

pub(super) fn options() -> SpillOptions {
    SpillOptions {
        persist: Persist::Always,
        retention: Some(RETENTION),
        ..store::options()
    }
}

/// What one cursor must say of itself while the store is open, kept in the plainest way.
#[derive(Debug, Default)]
struct Reader {
    ticket: Option<u64>,
    position: u64,
    read: u64,
    fetching: bool,
    /// What it was moved past.
    passed: BTreeSet<u64>,
    told: u64,
}

#[derive(Debug)]
enum Answer {
    Committed(u64),
    Made(Arc<str>, bool),
    Fetched(u64, Result<Found, SpillError>),
    Persisted(Vec<(Arc<str>, u64)>),
    Dropped(Option<std::ops::Range<u64>>, bool),
}

pub(super) struct Readers {
    pub(super) store: Store,
    disk: SimDisk,
    cursors: Cursors,
    readers: BTreeMap<Arc<str>, Reader>,
    pub(super) kept: BTreeMap<Arc<str>, Kept>,
    pub(super) dropped: u64,
    /// Everything below is gone, as far as the machine was told.
    floor: u64,
    commands: VecDeque<Effect>,
    answers: VecDeque<Answer>,
    now_ns: u64,
    /// Failures it told of.
    pub(super) told: u64,
    /// Frames that came, and frames that retention passed.
    pub(super) came: u64,
    pub(super) passed: u64,
}

impl Readers {
    /// Opens a store and checks what a start finds against what was promised. `damaged` is a cursor whose file was damaged.
    pub(super) fn open(disk: SimDisk, crowd: Crowd, damaged: Option<&str>) -> Result<Result<Self, SpillError>, String> {
        let Crowd {
            promises,
            mut kept,
            mut dropped,
        } = crowd;
        let (acknowledged, appended) = (promises.acknowledged, promises.appended);
        let store = match Store::open(disk.clone(), &options(), promises) {
            Ok(store) => store,
            Err(error) => return Ok(Err(error)),
        };
        let (floor, tail) = (store.delivered, store.promises.appended);
        if !(acknowledged..=appended).contains(&tail) {
            return Err(format!(
                "acknowledged up to {acknowledged} of {appended}, there up to {tail}"
            ));
        }
        let found = store.storage.named().to_vec();
        check_found(&found, &mut kept, floor, &mut dropped, |found| {
            damaged == Some(&*found.name) || !found.whole && disk.faults_met() > 0
        })?;
        let readers = found.iter().map(|found| {
            let mut reader = Reader::default();
            if found.whole {
                reader.passed.extend(found.position..floor);
            }
            reader.position = found.position.max(floor);
            (found.name.clone(), reader)
        });
        Ok(Ok(Self {
            cursors: Cursors::new(RETENTION, floor, tail, found.clone(), 1),
            readers: readers.collect(),
            store,
            disk,
            kept,
            dropped,
            floor,
            commands: VecDeque::new(),
            answers: VecDeque::new(),
            now_ns: 1,
            told: 0,
            came: 0,
            passed: 0,
        }))
    }

    pub(super) fn crowd(&self) -> Crowd {
        Crowd {
            promises: self.store.promises.clone(),
            kept: self.kept.clone(),
            dropped: self.dropped,
        }
    }

    pub(super) fn append(&mut self, count: u64) {
        let done = self.store.append(count, 0);
        self.told += u64::from(done.is_err());
    }

    pub(super) fn commit(&mut self) {
        match self.store.commit() {
            Ok(()) => self
                .answers
                .push_back(Answer::Committed(self.store.promises.acknowledged)),
            Err(_) => self.told += 1,
        }
    }

    /// A client comes; one of its name that is there is replaced.
    pub(super) fn enter(&mut self, name: &str, newest: bool) -> Result<(), String> {
        let ticket = self.cursors.open(name, newest, self.now_ns);
        let ticket = ticket.map_err(|why| format!("{name} is refused: {why:?}"))?;
        let (name, position) = self
            .cursors
            .opened(ticket)
            .ok_or("a cursor that is opened is not open")?;
        if !self.readers.contains_key(&name) {
            // One that was to be forgotten, and is not said to be, may be there after a crash.
            let before = self.kept.remove(&name).filter(|kept| !kept.forgotten);
            let kept = Kept {
                settled: before.as_ref().map_or(0, |kept| kept.settled).max(position),
                doubted: before.is_some_and(|kept| kept.doubted),
                ..Kept::default()
            };
            self.kept.insert(name.clone(), kept);
        }
        let floor = self.floor;
        let reader = self.readers.entry(name).or_insert(Reader {
            position,
            ..Reader::default()
        });
        if reader.ticket.replace(ticket).is_some() {
            reader.let_go(floor);
        }
        (reader.read, reader.fetching) = (reader.position, false);
        Ok(())
    }

    pub(super) fn leave(&mut self, name: &str) {
        let floor = self.floor;
        let Some(reader) = self.readers.get_mut(name) else {
            return;
        };
        if let Some(ticket) = reader.ticket.take() {
            self.cursors.close(ticket, self.now_ns);
            reader.let_go(floor);
        }
    }

    pub(super) fn want(&mut self, name: &str, bytes: u64) {
        if let Some(ticket) = self.readers.get(name).and_then(|reader| reader.ticket) {
            self.cursors.want(ticket, bytes);
        }
    }

    /// The client settles a part of what it has read.
    pub(super) fn settle(&mut self, name: &str, random: &mut Random) {
        let Some((name, reader)) = self.readers.iter_mut().find(|(known, _)| &***known == name) else {
            return;
        };
        let Some(ticket) = reader.ticket else { return };
        let most = reader.read.saturating_sub(reader.position);
        let part = if random.one_in(3) { most } else { random.below(most + 1) };
        reader.position += part;
        let kept = self.kept.entry(name.clone()).or_default();
        kept.settled = kept.settled.max(reader.position);
        self.cursors.settle(ticket, reader.position, self.now_ns);
    }

    /// Time passes, and what the machine wants is handed to the thread.
    pub(super) fn tick(&mut self) {
        self.now_ns += 300_000_000;
        self.cursors.tick(self.now_ns);
        self.pump();
    }

    pub(super) fn pump(&mut self) {
        self.cursors.takes(self.store.storage.usage().bytes, false);
        while let Some(effect) = self.cursors.next_effect() {
            if let Effect::Fetch(fetch) = &effect
                && let Some(reader) = self.readers.values_mut().find(|one| one.ticket == Some(fetch.ticket))
            {
                reader.fetching = true;
            }
            self.commands.push_back(effect);
        }
    }

    /// The thread carries out what comes next. Expires everything that it may, when `old`.
    pub(super) fn work(&mut self, old: bool) -> Result<(), String> {
        let Some(effect) = self.commands.pop_front() else {
            return Ok(());
        };
        let answer = match effect {
            Effect::Release(position) => {
                self.told += u64::from(self.store.storage.settle(position).is_err());
                return Ok(());
            }
            Effect::Make { name, position } => {
                let done = self.store.storage.make_named(&name, position).is_ok();
                if let Some(kept) = self.kept.get_mut(&name) {
                    (kept.made, kept.doubted) = (done, !done);
                    kept.durable = if done { position } else { 0 };
                }
                let there = self
                    .disk
                    .paths()
                    .contains(&format!("/store/cursors/{name}.cursor").into());
                if !done && there && self.disk.faults_met() == 1 {
                    return Err(format!("{name} could not be made, and will be there at the next start"));
                }
                Answer::Made(name, done)
            }
            Effect::Fetch(fetch) => {
                let found = self.store.storage.read(fetch.from, fetch.to, fetch.bytes);
                Answer::Fetched(fetch.ticket, found)
            }
            Effect::Persist(positions) => self.persist(positions),
            Effect::DropOldest { to } => self.drop(|storage| storage.drop_oldest_segment(0..to)),
            Effect::Expire { to } => {
                let age = if old { Duration::ZERO } else { Duration::MAX };
                self.drop(|storage| storage.expire(to, age))
            }
        };
        self.answers.push_back(answer);
        Ok(())
    }

    fn persist(&mut self, mut positions: Vec<(Arc<str>, u64)>) -> Answer {
        positions.retain(|(name, position)| {
            let done = self.store.storage.settle_named(name, *position).is_ok();
            self.told += u64::from(!done);
            if let Some(kept) = self.kept.get_mut(name).filter(|_| done) {
                kept.durable = kept.durable.max(*position);
            }
            done
        });
        Answer::Persisted(positions)
    }

    fn drop(&mut self, drop: impl FnOnce(&mut Storage) -> Result<Option<std::ops::Range<u64>>, SpillError>) -> Answer {
        let at_risk = self.end_of_the_oldest();
        let dropped = drop(&mut self.store.storage);
        let end = match &dropped {
            Ok(range) => range.as_ref().map_or(0, |range| range.end),
            // It may have been noted that it is gone.
            Err(_) => at_risk,
        };
        self.dropped = self.dropped.max(end);
        self.told += u64::from(dropped.is_err());
        let failed = dropped.is_err();
        Answer::Dropped(dropped.ok().flatten(), failed)
    }

    /// Where the oldest segment ends, as the names of the files say.
    fn end_of_the_oldest(&self) -> u64 {
        let paths = self.disk.paths();
        let firsts = paths.iter().filter_map(|path| {
            path.to_str()?
                .strip_prefix("/store/")?
                .strip_suffix(".redb")?
                .parse()
                .ok()
        });
        let firsts: BTreeSet<u64> = firsts.collect();
        firsts
            .iter()
            .nth(1)
            .copied()
            .unwrap_or(self.store.promises.acknowledged)
    }

    /// The machine hears the next answer.
    pub(super) fn hear(&mut self) -> Result<(), String> {
        let Some(answer) = self.answers.pop_front() else {
            return Ok(());
        };
        match answer {
            Answer::Committed(tail) => self.cursors.committed(tail),
            Answer::Made(name, true) => self.cursors.made(&name),
            Answer::Made(name, false) => {
                self.told += 1;
                self.cursors.not_made(&name);
                self.readers.remove(&name);
            }
            Answer::Fetched(ticket, Ok(found)) => self.fetched(ticket, &found)?,
            Answer::Fetched(ticket, Err(_)) => {
                self.told += 1;
                self.cursors.fetch_failed(ticket);
                if let Some(reader) = self.readers.values_mut().find(|one| one.ticket == Some(ticket)) {
                    reader.fetching = false;
                    reader.retained_from(self.floor);
                }
            }
            Answer::Persisted(positions) => self.cursors.persisted(&positions),
            Answer::Dropped(_, true) => self.cursors.drop_failed(),
            Answer::Dropped(range, false) => {
                self.floor = self.floor.max(range.as_ref().map_or(0, |range| range.end));
                self.cursors.dropped(range);
                for reader in self.readers.values_mut() {
                    reader.retained_from(self.floor);
                }
            }
        }
        Ok(())
    }

    fn fetched(&mut self, ticket: u64, found: &Found) -> Result<(), String> {
        let told = self.cursors.fetched(ticket, found);
        let known = self.readers.iter_mut().find(|(_, one)| one.ticket == Some(ticket));
        let Some((name, reader)) = known else { return Ok(()) };
        if found.unreadable > 0 {
            return Err(format!("{} frames are said to be damaged for {name}", found.unreadable));
        }
        let mut at = reader.read;
        let mut missing = 0;
        for (start, end) in found
            .batches
            .iter()
            .map(|(position, batch)| (*position, *position + batch.len() as u64))
        {
            missing += reader.miss(name, at..start, self.dropped)?;
            at = end;
        }
        missing += reader.miss(name, at..found.next, self.dropped)?;
        self.came += store::check(&self.store.promises, reader.read, found.next, &found.batches, missing)
            .map_err(|why| format!("{name}: {why}"))?;
        (reader.read, reader.fetching) = (found.next, false);
        let expected = (!found.batches.is_empty()).then(|| reader.passed.len() as u64 - reader.told);
        if told != expected {
            return Err(format!(
                "{name} is told that it was moved past {told:?} frames, of {expected:?}"
            ));
        }
        reader.told += told.unwrap_or(0);
        Ok(())
    }

    /// Everything that was begun is done, and each cursor says of itself what is so.
    pub(super) fn settle_down(&mut self) -> Result<(), String> {
        for _ in 0..1_000 {
            self.pump();
            if self.commands.is_empty() && self.answers.is_empty() {
                return self.check_all();
            }
            self.work(false)?;
            self.hear()?;
        }
        Err("there is no end to what the cursors want".to_owned())
    }

    fn check_all(&mut self) -> Result<(), String> {
        self.passed = 0;
        for reached in self.cursors.all() {
            let name = reached.name;
            let reader = self
                .readers
                .get(name)
                .ok_or_else(|| format!("nobody made a cursor {name}"))?;
            let (is, must) = (
                (reached.position, reached.passed_frames, reached.open),
                (reader.position, reader.passed.len() as u64, reader.ticket.is_some()),
            );
            if is != must {
                return Err(format!(
                    "{name} says that position, frames passed and open are {is:?}, they are {must:?}"
                ));
            }
            self.passed += reached.passed_frames;
        }
        Ok(())
    }

    /// Every reader reads to the end.
    pub(super) fn drain(&mut self) -> Result<(), String> {
        let names: Vec<_> = self.readers.keys().cloned().collect();
        let tail = self.store.promises.acknowledged;
        self.cursors.committed(tail);
        for name in names {
            self.enter(&name, false)?;
            for _ in 0..10_000 {
                if self.readers[&name].read >= tail {
                    break;
                }
                self.want(&name, 20_000);
                self.settle_down()?;
            }
            let read = self.readers[&name].read;
            if read < tail {
                return Err(format!("{name} stands still at {read} of {tail}"));
            }
        }
        Ok(())
    }

    /// Ends as a pipeline does: what is settled is made durable.
    pub(super) fn close(mut self) -> Result<Crowd, String> {
        self.settle_down()?;
        self.persist(self.cursors.unpersisted());
        let crowd = self.crowd();
        let _ = self.store.storage.close();
        Ok(crowd)
    }
}

impl Reader {
    fn let_go(&mut self, floor: u64) {
        self.passed.extend(self.position..floor);
        self.position = self.position.max(floor);
    }

    fn retained_from(&mut self, floor: u64) {
        match self.ticket {
            None => self.let_go(floor),
            Some(_) if self.fetching => {}
            Some(_) => {
                self.passed.extend(self.read..floor);
                self.read = self.read.max(floor);
            }
        }
    }

    /// These did not come: only retention may have taken them.
    fn miss(&mut self, name: &str, range: std::ops::Range<u64>, dropped: u64) -> Result<u64, String> {
        if !range.is_empty() && range.end > dropped {
            return Err(format!(
                "{name} misses {range:?}, and only what is below {dropped} was to go"
            ));
        }
        self.passed.extend(range.clone());
        Ok(range.end.saturating_sub(range.start))
    }
}
