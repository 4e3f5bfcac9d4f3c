use crate::config::Role;
use crate::flight::{Below, BelowEdge};
use crate::mailbox::EdgeMeters;
use crate::telemetry::{Meters, uptime_ns};

/// `source -> drain -> work -> network`, each edge with whether its upstream waits.
fn flow(waits: [bool; 3]) -> (Below, [Meters; 3]) {
    let names = ["source", "drain", "work", "network"];
    let roles = [Role::Spill, Role::Processor, Role::Sink];
    let meters = [Meters::default(), Meters::default(), Meters::default()];
    let edges = (0..3).map(|at| {
        let edge = EdgeMeters::default();
        edge.waiting_since_ns.set(u64::from(waits[at]) * uptime_ns());
        BelowEdge {
            from: names[at].into(),
            to: names[at + 1].into(),
            role: roles[at],
            edge,
            meters: meters[at].clone(),
        }
    });
    (Below::new(edges), meters)
}

#[test]
fn nobody_is_blamed_while_nobody_waits() {
    assert_eq!(flow([false, true, true]).0.blame("source"), None);
}

#[test]
fn the_last_of_those_who_wait_for_each_other_is_blamed_with_the_stores_between() {
    let (below, [drain, _, network]) = flow([true, true, true]);
    drain.say("state", "full");
    network.say("state", "waiting for a client");
    let blame = below.blame("source").expect("somebody");
    assert_eq!((blame.actor.as_str(), blame.is_work), ("network", false));
    assert_eq!(
        blame.clause,
        "drain took nothing (full), since network took nothing (waiting for a client)"
    );
    let advice = blame.advice().expect("there is a store");
    assert!(
        advice.contains("look after `network` first; `max_bytes` of `drain`"),
        "{advice}"
    );
}

#[test]
fn a_store_that_waits_for_what_it_handed_down_names_the_sink_without_lacking_demand() {
    let (below, [drain, _, network]) = flow([true, false, false]);
    drain.say("state", "full");
    assert_eq!(
        below.blame("source").expect("somebody").actor,
        "drain",
        "nobody below is in trouble"
    );
    network.say("state", "unavailable: gone");
    let blame = below.blame("source").expect("somebody");
    assert_eq!(
        blame.clause,
        "drain took nothing (full), since network took nothing (unavailable: gone)"
    );
}

#[test]
fn a_processor_that_waits_for_nobody_is_slow_itself() {
    let (below, [drain, ..]) = flow([true, true, false]);
    drain.say("state", "full");
    let blame = below.blame("source").expect("somebody");
    assert_eq!((blame.actor.as_str(), blame.is_work), ("work", true));
    assert_eq!(blame.clause, "drain took nothing (full), since work was slow");
}

#[test]
fn a_processor_that_is_long_at_one_batch_says_for_how_long() {
    let (below, [_, work, _]) = flow([true, true, false]);
    work.gauge("worker_2_busy_since_ns").set(uptime_ns() - 4_000_000_000);
    work.gauge("worker_1_busy_since_ns").set(uptime_ns() - 5_000_000);
    let clause = below.blame("source").expect("somebody").clause;
    assert!(
        clause.contains("since work had been busy with one batch for 4."),
        "{clause}"
    );
}

#[test]
fn a_sink_whose_peer_reads_nothing_says_for_how_long() {
    let (below, [.., network]) = flow([true, true, true]);
    network.say("state", "connected to host:1");
    network.gauge("stalled_since_ns").set(uptime_ns() - 3_000_000_000);
    let clause = below.blame("source").expect("somebody").clause;
    assert!(clause.contains("the peer of network had not read for 3."), "{clause}");
}
