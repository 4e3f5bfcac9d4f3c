//! The machine against a trivial model: random arrivals, commits, failures, reads, settlements, drops, crashes.

mod world;

use std::time::Duration;

use proptest::prelude::*;

use self::world::World;
use super::{Effect, Fifo};
use crate::spill::testing::batch_of;
use crate::spill::{Persist, Recovered, SpillOptions, WhenFull};

#[derive(Debug, Clone)]
enum Step {
    Append { frames: u64 },
    Commit,
    FailCommit,
    Read,
    FailRead,
    Cursor,
    FailCursor,
    DropOldest,
    Deliver { which: usize, reject: bool },
    DropBelow { which: usize, done: usize },
    Demand(bool),
    Tick { ms: u64 },
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        30 => (1_u64..6).prop_map(|frames| Step::Append { frames }),
        8 => Just(Step::Commit),
        1 => Just(Step::FailCommit),
        8 => Just(Step::Read),
        1 => Just(Step::FailRead),
        3 => Just(Step::Cursor),
        1 => Just(Step::FailCursor),
        3 => Just(Step::DropOldest),
        20 => (0_usize..4, prop::bool::weighted(0.1)).prop_map(|(which, reject)| Step::Deliver { which, reject }),
        3 => (0_usize..4, 0_usize..6).prop_map(|(which, done)| Step::DropBelow { which, done }),
        4 => prop::bool::weighted(0.7).prop_map(Step::Demand),
        5 => (1_u64..2_000).prop_map(|ms| Step::Tick { ms }),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..250)
}

fn options(persist: Persist, when_full: WhenFull) -> SpillOptions {
    SpillOptions {
        memory_bytes: 20_000,
        memory_age: Duration::from_millis(500),
        // A few batches beside what the engine may add, so that it is full now and then.
        max_bytes: super::ENGINE_BYTES + 24_000,
        when_full,
        persist,
        segment_bytes: 10_000,
        commit_bytes: 8_192,
        in_flight_bytes: 13_000,
        read_ahead_bytes: 8_192,
        ..SpillOptions::new("unused")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_reordered_or_settled_twice(
        steps in steps(),
        always in any::<bool>(),
        when_full in prop_oneof![Just(WhenFull::Block), Just(WhenFull::DropNewest), Just(WhenFull::DropOldest)],
        persist_rest in any::<bool>(),
    ) {
        let persist = if always { Persist::Always } else { Persist::Overflow };
        let mut world = World::new(options(persist, when_full));
        for step in &steps {
            world.step(step);
        }
        world.finish(persist_rest);
    }
}

#[test]
fn the_store_of_the_model_takes_frames() {
    for when_full in [WhenFull::Block, WhenFull::DropNewest, WhenFull::DropOldest] {
        let mut world = World::new(options(Persist::Always, when_full));
        world.step(&Step::Append { frames: 5 });
        assert!(world.holds_frames());
    }
}

#[test]
fn a_store_that_ends_by_force_does_not_wait_for_what_is_in_flight() {
    let mut fifo = Fifo::new(&options(Persist::Overflow, WhenFull::Block), Recovered::default());
    fifo.append(batch_of(0, ["held by a plugin that hangs"]), 0);
    assert!(matches!(fifo.next(true), Some(Effect::Hand { .. })));
    fifo.abandon();
    let rest = std::iter::from_fn(|| fifo.next(false));
    assert!(matches!(rest.last(), Some(Effect::Finished)));
}

#[test]
fn a_position_is_told_as_waiting_in_flight_or_settled() {
    let mut fifo = Fifo::new(&options(Persist::Overflow, WhenFull::Block), Recovered::default());
    for first in [0, 2, 4] {
        fifo.append(batch_of(first, ["a", "b"]), 7);
    }
    let Some(Effect::Hand { token, epoch, .. }) = fifo.next(true) else {
        panic!("the first is handed down")
    };
    let place = |handed, ahead| {
        Some(super::Place {
            handed,
            memory: true,
            disk: false,
            ahead,
        })
    };
    assert_eq!(fifo.place(1), place(true, 0));
    assert_eq!(fifo.place(5), place(false, 3), "three are handed down before it");
    fifo.settled(crate::receipt::Settled {
        token,
        epoch,
        fate: crate::receipt::Fate::Delivered,
        done_below: 0,
    });
    assert_eq!(fifo.place(1), None);
    assert_eq!(fifo.place(6), None, "it has not come");
    let mut shown = Vec::new();
    assert_eq!(fifo.show(0, 1, |position, _| shown.push(position)), Some(4));
    assert_eq!(fifo.show(4, 1, |position, _| shown.push(position)), None);
    assert_eq!(shown, [2, 4]);
    assert!(fifo.on_disk_only().is_empty());
}
