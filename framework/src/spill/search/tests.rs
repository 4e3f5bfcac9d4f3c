//! Searches through records that a test lays out.

use std::time::Instant;

use super::*;
use crate::batch::{BatchBuilder, Numbers};
use crate::receipt::Receipt;

/// Frames of a record.
const PER_RECORD: u64 = 100;

/// What lies on a disk: records of batches of up to two sources, whose numbers begin again with each epoch and have gaps.
struct Disk(Vec<Peeked>);

impl Disk {
    /// `epochs` runs of `frames` frames each. Every third batch is of `other`, and of its frames only the even ones are left.
    fn new(epochs: u64, frames: u64) -> Self {
        let (mut records, mut position) = (Vec::new(), 0);
        for epoch in 1..=epochs {
            let mut next = [0, 0];
            while next[0] < frames {
                let mut record = Peeked::default();
                for source in [0, 0, 1] {
                    let batch = batch(["plant", "other"][source], epoch, &mut next[source]);
                    let first = position;
                    position += batch.len() as u64;
                    record.batches.push((first, batch));
                }
                record.next = position;
                records.push(record);
            }
        }
        Self(records)
    }

    fn end(&self) -> u64 {
        self.0.last().map_or(0, |record| record.next)
    }

    fn peek(&self, at: u64) -> &Peeked {
        let record = self.0.iter().find(|record| record.next > at);
        record.expect("only what is there is looked at")
    }

    /// Epochs and positions of what is found from `start` on, and how many looks that took.
    fn search(&self, wanted: Wanted, start: u64, ascending: bool) -> (Vec<(u64, u64)>, usize) {
        let query = Query {
            wanted,
            ids: None,
            deadline: Instant::now(),
        };
        let (mut search, mut looks) = (Search::new(Arc::new(query), start..self.end(), ascending), 0);
        while let Some(at) = search.next() {
            search.take(self.peek(at));
            looks += 1;
            assert!(looks < 10_000, "it never ends");
        }
        let searched = search.end();
        assert_eq!(searched.ended_at, None);
        let found = searched.found.into_iter();
        (found.map(|(position, found)| (found.epoch, position)).collect(), looks)
    }

    /// The truth.
    fn all(&self, source: &str, seq: u64, start: u64) -> Vec<(u64, u64)> {
        let batches = self.0.iter().flat_map(|record| &record.batches);
        let frames = batches.flat_map(|(first, batch)| batch.frames().map(move |frame| (*first, frame)));
        let meant = frames.filter(|(_, frame)| frame.source() == source && frame.number() == seq);
        let found = meant.map(|(first, frame)| (frame.batch().numbers.epoch, first + frame.index() as u64));
        found.filter(|(_, position)| *position >= start).collect()
    }
}

fn batch(source: &str, epoch: u64, next: &mut u64) -> Batch {
    let mut builder = BatchBuilder::new(&Numbers::new(source.into(), epoch, 0, 0));
    for _ in 0..PER_RECORD / 3 {
        builder.push_span(format!("<{source} {epoch} {next}>").as_bytes(), *next);
        *next += if source == "other" { 2 } else { 1 };
    }
    builder.finish(0, None, Receipt::none())
}

fn number(source: &str, seq: u64) -> Wanted {
    Wanted::Number {
        source: source.into(),
        seq,
    }
}

#[test]
fn every_number_is_found_in_every_epoch_and_no_other() {
    for epochs in 1..4 {
        let disk = Disk::new(epochs, 1_000);
        for (source, seq) in (0..1_100).flat_map(|seq| [("plant", seq), ("other", seq), ("third", seq)]) {
            for start in [0, 50, disk.end() / 2, disk.end() - 1] {
                let (found, _) = disk.search(number(source, seq), start, true);
                assert_eq!(
                    found,
                    disk.all(source, seq, start),
                    "{source}:{seq} from {start} on, {epochs} epochs"
                );
            }
        }
    }
}

#[test]
fn a_number_takes_few_looks_however_much_is_on_disk() {
    let disk = Disk::new(2, 200_000);
    assert!(disk.0.len() > 5_000);
    let (found, looks) = disk.search(number("plant", 123_456), 0, true);
    assert_eq!(found.len(), 2);
    assert!(looks < 100, "{looks} looks");
}

#[test]
fn a_number_that_came_late_is_found_by_going_through_all() {
    let mut disk = Disk::new(1, 1_000);
    let record = disk.0.remove(2);
    disk.0.push(record);
    let mut position = 0;
    for record in &mut disk.0 {
        for (first, batch) in &mut record.batches {
            *first = position;
            position += batch.len() as u64;
        }
        record.next = position;
    }
    let (found, looks) = disk.search(number("plant", 150), 0, false);
    assert_eq!(found, disk.all("plant", 150, 0));
    assert_eq!((found.len(), looks), (1, disk.0.len()));
}

#[test]
fn an_id_is_found_wherever_it_is_and_what_is_damaged_is_passed_over() {
    let mut disk = Disk::new(1, 1_000);
    disk.0[3] = Peeked {
        next: disk.0[3].next,
        damaged: true,
        ..Peeked::default()
    };
    let (found, looks) = disk.search(Wanted::Id("<plant 1 700>".into()), 0, true);
    assert_eq!(found, disk.all("plant", 700, 0));
    assert_eq!(looks, disk.0.len());
    for wanted in [number("plant", 700), number("other", 40)] {
        assert_eq!(disk.search(wanted, 0, true).0.len(), 1);
    }
}

#[test]
fn a_search_that_is_ended_says_how_far_it_came() {
    let disk = Disk::new(1, 1_000);
    let query = Query {
        wanted: Wanted::Id("<plant 1 3>".into()),
        ids: None,
        deadline: Instant::now(),
    };
    let mut search = Search::new(Arc::new(query), 0..disk.end(), true);
    search.take(disk.peek(0));
    let searched = search.end();
    assert_eq!(searched.ended_at, Some(disk.0[0].next));
    assert_eq!(searched.found.len(), 1);
}
