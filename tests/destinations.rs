//! Destinations that are away, slow, or come and go.

use std::net::SocketAddr;

use crate::harness::{Destination, Feeder, Folder, Listener, Messages, Program, Sequence, leave_and_come_back};

const MESSAGES: Messages = Messages::SHORT;

/// A store that keeps little in memory, so that these tests go through its files too.
fn listening(folder: &Folder, sink: &str) -> Program {
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data", memory_bytes = "128 KiB", in_flight_bytes = "64 KiB" }}
        sinks.network = {{ {sink}, window_bytes = "64 KiB", retry = {{ first = "1ms", max = "20ms" }} }}
        "#
    ))
}

const SERVER: &str = r#"type = "tcp_server", listen = "127.0.0.1:0""#;

fn dialling(address: SocketAddr) -> String {
    format!(r#"type = "tcp_client", address = "{address}""#)
}

#[test]
fn a_destination_that_is_absent_at_the_start_gets_everything_in_order_when_it_comes() {
    let (folder, last) = (Folder::new(), 20_000);
    let program = listening(&folder, SERVER);
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=last);
    let status = program.wait_for("all is taken in", |status| status.number("source", "frames_in") == last);
    assert_eq!(status.number("network", "frames_out"), 0);
    let mut seen = Sequence::default();
    Destination::connect(program.address_of("network"), MESSAGES).take_through(last, &mut seen);
    seen.assert_is(1, last);
    program.wait_for("the store is empty", |status| {
        status.number("drain", "waiting_frames") == 0
    });
    program.stop();
}

#[test]
fn a_destination_that_is_dialled_before_it_listens_gets_everything_and_its_absence_is_said_once() {
    let (folder, last) = (Folder::new(), 20_000);
    let address = Listener::open(None).address();
    let program = listening(&folder, &dialling(address));
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=last);
    program.wait_for("it was tried several times", |status| {
        status.number("network", "retries") >= 5
    });
    let said = program
        .log
        .so_far()
        .iter()
        .filter(|line| line.contains("waits in the spill store"))
        .count();
    assert_eq!(said, 1, "the missing destination is said once");
    let (listener, mut seen) = (Listener::on(address, None), Sequence::default());
    listener.accept(MESSAGES).take_through(last, &mut seen);
    seen.assert_is(1, last);
    program.stop();
}

#[test]
fn a_destination_at_half_the_speed_of_the_source_gets_everything_in_order() {
    let (folder, mut sent, mut seen) = (Folder::new(), 0, Sequence::default());
    let program = listening(&folder, &format!("{SERVER}, send_buffer_bytes = {BUFFER}"));
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    let mut destination = Destination::connect_small(program.address_of("network"), MESSAGES, BUFFER);
    for _ in 0..40 {
        feeder.send(sent + 1..=sent + 500);
        sent += 500;
        destination.take(250, &mut seen);
    }
    program.wait_for("all is taken in, and half of it waits on disk", |status| {
        status.number("source", "frames_in") == sent && status.number("drain", "peak_disk_bytes") > 0
    });
    destination.take_through(sent, &mut seen);
    seen.assert_is(1, sent);
    program.stop();
}

/// Small buffers, so that a destination that leaves does not take half of all frames along with its last ones.
const BUFFER: usize = 16 * 1024;

#[test]
fn a_client_that_leaves_with_fin_and_comes_back_ten_times_misses_nothing_and_gets_nothing_twice() {
    let folder = Folder::new();
    let program = listening(&folder, &format!("{SERVER}, send_buffer_bytes = {BUFFER}"));
    leave_and_come_back(program.address_of("source"), MESSAGES, (300, 40_000), || {
        Destination::connect_small(program.address_of("network"), MESSAGES, BUFFER)
    });
    program.stop();
}

#[test]
fn a_server_that_leaves_with_fin_and_comes_back_ten_times_misses_nothing_and_gets_nothing_twice() {
    let (folder, listener) = (Folder::new(), Listener::open(Some(BUFFER)));
    let program = listening(
        &folder,
        &format!(
            r#"{}, send_buffer_bytes = {BUFFER}, acknowledge = "kernel""#,
            dialling(listener.address())
        ),
    );
    leave_and_come_back(program.address_of("source"), MESSAGES, (300, 40_000), || {
        listener.accept_small(MESSAGES)
    });
    program.stop();
}

/// What `acknowledge = "written"` promises: an RST loses at most what lay in the two socket buffers.
#[test]
fn a_destination_that_resets_every_300_frames_keeps_the_order_and_loses_at_most_what_the_sockets_held() {
    let (folder, last, listener) = (Folder::new(), 40_000, Listener::open(Some(BUFFER)));
    let sink = format!(
        r#"{}, send_buffer_bytes = {BUFFER}, acknowledge = "written""#,
        dialling(listener.address())
    );
    let program = listening(&folder, &sink);
    let (source, mut seen, mut receive_buffer) = (program.address_of("source"), Sequence::default(), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| Feeder::connect(source, MESSAGES).send(1..=last));
        for _ in 0..10 {
            let mut destination = listener.accept_small(MESSAGES);
            receive_buffer = destination.receive_buffer_bytes();
            destination.take(300, &mut seen);
            destination.reset();
        }
        listener.accept(MESSAGES).take_through(last, &mut seen);
    });
    // The kernel doubles what was asked for and may pass it by one segment of at most 64 KiB (tcp_sendmsg); the test's own reader
    // holds one message.
    let bound = (2 * BUFFER + 64 * 1024 + receive_buffer + MESSAGES.most) as u64;
    let gaps = seen.gaps();
    assert!(gaps.len() <= 10, "one gap for each reset at most: {gaps:?}");
    for (first, after) in gaps {
        let lost = MESSAGES.bytes(first..after + 1);
        assert!(
            lost <= bound,
            "{lost} bytes lost, frames {first} to {after}; the sockets held at most {bound}"
        );
    }
    let status = program.wait_for("the resets are counted", |status| {
        status.number("network", "disconnects") >= 10
    });
    assert_eq!(
        status.number("source", "lost") + status.number("drain", "lost"),
        0,
        "the pipeline itself lost nothing"
    );
    assert!(status.number("network", "frames_unconfirmed") > 0);
    program.stop_in_doubt();
}

#[test]
fn a_second_client_is_refused_while_the_first_is_there() {
    let folder = Folder::new();
    let program = listening(&folder, SERVER);
    let network = program.address_of("network");
    let (mut first, mut seen) = (Destination::connect(network, MESSAGES), Sequence::default());
    program.log.first(&["is the client now"]);
    Destination::connect(network, MESSAGES).assert_ends();
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=100);
    first.take_through(100, &mut seen);
    seen.assert_is(1, 100);
    program.wait_for("the refusal is counted", |status| {
        status.number("network", "connections_refused") == 1
    });
    program.stop();
}

#[test]
fn a_store_whose_frames_are_all_on_disk_does_not_say_that_they_are_in_memory() {
    let folder = Folder::new();
    let program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["source -> drain -> all -> network"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        spills.drain = { directory = "data", memory_bytes = "4 KiB" }
        processors.all = { type = "filter", contains = "0" }
        sinks.network = { type = "tcp_server", listen = "127.0.0.1:0" }
        "#,
    );
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=100);
    let status = program.wait_for("all is on disk, and handed down", |status| {
        status.number("drain", "waiting_frames") == 100
            && status.number("drain", "memory_bytes") == 0
            && status.number("drain", "spilling") == 0
    });
    let state = &status.actor("drain").meters.texts["state"];
    assert!(state.starts_with("all that is on disk has been handed down"), "{state}");
    program.stop();
}
