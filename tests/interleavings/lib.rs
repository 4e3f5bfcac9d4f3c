//! Every order in which threads can meet over the receipts, tried by loom.
//!
//! Parts of a batch settle on the threads of workers while the actor that made them settles another, so the receipts are the one
//! state machine of the framework that threads share. Its file is compiled here once more, over loom's atomics instead of the standard
//! library's: what is checked is the code that runs. The single-threaded state machines are explored in `tests/nothing_lost`.

#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
}
#[path = "../../framework/src/receipt.rs"]
#[allow(dead_code, unreachable_pub, reason = "the framework's file, as it is")]
mod receipt;
#[path = "../../framework/src/seeded.rs"]
#[allow(dead_code, unreachable_pub, reason = "the framework's file, as it is")]
mod seeded;

use std::io::Write;
use std::sync::atomic::AtomicU64 as Count;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use self::receipt::{Fate, Ledger, Receipt, Settled};

/// Tries every order, and says how many there were.
fn every_order(what: &str, model: impl Fn() + Sync + Send + 'static) {
    let orders = Arc::new(Count::new(0));
    let counted = orders.clone();
    loom::model(move || {
        counted.fetch_add(1, Relaxed);
        model();
    });
    let line = format!("{what}: {} orders of threads\n", orders.load(Relaxed));
    // Straight to the descriptor, because the test runner keeps what passing tests print.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

#[test]
fn parts_that_settle_on_several_threads_report_once_with_the_worst_fate() {
    for fates in [
        [Fate::Delivered, Fate::Dropped, Fate::Delivered],
        [Fate::Dropped, Fate::Delivered, Fate::Rejected],
        [Fate::Delivered, Fate::Rejected, Fate::Delivered],
        [Fate::Delivered, Fate::Delivered, Fate::Delivered],
    ] {
        every_order("parts on threads", move || {
            // No part of the model: loom has enough to do.
            let begun = Arc::new(Count::new(0));
            let told = Arc::new(Mutex::new(Vec::new()));
            let (report, begun_then) = (told.clone(), begun.clone());
            let ledger = Ledger::redelivering(move |settled: Settled| {
                assert_eq!(begun_then.load(Relaxed), 3, "a part has not settled");
                report.lock().unwrap().push(settled.fate);
            });
            let whole = ledger.issue(7, 1);
            let parts = [whole.child(), whole.child()];
            let threads: Vec<_> = parts
                .into_iter()
                .zip(fates)
                .map(|(part, fate)| {
                    let begun = begun.clone();
                    thread::spawn(move || {
                        begun.fetch_add(1, Relaxed);
                        part.settle(fate);
                    })
                })
                .collect();
            begun.fetch_add(1, Relaxed);
            whole.settle(fates[2]);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            let worst = *fates.iter().max().unwrap();
            assert_eq!(*told.lock().unwrap(), [worst]);
        });
    }
}

#[test]
fn the_part_that_came_least_far_says_what_is_done_of_a_batch_that_was_dropped() {
    every_order("how far parts came", || {
        let told = Arc::new(Mutex::new(Vec::new()));
        let report = told.clone();
        let ledger = Ledger::redelivering(move |settled: Settled| report.lock().unwrap().push(settled));
        let whole = ledger.issue(7, 1);
        let (mut far, mut near, all) = (whole.child(), whole.child(), whole.child());
        let worker = thread::spawn(move || {
            far.done_below(9);
            drop(far);
            all.settle(Fate::Rejected);
        });
        near.done_below(5);
        near.done_below(3);
        drop(near);
        whole.settle(Fate::Delivered);
        worker.join().unwrap();
        let told = told.lock().unwrap();
        assert_eq!((told[0].fate, told[0].done_below), (Fate::Dropped, 5));
        assert_eq!(told.len(), 1);
    });
}

#[test]
fn a_part_that_is_parted_again_on_its_thread_holds_the_receipt_open() {
    every_order("parts of parts", || {
        let told = Arc::new(Mutex::new(Vec::new()));
        let report = told.clone();
        let ledger = Ledger::counting(move |settled| report.lock().unwrap().push(settled.fate));
        let whole = ledger.issue(7, 1);
        let part = whole.child();
        let worker = thread::spawn(move || {
            let smaller = part.child();
            part.settle(Fate::Delivered);
            // Forgotten: it counts as dropped.
            drop(smaller);
        });
        whole.settle(Fate::Delivered);
        worker.join().unwrap();
        assert_eq!(*told.lock().unwrap(), [Fate::Dropped]);
    });
}

#[test]
fn behind_the_news_of_a_drop_every_batch_of_its_epoch_is_stale_on_every_thread() {
    every_order("stale batches", || {
        let known = Arc::new(AtomicBool::new(false));
        let told = known.clone();
        let ledger = Ledger::redelivering(move |settled: Settled| {
            told.fetch_or(settled.fate == Fate::Dropped, Ordering::Release);
        });
        let (first, second, next) = (ledger.issue(1, 1), ledger.issue(2, 1), ledger.issue(1, 2));
        let dropping = thread::spawn(move || drop(first));
        let delivering = {
            let known = known.clone();
            thread::spawn(move || {
                if known.load(Ordering::Acquire) {
                    assert!(second.is_stale(), "delivered behind the drop of an earlier one");
                }
                assert!(!next.is_stale(), "the next epoch is whole");
                next.settle(Fate::Delivered);
                second.settle(Fate::Delivered);
            })
        };
        dropping.join().unwrap();
        delivering.join().unwrap();
    });
}

#[test]
fn what_was_made_of_two_batches_settles_both_once_whichever_thread_is_last() {
    every_order("joint receipts", || {
        let told = Arc::new(Mutex::new(Vec::new()));
        let report = told.clone();
        let ledger = Ledger::redelivering(move |settled| report.lock().unwrap().push((settled.token, settled.fate)));
        let (first, second) = (ledger.issue(1, 1), ledger.issue(2, 1));
        let joint = Receipt::joint([first.child(), second.child()]);
        let worker = thread::spawn(move || {
            let part = joint.child();
            joint.settle(Fate::Delivered);
            drop(part);
        });
        first.settle(Fate::Delivered);
        second.settle(Fate::Rejected);
        worker.join().unwrap();
        let mut told = told.lock().unwrap().clone();
        told.sort_unstable();
        assert_eq!(told, [(1, Fate::Dropped), (2, Fate::Dropped)]);
    });
}
