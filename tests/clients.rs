//! Several clients of one sink: `clients = "named"`, where each gets everything from where it stopped, and `clients = "all"`.

mod acknowledged;
mod all;
mod strangers;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::harness::{Destination, Feeder, Folder, Messages, Program, Sequence};

const MESSAGES: Messages = Messages::SHORT;

/// Small buffers, so that a client that takes nothing is stuck soon.
const BUFFER: usize = 16 * 1024;

const TOKENS: &str = r#"tokens = { billing = "token-of-billing", audit = "token-of-audit" }"#;

fn pipeline(retained: &str, sink: &str) -> String {
    format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data", persist = "always", {retained} }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0", clients = "named", send_buffer_bytes = {BUFFER}, {sink} }}
        "#
    )
}

fn run(folder: &Folder) -> Program {
    folder.run_pipeline(&pipeline(r#"retain_bytes = "1 GiB""#, TOKENS))
}

fn feed(program: &Program, first: u64, last: u64) {
    let before = program.status_of("p").number("source", "settled");
    Feeder::connect(program.address_of("source"), MESSAGES).send(first..=last);
    program.wait_for("all is durable", |status| {
        status.number("source", "settled") == before + last + 1 - first
    });
}

fn client(program: &Program, name: &str) -> Destination {
    Destination::connect_small(program.address_of("network"), MESSAGES, BUFFER).saying(&format!("token-of-{name}\n"))
}

/// Waits until the store knows that this client has all.
fn wait_settled(program: &Program, clients: usize) {
    program.wait_for("all clients have all", |status| {
        let said = &status.actor("network").meters.texts;
        let all = said.iter().filter(|(name, _)| name.starts_with("client "));
        let done = all.filter(|(_, text)| text.contains(", 0 frames behind")).count();
        done == clients
    });
}

#[test]
fn each_client_gets_everything_in_order_from_where_it_stopped_however_long_it_was_away() {
    let (folder, last) = (Folder::new(), 30_000);
    let program = run(&folder);
    feed(&program, 1, 10_000);
    let (mut audited, mut billed) = (Sequence::default(), Sequence::default());
    let mut billing = client(&program, "billing");
    billing.take(3_000, &mut billed);
    billing.leave(&mut billed);
    let mut audit = client(&program, "audit");
    audit.take_through(10_000, &mut audited);
    feed(&program, 10_001, last);
    audit.take_through(last, &mut audited);
    audited.assert_is(1, last);
    for _ in 0..5 {
        let mut billing = client(&program, "billing");
        billing.take(1_000, &mut billed);
        billing.leave(&mut billed);
    }
    client(&program, "billing").take_through(last, &mut billed);
    billed.assert_is(1, last);
    wait_settled(&program, 2);
    program.stop();
}

#[test]
fn after_an_orderly_end_each_goes_on_exactly_where_it_stopped() {
    let (folder, last) = (Folder::new(), 20_000);
    let (mut audited, mut billed) = (Sequence::default(), Sequence::default());
    let program = run(&folder);
    feed(&program, 1, last);
    client(&program, "audit").take_through(last, &mut audited);
    let mut billing = client(&program, "billing");
    billing.take(3_000, &mut billed);
    program.terminate();
    // It takes what it was sent to the end.
    billing.take_all(&mut billed);
    let mut program = program;
    assert_eq!(program.exit_code(), 0);
    let program = run(&folder);
    client(&program, "billing").take_through(last, &mut billed);
    billed.assert_is(1, last);
    feed(&program, last + 1, last + 100);
    client(&program, "audit").take_through(last + 100, &mut audited);
    audited.assert_is(1, last + 100);
    program.stop();
}

#[test]
fn kill_9_leaves_no_gap_for_anybody() {
    let (folder, last) = (Folder::new(), 20_000);
    let (mut audited, mut billed) = (Sequence::default(), Sequence::default());
    let mut program = run(&folder);
    feed(&program, 1, last);
    for round in 0..3 {
        let mut billing = client(&program, "billing");
        billing.take(2_000, &mut billed);
        let mut audit = client(&program, "audit");
        audit.take_through(5_000 * (round + 1), &mut audited);
        program.kill();
        // What the dead program's kernel had taken still arrives.
        billing.take_all(&mut billed);
        audit.take_all(&mut audited);
        program = run(&folder);
    }
    for (name, seen) in [("audit", &mut audited), ("billing", &mut billed)] {
        client(&program, name).take_through(last, seen);
        seen.repeats();
        assert_eq!((seen.first(), seen.last()), (1, last), "{name}");
    }
    program.stop();
}

#[test]
fn who_leaves_is_counted_by_how() {
    let folder = Folder::new();
    let program = run(&folder);
    feed(&program, 1, 100);
    let mut seen = [Sequence::default(), Sequence::default()];
    let (mut billing, mut audit) = (client(&program, "billing"), client(&program, "audit"));
    billing.take_through(100, &mut seen[0]);
    audit.take_through(100, &mut seen[1]);
    billing.leave(&mut seen[0]);
    audit.reset();
    let status = program.wait_for("both have left", |status| status.number("network", "disconnects") == 2);
    let reasons = ["failures_peer_closed", "failures_reset"].map(|name| status.number("network", name));
    assert_eq!(reasons, [1, 1]);
    program.stop();
}

#[test]
fn what_the_framing_cannot_hold_counts_as_rejected_and_not_as_delivered() {
    let folder = Folder::new();
    let framing = r#"framing = { type = "length_delimited", header_bytes = 1 }"#;
    let program = folder.run_pipeline(&pipeline(
        r#"retain_bytes = "1 GiB""#,
        &format!(r#"tokens = {{ billing = "token-of-billing" }}, {framing}"#),
    ));
    let lines = format!("first\n{}\nlast\n", "x".repeat(300));
    Feeder::connect(program.address_of("source"), MESSAGES).send_text(&lines);
    let mut billing = TcpStream::connect(program.address_of("network")).unwrap();
    billing.write_all(b"token-of-billing\n").unwrap();
    let mut came = [0; 11];
    billing.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"\x05first\x04last");
    let status = program.wait_for("all is settled", |status| status.number("network", "bytes_out") > 0);
    let counted = ["frames_in", "rejected", "frames_out", "bytes_in", "bytes_out"];
    assert_eq!(counted.map(|name| status.number("network", name)), [3, 1, 2, 309, 9]);
    program.stop_having_lost(1);
}

#[test]
fn a_client_that_takes_nothing_slows_nobody() {
    let (folder, last) = (Folder::new(), 50_000);
    let program = run(&folder);
    let (mut audited, mut billed) = (Sequence::default(), Sequence::default());
    let mut stuck = client(&program, "billing");
    feed(&program, 1, last);
    let mut audit = client(&program, "audit");
    audit.take_through(last, &mut audited);
    audited.assert_is(1, last);
    let status = program.wait_for("it is told who is behind", |status| {
        status.number("network", "frames_behind") > last / 2
    });
    assert_eq!(status.number("network", "clients"), 2);
    stuck.take_through(last, &mut billed);
    billed.assert_is(1, last);
    program.stop();
}

#[test]
fn who_comes_anew_under_its_name_takes_the_place_of_its_older_connection() {
    let (folder, last) = (Folder::new(), 20_000);
    let program = run(&folder);
    feed(&program, 1, last);
    let mut seen = Sequence::default();
    let mut older = client(&program, "billing");
    older.take(100, &mut seen);
    let mut newer = client(&program, "billing");
    program
        .log
        .first(&["billing came anew: its older connection is closed"]);
    // What was under way to it arrives, then its end.
    older.take_all(&mut seen);
    newer.take_through(last, &mut seen);
    seen.repeats();
    assert_eq!((seen.first(), seen.last()), (1, last));
    let status = program.status_of("p");
    assert_eq!(status.number("network", "clients"), 1);
    program.stop();
}

#[test]
fn a_client_that_retention_passes_is_told_of_and_its_loss_counted_to_the_frame() {
    let (folder, last) = (Folder::new(), 60_000);
    let program = folder.run_pipeline(&pipeline(r#"retain_bytes = "1 MiB""#, TOKENS));
    feed(&program, 1, 1_000);
    let (mut audited, mut billed) = (Sequence::default(), Sequence::default());
    let mut billing = client(&program, "billing");
    billing.take_through(1_000, &mut billed);
    billing.leave(&mut billed);
    let mut audit = client(&program, "audit");
    for block in 0..59 {
        feed(&program, block * 1_000 + 1_001, block * 1_000 + 2_000);
        audit.take_through(block * 1_000 + 2_000, &mut audited);
    }
    audited.assert_is(1, last);
    client(&program, "billing").take_through(last, &mut billed);
    let gaps = billed.gaps();
    let [(from, to)] = gaps.as_slice() else {
        panic!("one gap was expected: {gaps:?}");
    };
    assert_eq!(*from, 1_001);
    let lost = to + 1 - from;
    program.log.first(&[&format!("billing has lost {lost} frames")]);
    let status = program.wait_for("status tells of it", |status| {
        let said = status.actor("network").meters.texts.get("client billing");
        said.is_some_and(|said| said.contains(&format!("{lost} lost to retention")))
    });
    assert_eq!(status.number("network", "frames_passed"), lost);
    program.stop();
}

#[test]
fn a_new_client_begins_with_the_next_frame_where_that_is_wanted() {
    let folder = Folder::new();
    let sink = r#"any_name = true, new_clients = "newest""#;
    let program = folder.run_pipeline(&pipeline(r#"retain_bytes = "1 GiB""#, sink));
    feed(&program, 1, 1_000);
    let mut seen = Sequence::default();
    let mut late = Destination::connect(program.address_of("network"), MESSAGES).saying("latecomer\r\n");
    program.log.first(&["latecomer is here", "0 frames wait for it"]);
    feed(&program, 1_001, 2_000);
    late.take_through(2_000, &mut seen);
    seen.assert_is(1_001, 2_000);
    program.stop();
}

#[test]
fn status_tells_who_is_here_and_who_is_away() {
    let folder = Folder::new();
    let program = run(&folder);
    feed(&program, 1, 100);
    let mut seen = Sequence::default();
    let mut billing = client(&program, "billing");
    billing.take_through(100, &mut seen);
    billing.leave(&mut seen);
    let _audit = client(&program, "audit");
    program.wait_for("both are told", |_| {
        let output = folder.aqueduct(&["status"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = |start: &str| {
            text.lines()
                .find(|line| line.trim_start().starts_with(start))
                .map(str::to_owned)
        };
        let away = line("network: client billing is away since").is_some_and(|line| line.contains(", 0 frames behind"));
        let here = line("network: client audit is here from").is_some();
        away && here && text.contains("serving 1 client, 1 away")
    });
    program.stop();
}

#[test]
fn explain_names_the_client_that_has_gone() {
    let folder = Folder::new();
    let program = run(&folder);
    feed(&program, 1, 20_000);
    let mut seen = Sequence::default();
    let mut billing = client(&program, "billing");
    billing.take(100, &mut seen);
    billing.reset();
    program.wait_for("it is gone", |status| status.number("network", "clients") == 0);
    let output = folder.aqueduct(&["explain"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("billing reset the connection (ECONNRESET)"), "{text}");
    program.stop();
}

#[test]
fn a_client_that_takes_nothing_holds_up_the_end_no_longer_than_linger_and_misses_nothing() {
    let (folder, last) = (Folder::new(), 20_000);
    let mut seen = Sequence::default();
    let program = folder.run_pipeline(&pipeline(
        r#"retain_bytes = "1 GiB""#,
        &format!("{TOKENS}, linger = \"50ms\""),
    ));
    feed(&program, 1, last);
    let mut stuck = client(&program, "billing");
    stuck.take(100, &mut seen);
    program.stop();
    stuck.take_all(&mut seen);
    assert!(seen.last() < last);
    let program = run(&folder);
    client(&program, "billing").take_through(last, &mut seen);
    seen.repeats();
    assert_eq!((seen.first(), seen.last()), (1, last));
    program.stop();
}

#[test]
fn a_cursor_that_nobody_will_read_with_any_more_is_told_with_what_waits_for_it() {
    let folder = Folder::new();
    let program = run(&folder);
    feed(&program, 1, 50);
    client(&program, "audit").take_through(50, &mut Sequence::default());
    wait_settled_of(&program, "audit");
    program.stop();
    let program = folder.run_pipeline(&pipeline(
        r#"retain_bytes = "1 GiB""#,
        r#"tokens = { audit = "token-of-audit" }"#,
    ));
    program.log.first(&[
        "billing has a cursor in the store and no token here",
        "50 frames wait for it",
        "forget billing",
    ]);
    program.stop();
    let forget = folder.aqueduct(&["spill", "data", "forget", "billing"]);
    assert_eq!(forget.status.code(), Some(0));
    let program = folder.run(&["p.toml"]);
    program.address_of("network");
    program.status_of("p");
    let said = program.log.so_far().join("\n");
    assert!(!said.contains("has a cursor in the store"), "{said}");
    program.stop();
}

fn wait_settled_of(program: &Program, client: &str) {
    program.wait_for("it has all", |status| {
        let said = status.actor("network").meters.texts.get(&format!("client {client}"));
        said.is_some_and(|said| said.contains(", 0 frames behind"))
    });
}
