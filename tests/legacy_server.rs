//! The source that will not wait: the C server, which closes when its send buffer is full.

use crate::harness::{CServer, Destination, Folder, Messages, Sequence};

const MESSAGES: Messages = Messages::OF_ALL_SIZES;

#[test]
fn the_c_server_closes_zero_times_at_10_mb_a_second_while_the_destination_is_away() {
    let (folder, last) = (Folder::new(), 6000);
    let server = CServer::start(&["--rate", "10000000", "--messages", &last.to_string(), "--linger-on-end"]);
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["c_server -> drain -> network"]
        sources.c_server = {{ type = "tcp_client", address = "{}" }}
        spills.drain = {{ directory = "data", memory_bytes = "1 MiB" }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        "#,
        server.address
    ));
    let (network, mut seen) = (program.address_of("network"), Sequence::default());
    let mut destination = Destination::connect(network, MESSAGES);
    destination.take(500, &mut seen);
    destination.leave(&mut seen);
    program.wait_for("frames wait on disk", |status| status.number("drain", "disk_bytes") > 0);
    Destination::connect(network, MESSAGES).take_through(last, &mut seen);
    seen.assert_is(1, last);
    let done = server.event(1, "done");
    assert_eq!(
        (
            done["closed_on_eagain"].as_u64(),
            done["lost_messages"].as_u64(),
            done["clients"].as_u64()
        ),
        (Some(0), Some(0), Some(1)),
        "{done}"
    );
    program.stop();
}

#[test]
fn without_a_store_a_stalled_destination_makes_the_c_server_close_and_the_pipeline_says_why() {
    let (folder, server) = (
        Folder::new(),
        CServer::start(&["--rate", "20000000", "--exit-after-close"]),
    );
    let program = folder.run_pipeline(&without_a_store(&server, ""));
    let mut destination = Destination::connect_small(program.address_of("network"), MESSAGES, 16 * 1024);
    let closed = server.event(1, "closed");
    assert_eq!(closed["reason"], "EAGAIN", "{closed}");
    assert_eq!(closed["unread_reply_bytes"], 0, "{closed}");
    let line = program.log.first(&["c_server -> network", "blocked", "by network"]);
    assert!(line.contains("WARN"), "{line}");
    // What the server's kernel had taken is not lost: it was closed with a FIN, behind all of it.
    let (last, mut seen) = (closed["sent_messages"].as_u64().unwrap(), Sequence::default());
    destination.take_through(last, &mut seen);
    seen.assert_is(1, last);
    let status = program.wait_for("the close is counted", |status| {
        status.number("c_server", "disconnects") == 1
    });
    assert_eq!(status.number("c_server", "resets"), 0);
}

#[test]
fn replies_that_the_c_server_leaves_unread_make_its_close_a_reset_and_what_had_arrived_is_read() {
    let (folder, server) = (
        Folder::new(),
        CServer::start(&["--rate", "20000000", "--exit-after-close"]),
    );
    let program = folder.run_pipeline(&without_a_store(
        &server,
        r#", reply = { per = "read", template = "{bytes}\n" }"#,
    ));
    let destination = Destination::connect_small(program.address_of("network"), MESSAGES, 16 * 1024);
    let closed = server.event(1, "closed");
    assert_eq!(closed["reason"], "EAGAIN", "{closed}");
    assert!(closed["unread_reply_bytes"].as_u64() > Some(0), "{closed}");
    let arrived = closed["sent_bytes"].as_u64().unwrap() - closed["unacknowledged_bytes"].as_u64().unwrap();
    // More may have arrived while the server closed; all of it must be read before the reset is seen.
    let mut seen = Sequence::default();
    std::thread::scope(|scope| {
        scope.spawn(|| destination.take_all(&mut seen));
        let status = program.wait_for("the reset is counted", |status| {
            status.number("c_server", "resets") == 1
        });
        assert!(status.number("c_server", "replies") > 0);
        program.log.first(&["WARN", "c_server closed", "ECONNRESET"]);
        program.stop();
    });
    let least = whole_messages(arrived);
    assert!(
        seen.last() >= least,
        "{} messages read, {least} had arrived",
        seen.last()
    );
    seen.assert_is(1, seen.last());
}

#[test]
fn everything_that_was_sent_just_before_a_reset_is_read() {
    let (folder, bytes) = (Folder::new(), 3_000_000);
    let server = CServer::start(&[
        "--reset-after-bytes",
        &bytes.to_string(),
        "--exit-after-close",
        "--wait-on-eagain",
    ]);
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["c_server -> out"]
        sources.c_server = {{ type = "tcp_client", address = "{}" }}
        sinks.out = {{ type = "file", path = "out.txt" }}
        "#,
        server.address
    ));
    program.wait_for("the reset is counted", |status| {
        status.number("c_server", "resets") == 1
    });
    program.stop();
    let text = folder.read("out.txt");
    Sequence::of(text.lines().map(|line| MESSAGES.number(line.as_bytes()))).assert_is(1, whole_messages(bytes));
}

#[test]
fn the_pipeline_dials_again_after_every_reset() {
    let folder = Folder::new();
    let server = CServer::start(&["--reset-after-bytes", "100000", "--wait-on-eagain", "--restart-numbers"]);
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["c_server -> out"]
        sources.c_server = {{ type = "tcp_client", address = "{}", retry = {{ first = "1ms", max = "10ms" }} }}
        sinks.out = {{ type = "blackhole" }}
        "#,
        server.address
    ));
    server.event(5, "closed");
    let status = program.wait_for("every reset is counted", |status| {
        status.number("c_server", "resets") >= 5
    });
    let connects = status.number("c_server", "connects");
    assert!(connects >= 5, "{connects} connects");
    let whole = whole_messages(100_000);
    program.wait_for("each connection's whole messages arrive", |status| {
        status.number("out", "frames_out") >= 5 * whole
    });
    server.stop();
    program.stop();
}

fn without_a_store(server: &CServer, options: &str) -> String {
    format!(
        r#"
        name = "p"
        flow = ["c_server -> network"]
        sources.c_server = {{ type = "tcp_client", address = "{}"{options} }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0", window_bytes = "256 KiB", send_buffer_bytes = "16 KiB" }}
        "#,
        server.address
    )
}

/// How many whole messages there are in the first bytes that the C server sends.
fn whole_messages(bytes: u64) -> u64 {
    let (mut number, mut left) = (0, bytes);
    while let Some(rest) = left.checked_sub(MESSAGES.size(number + 1) as u64) {
        (number, left) = (number + 1, rest);
    }
    number
}
