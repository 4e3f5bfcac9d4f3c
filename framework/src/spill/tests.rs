//! The machine, the thread and real files together, as the actor drives them.

mod full;

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::fifo::{Effect, Fifo, Mode};
use super::testing::{batch_of, text};
use super::thread::{Failure, SpillThread, StorageCommand, StorageEvent};
use super::{Persist, SpillOptions, WhenFull};
use crate::receipt::{Fate, Ledger, Settled};

struct Store {
    fifo: Fifo,
    thread: SpillThread,
    events: Receiver<StorageEvent>,
    ledger: Arc<Ledger>,
    acknowledged: Arc<Mutex<Vec<u64>>>,
    delivered: Vec<String>,
    deliver: bool,
    failures: usize,
    finished: bool,
}

/// Only ends a test that would hang.
const STANDSTILL: Duration = Duration::from_secs(10);

fn options(path: &Path, persist: Persist) -> SpillOptions {
    SpillOptions {
        memory_bytes: 50_000,
        segment_bytes: 200_000,
        commit_bytes: 50_000,
        commit_delay: std::time::Duration::ZERO,
        read_ahead_bytes: 60_000,
        persist,
        ..SpillOptions::new(path)
    }
}

impl Store {
    fn open(options: &SpillOptions) -> Self {
        let (report, events) = channel();
        let (thread, recovered) = SpillThread::start("test", options, move |event| {
            let _ = report.send(event);
        })
        .unwrap();
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let told = acknowledged.clone();
        Self {
            fifo: Fifo::new(options, recovered),
            thread,
            events,
            ledger: Ledger::counting(move |settled| {
                if settled.fate == Fate::Delivered {
                    told.lock().unwrap().push(settled.token);
                }
            }),
            acknowledged,
            delivered: Vec::new(),
            deliver: false,
            failures: 0,
            finished: false,
        }
    }

    fn append(&mut self, first: u64) {
        let lines: Vec<String> = (first..first + 100).map(line).collect();
        let mut batch = batch_of(first, lines.iter().map(String::as_str));
        batch.receipt = self.ledger.issue(first, 1);
        while !self.fifo.may_accept() {
            self.fifo.tick(0);
            self.effects();
            self.wait();
        }
        self.fifo.append(batch, 0);
        self.effects();
    }

    fn wait(&mut self) {
        let event = self.events.recv_timeout(STANDSTILL);
        self.heard(event.unwrap_or_else(|_| panic!("the store has come to a stop: {:?}", self.fifo.state())));
    }

    fn heard(&mut self, event: StorageEvent) {
        match event {
            StorageEvent::Committed { tail, usage } => self.fifo.committed(tail, usage),
            StorageEvent::ReadDone { found, .. } => self.fifo.read_done(found),
            StorageEvent::Settled { position, usage } => self.fifo.cursor_persisted(position, usage),
            StorageEvent::OldestDropped { range, usage } => self.fifo.oldest_dropped(range, usage),
            StorageEvent::Failed { what, error } => {
                assert_eq!(what, Failure::Write);
                self.failures += 1;
                self.fifo.write_failed(0, error.is_full());
            }
            StorageEvent::Closed { error, .. } => panic!("closed: {error:?}"),
            StorageEvent::Named { .. } | StorageEvent::Checked { .. } => panic!("nobody asked: {event:?}"),
        }
        self.effects();
    }

    fn effects(&mut self) {
        while let Some(effect) = self.fifo.next(self.deliver) {
            let command = match effect {
                Effect::Hand {
                    token, epoch, batch, ..
                } => {
                    self.delivered.extend(text(&batch));
                    let fate = Fate::Delivered;
                    self.fifo.settled(Settled {
                        token,
                        epoch,
                        fate,
                        done_below: 0,
                    });
                    continue;
                }
                Effect::SettleUpstream { receipt, fate } => {
                    receipt.settle(fate);
                    continue;
                }
                Effect::Finished => {
                    self.finished = true;
                    continue;
                }
                Effect::Write { generation, batches } => StorageCommand::Append { generation, batches },
                Effect::Read { from, to, bytes } => StorageCommand::Read { from, to, bytes },
                Effect::PersistCursor { position } => StorageCommand::Settle { position },
                Effect::DropOldest { from, to } => StorageCommand::DropOldest { from, to },
            };
            assert!(self.thread.send(command));
        }
    }

    fn finish(&mut self) {
        self.effects();
        while !self.finished {
            self.wait();
        }
    }
}

fn line(number: u64) -> String {
    format!("{number:099}")
}

fn lines(count: u64) -> Vec<String> {
    (0..count).map(line).collect()
}

fn segments(path: &Path) -> usize {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    entries.filter(|name| name.to_string_lossy().ends_with(".redb")).count()
}

#[test]
fn order_holds_across_memory_and_disk_and_the_disk_is_given_back() {
    for persist in [Persist::Overflow, Persist::Always] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&options(folder.path(), persist));
        for batch in 0..100 {
            store.append(batch * 100);
        }
        assert!(store.fifo.state().disk_bytes > 0);
        store.deliver = true;
        for batch in 100..200 {
            store.append(batch * 100);
        }
        store.fifo.finish_when_empty();
        store.finish();
        assert!(store.delivered == lines(20_000), "{persist:?}");
        assert_eq!(store.acknowledged.lock().unwrap().len(), 200);
        assert!(store.thread.close());
        assert!(segments(folder.path()) <= 1, "settled segments are deleted");
    }
}

#[test]
fn what_is_in_memory_at_shutdown_is_there_after_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), Persist::Overflow);
    let mut store = Store::open(&options);
    store.append(0);
    assert_eq!(store.fifo.state().mode, Mode::Memory);
    store.fifo.stop_delivering();
    store.fifo.persist_rest();
    store.finish();
    assert_eq!(*store.acknowledged.lock().unwrap(), [0]);
    assert!(store.thread.close());
    let mut store = Store::open(&options);
    store.deliver = true;
    store.append(100);
    store.fifo.finish_when_empty();
    store.finish();
    assert_eq!(store.delivered, lines(200));
}

#[test]
fn nothing_is_acknowledged_by_a_failed_write_and_it_resumes_by_itself() {
    let parent = tempfile::tempdir().unwrap();
    let (folder, away) = (parent.path().join("store"), parent.path().join("away"));
    let mut store = Store::open(&options(&folder, Persist::Always));
    fs::rename(&folder, &away).unwrap();
    store.append(0);
    while store.failures == 0 {
        store.wait();
    }
    assert!(store.acknowledged.lock().unwrap().is_empty());
    fs::rename(&away, &folder).unwrap();
    store.append(100);
    store.fifo.tick(2_000_000_000);
    store.deliver = true;
    store.fifo.finish_when_empty();
    store.finish();
    assert_eq!(store.delivered, lines(200));
    assert_eq!(*store.acknowledged.lock().unwrap(), [0, 100]);
}

#[test]
fn a_small_store_goes_on_dropping_its_oldest_frames_although_memory_holds_copies_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&SpillOptions {
        memory_bytes: 8_000_000,
        memory_age: Duration::ZERO,
        commit_bytes: 8_000_000,
        segment_bytes: 1_000_000,
        max_bytes: 4_000_000,
        when_full: WhenFull::DropOldest,
        ..SpillOptions::new(folder.path())
    });
    for batch in 0..2_000 {
        store.append(batch * 100);
    }
    let dropped = store.fifo.state().dropped.oldest;
    store.deliver = true;
    store.fifo.finish_when_empty();
    store.finish();
    assert!(dropped > 0);
    let kept = store.delivered.len() as u64;
    assert_eq!(kept + store.fifo.state().dropped.oldest, 200_000);
    assert!(store.delivered == lines(200_000)[200_000 - kept as usize..]);
}

#[test]
fn a_full_store_keeps_to_its_bound_with_what_the_engine_needs() {
    for (max_bytes, commit_bytes) in [
        (1 << 20, 8 << 20),
        (1 << 20, 20_000),
        (4 << 20, 1 << 20),
        (16 << 20, 4 << 20),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&SpillOptions {
            memory_bytes: 50_000,
            segment_bytes: 256 << 20,
            max_bytes,
            commit_bytes,
            ..options(folder.path(), Persist::Always)
        });
        let mut batches = 0;
        loop {
            while let Ok(event) = store.events.try_recv() {
                store.heard(event);
            }
            if store.fifo.may_accept() {
                store.append(batches * 100);
                batches += 1;
            } else if store.fifo.state().mode == Mode::Blocked && store.fifo.state().committed == batches * 100 {
                break;
            } else {
                store.wait();
            }
        }
        let state = store.fifo.state();
        assert!(
            state.peak_disk_bytes <= max_bytes,
            "{max_bytes}, {commit_bytes}: {state:?}"
        );
    }
}
