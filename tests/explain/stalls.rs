//! Peers that give up because they are not read.

use aqueduct::framework::flight::{Cause, Event, Report};

use super::{first, reports, wait_for};
use crate::harness::{CServer, Destination, Folder, Messages, Program, Sequence, wait_until};

const MESSAGES: Messages = Messages::OF_ALL_SIZES;

/// The C server, and a pipeline that reads it.
fn fed(folder: &Folder, flow: &str, options: &str, rest: &str) -> (CServer, Program) {
    fed_by(
        &["--rate", "20000000", "--exit-after-close"],
        folder,
        flow,
        options,
        rest,
    )
}

fn fed_by(server: &[&str], folder: &Folder, flow: &str, options: &str, rest: &str) -> (CServer, Program) {
    let server = CServer::start(server);
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["{flow}"]
        sources.c_server = {{ type = "tcp_client", address = "{}"{options} }}
        {rest}
        "#,
        server.address
    ));
    (server, program)
}

const REPLY: &str = r#", reply = { template = "{bytes}\n" }"#;
const SLOW: &str = r#"
        processors.work = { type = "delay", per_batch = "3 s", blocking = true }
        sinks.out = { type = "blackhole" }
"#;
const NETWORK: &str = r#"
        sinks.network = { type = "tcp_server", listen = "127.0.0.1:0", window_bytes = "256 KiB", send_buffer_bytes = "16 KiB" }
"#;

#[test]
fn a_slow_processor_without_a_store_makes_us_the_slow_reader() {
    let folder = Folder::new();
    let (server, _program) = fed(&folder, "c_server -> work -> out", "", SLOW);
    let report = first(&folder, Cause::SlowReader);
    assert_eq!(report.event, Some(Event::Stalled));
    assert!(
        report.sentence.contains("because work had been busy with one batch"),
        "{}",
        report.sentence
    );
    assert_eq!(server.event(1, "closed")["reason"], "EAGAIN");
}

#[test]
fn the_reset_of_a_slow_reader_is_not_blamed_on_the_replies_that_made_it_a_reset() {
    let folder = Folder::new();
    let slow = SLOW.replace("3 s", "500 ms");
    // A server that got no time to run sends what it owes at once, which fills its own buffer and not ours; so it is dialled again and again.
    let (_server, _program) = fed_by(
        &["--rate", "20000000"],
        &folder,
        "c_server -> work -> out",
        REPLY,
        &slow,
    );
    let report = wait_until("a report of a reset that names the slow reader", || {
        let reset = |event: &Option<Event>| matches!(event, Some(Event::Failed { .. }));
        let named = |report: &Report| reset(&report.event) && report.cause == Cause::SlowReader;
        reports(&folder).into_iter().find(named)
    });
    assert!(report.sentence.contains("ECONNRESET"), "{}", report.sentence);
    assert!(
        report.sentence.contains("because work had been busy with one batch"),
        "{}",
        report.sentence
    );
    assert!(
        report.evidence.iter().any(|line| line.contains("replies stood unread")),
        "{report:#?}"
    );
}

#[test]
fn a_destination_that_does_not_read_blocks_the_pipeline_and_is_named() {
    let folder = Folder::new();
    let (server, program) = fed(&folder, "c_server -> network", "", NETWORK);
    let mut destination = Destination::connect_small(program.address_of("network"), MESSAGES, 16 * 1024);
    let report = first(&folder, Cause::BlockedPipeline);
    assert!(
        report.sentence.contains("because the peer of network had not read for"),
        "{}",
        report.sentence
    );
    let slot = report.slots.iter().rev().find(|slot| slot.blame > 0);
    let named = slot.and_then(|slot| report.blamed.get(usize::from(slot.blame) - 1));
    assert_eq!(named.map(String::as_str), Some("network"), "{report:#?}");
    // When it reads at last, all that the server's kernel had taken comes, and then its FIN within a message.
    let closed = server.event(1, "closed");
    let (last, mut seen) = (closed["sent_messages"].as_u64().unwrap(), Sequence::default());
    destination.take_through(last, &mut seen);
    let report = wait_until("the end is told", || {
        let finished = |event: &Option<Event>| matches!(event, Some(Event::Finished { .. }));
        reports(&folder).into_iter().find(|report| finished(&report.event))
    });
    if report.event == Some(Event::Finished { partial_bytes: 0 }) {
        // The send buffer may have been full exactly between two messages, which nobody can tell from an end.
        assert_eq!(report.cause, Cause::PeerFinished, "{report:#?}");
    } else {
        assert_eq!(report.cause, Cause::BlockedPipeline, "{report:#?}");
    }
    assert!(report.sentence.contains("network"), "{}", report.sentence);
}

#[test]
fn an_absent_client_blocks_the_pipeline_and_is_named() {
    let folder = Folder::new();
    let (_server, _program) = fed(&folder, "c_server -> network", "", NETWORK);
    let report = first(&folder, Cause::BlockedPipeline);
    assert!(
        report
            .sentence
            .contains("because network took nothing (waiting for a client"),
        "{}",
        report.sentence
    );
}

/// With grants that come and go, as from a store whose disk is busy, no single wait is long.
#[test]
fn a_reset_amid_many_short_waits_is_still_blamed_on_them() {
    let folder = Folder::new();
    let paced = r#"
        processors.work = { type = "delay", per_batch = "60ms", blocking = true, window_bytes = "16 KiB" }
        sinks.out = { type = "blackhole" }
    "#;
    let (_server, _program) = fed_by(
        &["--rate", "20000000"],
        &folder,
        "c_server -> work -> out",
        REPLY,
        paced,
    );
    // As above: of one of the connections it can be said.
    wait_until("a report of a reset that names the slow reader", || {
        let reset = |event: &Option<Event>| matches!(event, Some(Event::Failed { .. }));
        let named = |report: &Report| reset(&report.event) && report.cause == Cause::SlowReader;
        reports(&folder).into_iter().find(named)
    });
}

#[test]
fn a_full_store_blocks_the_pipeline_and_is_named_with_the_destination_behind_it() {
    let folder = Folder::new();
    let store = r#"spills.drain = { directory = "data", memory_bytes = "64 KiB", max_bytes = "2 MiB", segment_bytes = "1 MiB" }"#;
    // One that waits, so that it does not close already while the disk is busy.
    let (_server, _program) = fed_by(
        &["--wait-on-eagain"],
        &folder,
        "c_server -> drain -> network",
        "",
        &format!("{store}\n{NETWORK}"),
    );
    let report = wait_for(&folder, Cause::BlockedPipeline);
    assert!(
        report
            .sentence
            .contains("drain took nothing (full up to max_bytes), since"),
        "{}",
        report.sentence
    );
    assert!(
        report
            .sentence
            .contains("since network took nothing (waiting for a client"),
        "{}",
        report.sentence
    );
    // Another store in front of it would help nobody.
    assert!(
        report.advice.contains("`drain` is full") && report.advice.contains("look after `network` first; `max_bytes`"),
        "{}",
        report.advice
    );
}
