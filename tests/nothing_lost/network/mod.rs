//! The real program between two faulty networks: what the README's guarantee table promises for each fault, checked at the destination.

pub(crate) mod acknowledged;
pub(crate) mod answered;
mod ends;
pub(crate) mod linked;
mod plan;
mod proxy;
mod trial;

use std::time::Duration;

use self::ends::Form;
use self::plan::{Break, Plan};
use self::proxy::Opens;
use crate::harness::Messages;
use crate::run::Case;

/// The faults of the matrix, each on the source's and the sink's leg, with the program dialling and listening.
const FAULTS: u64 = 7;
const MATRIX: u64 = 4 * FAULTS;
/// Behind the matrix come cases with several faults, on both legs at once.
const BOTH: u64 = 8;
/// Every fault once.
pub(crate) const CASES: u64 = MATRIX + BOTH;

pub(crate) fn play(case: &mut Case) -> Result<(), String> {
    let trial = Trial::new(case.seed.wrapping_sub(1) % CASES, &mut case.random());
    let gaps = trial.run();
    case.count("frames in order and whole", trial.last);
    let lost = gaps.iter().map(|(first, last)| last + 1 - first).sum();
    case.count("lost to resets as `written` says", lost);
    Ok(())
}

/// One side's network.
#[derive(Debug)]
struct Side {
    opens: Opens,
    plan: Plan,
}

#[derive(Debug)]
struct Trial {
    messages: Messages,
    last: u64,
    form: Form,
    source: Side,
    sink: Side,
}

impl Trial {
    fn new(which: u64, random: &mut fastrand::Rng) -> Self {
        let opens = |bit: bool| if bit { Opens::Program } else { Opens::Peer };
        let mut trial = Self {
            messages: Messages { least: 13, most: 2_000 },
            last: 3_000,
            form: if random.bool() { Form::Lines } else { Form::Lengths },
            source: Side {
                opens: opens(random.bool()),
                plan: Plan::default(),
            },
            sink: Side {
                opens: opens(random.bool()),
                plan: Plan::default(),
            },
        };
        if which < MATRIX {
            let side = if which.is_multiple_of(2) {
                &mut trial.source
            } else {
                &mut trial.sink
            };
            side.opens = opens((which / 2).is_multiple_of(2));
            let kind = which / 4;
            side.plan = plan(kind, side.opens, random);
            // One byte at a time is slow.
            if kind < 3 {
                (trial.messages, trial.last) = (Messages { least: 13, most: 200 }, 400);
            }
            if kind == 3 {
                trial.form = Form::Lines;
            }
        } else {
            trial.source.plan.breaks = breaks(random);
            trial.sink.plan.breaks = breaks(random);
            trial.sink.plan.slice_bytes = Some(random.usize(100..5_000));
            trial.source.plan.slice_bytes = Some(random.usize(100..5_000));
            trial.source.plan.stall = Some((random.u64(0..100_000), Duration::from_millis(50)));
        }
        // A FIN says that the last line is complete: only a length in front shows that it is not.
        if trial.source.plan.breaks.iter().any(is_half_close) {
            trial.form = Form::Lengths;
        }
        trial
    }
}

fn is_half_close(end: &Break) -> bool {
    matches!(end, Break::HalfCloseAt(_))
}

/// One of the faults of the matrix.
fn plan(kind: u64, opens: Opens, random: &mut fastrand::Rng) -> Plan {
    let mut plan = Plan::default();
    match kind {
        0 => {
            plan.latency = Some(Duration::from_millis(random.u64(1..20)));
            plan.slice_bytes = Some(1_000);
        }
        1 => plan.bytes_per_second = Some(random.u64(100_000..1_000_000)),
        2 => plan.slice_bytes = Some(1),
        3 => plan.breaks = (0..3).map(|_| Break::ResetAt(random.u64(1..300_000))).collect(),
        4 => plan.breaks = (0..3).map(|_| Break::HalfCloseAt(random.u64(1..300_000))).collect(),
        5 => plan.stall = Some((random.u64(0..200_000), Duration::from_millis(random.u64(100..500)))),
        // Nobody listens; or, where the program does not dial, the connection is reset before its first byte.
        _ if opens == Opens::Program => plan.refuses = true,
        _ => plan.breaks = (0..3).map(|_| Break::ResetAt(0)).collect(),
    }
    plan
}

fn breaks(random: &mut fastrand::Rng) -> std::collections::VecDeque<Break> {
    (0..random.usize(1..4))
        .map(|_| {
            let at = random.u64(0..300_000);
            if random.bool() {
                Break::ResetAt(at)
            } else {
                Break::HalfCloseAt(at)
            }
        })
        .collect()
}
