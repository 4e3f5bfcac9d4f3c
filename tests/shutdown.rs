//! The end: by a signal, by two, by the deadline, and the start after it.

use crate::harness::{Destination, Feeder, Folder, Listener, Messages, Program, Sequence};

const MESSAGES: Messages = Messages::SHORT;

#[test]
fn frames_in_memory_at_sigterm_are_all_there_after_the_restart() {
    let folder = Folder::new();
    let config = r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        spills.drain = { directory = "data", memory_age = "1h" }
        sinks.network = { type = "tcp_server", listen = "127.0.0.1:0" }
        "#;
    let program = folder.run_pipeline(config);
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=1000);
    let status = program.wait_for("all is taken in", |status| {
        status.number("drain", "waiting_frames") == 1000
    });
    assert_eq!(status.number("drain", "spilling"), 0, "all of it is in memory only");
    program.stop();
    let (program, mut seen) = (folder.run_pipeline(config), Sequence::default());
    Feeder::connect(program.address_of("source"), MESSAGES).send(1001..=1500);
    Destination::connect(program.address_of("network"), MESSAGES).take_through(1500, &mut seen);
    seen.assert_is(1, 1500);
    program.stop();
}

#[test]
fn the_end_waits_for_no_absent_destination_when_a_store_keeps_the_frames() {
    let folder = Folder::new();
    // With a deadline that no test would live to see.
    let config = r#"
        name = "p"
        shutdown.deadline = "1h"
        flow = ["source -> drain -> pick -> network"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        spills.drain = { directory = "data", memory_bytes = "64 KiB" }
        processors.pick = { type = "filter", matches = "." }
        sinks.network = { type = "tcp_server", listen = "127.0.0.1:0", window_bytes = "64 KiB" }
        "#;
    let program = folder.run_pipeline(config);
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=20_000);
    program.wait_for("all is taken in", |status| {
        status.number("drain", "waiting_frames") == 20_000 && status.edge("pick -> network").waiting_ns > 0
    });
    program.stop();
    let (program, mut seen) = (folder.run_pipeline(config), Sequence::default());
    Destination::connect(program.address_of("network"), MESSAGES).take_through(20_000, &mut seen);
    seen.assert_is(1, 20_000);
    program.stop();
}

#[test]
fn a_half_sent_frame_is_not_delivered_but_the_frames_before_it_are() {
    let folder = Folder::new();
    let mut program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["source -> out"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        sinks.out = { type = "file", path = "out.txt" }
        "#,
    );
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    feeder.send_text("whole\nhal");
    program.wait_for("it is read", |status| status.number("out", "frames_out") == 1);
    program.terminate();
    assert_eq!(program.exit_code(), 0);
    assert_eq!(folder.read("out.txt"), "whole\n");
}

#[test]
fn what_is_in_flight_is_delivered_before_the_end() {
    let (folder, listener, last) = (Folder::new(), Listener::open(None), 20_000);
    let mut program = to_a_peer(&folder, &listener, "", "source -> network");
    let source = program.address_of("source");
    let (mut destination, mut seen) = (listener.accept(MESSAGES), Sequence::default());
    let mut feeder = Feeder::connect(source, MESSAGES);
    std::thread::scope(|scope| {
        scope.spawn(|| feeder.send(1..=last));
        destination.take(last / 2, &mut seen);
    });
    program.terminate();
    destination.take_all(&mut seen);
    // Sources stop at the signal: what the pipeline had not read yet stays with the feeder's kernel and is not the pipeline's.
    let code = program.exit_code();
    assert_eq!(code, 0);
    seen.assert_is(1, seen.last());
}

#[test]
fn a_second_signal_forces_the_end_and_the_store_keeps_what_it_had() {
    let folder = Folder::new();
    let listener = Listener::open(None);
    let mut program = stuck(&folder, &listener, "1h");
    program.terminate();
    program.log.first(&["draining", "a second signal forces the end"]);
    program.terminate();
    program.log.first(&["forced"]);
    assert_eq!(program.exit_code(), 4);
    resumes(&folder, &listener);
}

#[test]
fn the_deadline_ends_the_wait_for_a_destination_that_takes_nothing() {
    let folder = Folder::new();
    let listener = Listener::open(None);
    let mut program = stuck(&folder, &listener, "300ms");
    program.terminate();
    program.log.first(&["shutdown deadline", "network"]);
    assert_eq!(program.exit_code(), 4);
    resumes(&folder, &listener);
}

#[test]
fn a_drain_that_lasts_says_at_growing_intervals_for_what_it_waits() {
    let (folder, listener) = (Folder::new(), Listener::open(None));
    let mut program = stuck(&folder, &listener, "1h");
    program.terminate();
    program.log.first(&[
        "still draining after 4 s",
        "in_flight_bytes=",
        "it waits for network",
        "connected to",
    ]);
    program.terminate();
    assert_eq!(program.exit_code(), 4);
    let log = program.log.so_far();
    let told = |what: &str| log.iter().filter(|line| line.contains(what)).count();
    assert_eq!((told("after 2 s"), told("after 3 s")), (1, 0), "{log:#?}");
}

#[test]
fn frames_that_no_store_keeps_are_lost_at_the_deadline_and_the_exit_code_says_so() {
    let (folder, listener) = (Folder::new(), Listener::open(Some(4096)));
    let mut program = to_a_peer(
        &folder,
        &listener,
        "\nshutdown.deadline = \"300ms\"",
        "source -> network",
    );
    let source = program.address_of("source");
    let _not_reading = listener.accept(MESSAGES);
    let mut feeder = Feeder::connect(source, MESSAGES);
    std::thread::scope(|scope| {
        scope.spawn(move || feeder.try_send(1..=200_000));
        program.wait_for("nothing goes on", |status| {
            status.edge("source -> network").waiting_ns > 0
        });
        program.terminate();
        assert_eq!(program.exit_code(), 3);
    });
    program.log.first(&["ended", "lost="]);
}

/// A pipeline whose destination has taken a connection but reads nothing, with more in flight than the sockets hold.
fn stuck(folder: &Folder, listener: &Listener, deadline: &str) -> Program {
    let settings = format!("\nshutdown.deadline = \"{deadline}\"");
    let program = to_a_peer(folder, listener, &settings, "source -> drain -> network");
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    feeder.send(1..=LAST);
    program.wait_for("all is on disk, and some in flight", |status| {
        status.number("source", "settled") == LAST && status.edge("drain -> network").waiting_ns > 0
    });
    program
}

const LAST: u64 = 100_000;

/// The connection of the ended program, then the one of its successor: together they carry everything.
fn resumes(folder: &Folder, listener: &Listener) {
    let mut seen = Sequence::default();
    listener.accept(MESSAGES).take_all(&mut seen);
    let program = folder.run(&["p.toml"]);
    listener.accept(MESSAGES).take_through(LAST, &mut seen);
    seen.repeats();
    assert_eq!((seen.first(), seen.last()), (1, LAST));
    program.stop();
}

fn to_a_peer(folder: &Folder, listener: &Listener, settings: &str, flow: &str) -> Program {
    let store = if flow.contains("drain") {
        "spills.drain = { directory = \"data\", persist = \"always\" }"
    } else {
        ""
    };
    folder.run_pipeline(&format!(
        r#"
        name = "p"{settings}
        flow = ["{flow}"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        {store}
        sinks.network = {{ type = "tcp_client", address = "{}", send_buffer_bytes = "16 KiB" }}
        "#,
        listener.address()
    ))
}
