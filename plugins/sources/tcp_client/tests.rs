use std::io::Read;
use std::net::SocketAddr;

use crate::testing::{Running, accept, lines, listener, read_all, read_text, reset, send};

fn client(address: SocketAddr, options: &str) -> Running {
    Running::start(&format!(
        r#"
        flow = "input -> nowhere"
        [sources.input]
        type = "tcp_client"
        address = "{address}"
        retry = {{ first = "1ms", max = "10ms" }}
        {options}
        [sinks.nowhere]
        type = "blackhole"
        "#
    ))
}

#[test]
fn it_dials_again_after_a_regular_end() {
    let (peer, address) = listener();
    let running = client(address, "");
    for round in 1..=3 {
        let mut connection = accept(&peer);
        send(&mut connection, &lines(0..10));
        drop(connection);
        running.wait("nowhere", "frames_out", round * 10);
    }
    running.wait("input", "connects", 3);
    assert_eq!(running.number("input", "resets"), 0);
    assert_eq!(running.stop().failure, None);
}

#[test]
fn what_was_sent_just_before_a_reset_is_all_read() {
    let (peer, address) = listener();
    // The slow destination keeps bytes waiting in our kernel when the reset comes.
    let running = Running::start(&format!(
        r#"
        flow = "input -> nowhere"
        [sources.input]
        type = "tcp_client"
        address = "{address}"
        retry = {{ first = "1ms", max = "10ms" }}
        [sinks.nowhere]
        type = "blackhole"
        rate = "8 MB"
        window_bytes = "64 KiB"
        "#
    ));
    let mut connection = accept(&peer);
    let sent = lines(0..100_000);
    send(&mut connection, &sent);
    // The reset throws away what has not left yet, so the other side's kernel must have everything.
    running.until("the kernel has it all", || {
        aqueduct_sys::socket::unsent_bytes(&connection).expect("a socket") == 0
    });
    assert!(
        running.number("input", "frames_in") < 100_000,
        "the destination was not slow enough for this test"
    );
    reset(connection);
    running.wait("nowhere", "frames_out", 100_000);
    running.wait("input", "resets", 1);
    let mut again = accept(&peer);
    send(&mut again, &lines(0..1));
    running.wait("nowhere", "frames_out", 100_001);
    assert!(running.number("input", "unread_bytes_peak") > 0);
}

#[test]
fn an_absent_peer_is_dialled_until_it_is_there() {
    let (peer, address) = listener();
    drop(peer);
    let running = client(address, "");
    running.wait("input", "refused", 3);
    assert!(running.text("input", "state").contains("nobody listens there"));
    let peer = std::net::TcpListener::bind(address).expect("the same port");
    let mut connection = accept(&peer);
    send(&mut connection, "here\n");
    running.wait("nowhere", "frames_out", 1);
}

#[test]
fn replies_that_the_peer_does_not_take_are_counted_and_stop_nothing() {
    let (peer, address) = listener();
    let running = client(
        address,
        r#"
        reply = { per = "frame", template = "{total} bytes were read from you so far, thank you\n" }
        send_buffer_bytes = "4 KiB"
        "#,
    );
    let mut connection = accept(&peer);
    let sent = lines(0..200_000);
    send(&mut connection, &sent);
    running.wait("nowhere", "frames_out", 200_000);
    running.until("every frame has been answered or not", || {
        running.number("input", "replies") + running.number("input", "replies_untaken") == 200_000
    });
    assert!(running.number("input", "replies_untaken") > 0);
    // A reply taken in part is finished before the next one, which the next frame brings about.
    let expected = running.number("input", "replies");
    let mut reader = connection.try_clone().expect("a socket");
    let replies = std::thread::spawn(move || {
        let mut replies = Vec::new();
        // The pipeline may end with lines of ours unread, which is a reset.
        let _ = reader.read_to_end(&mut replies);
        String::from_utf8(replies).expect("text")
    });
    running.until("the replies flow again", || {
        send(&mut connection, "more\n");
        running.number("input", "replies") > expected
    });
    assert_eq!(running.stop().failure, None);
    let replies = replies.join().expect("the peer read them");
    let whole = replies.rsplit_once('\n').expect("a reply").0;
    assert!(
        whole
            .lines()
            .all(|reply| reply.ends_with(" bytes were read from you so far, thank you"))
    );
}

#[test]
fn a_peer_that_closes_with_our_replies_unread_is_seen_as_a_reset() {
    let (peer, address) = listener();
    let running = client(address, r#"reply = { template = "{bytes}\n" }"#);
    let mut connection = accept(&peer);
    send(&mut connection, "one\n");
    running.wait("input", "replies", 1);
    running.until("the reply has arrived", || {
        aqueduct_sys::socket::unread_bytes(&connection).expect("a socket") > 0
    });
    drop(connection);
    running.wait("input", "resets", 1);
    assert_eq!(running.number("nowhere", "frames_out"), 1);
}

#[test]
fn it_stops_while_its_destination_is_away() {
    let (peer, address) = listener();
    let (destination, to) = listener();
    let running = Running::start(&format!(
        r#"
        flow = "input -> output"
        [sources.input]
        type = "tcp_client"
        address = "{address}"
        [sinks.output]
        type = "tcp_client"
        address = "{to}"
        "#
    ));
    let mut connection = accept(&peer);
    let mut output = accept(&destination);
    send(&mut connection, "one\n");
    assert_eq!(read_text(&mut output, 4), "one\n");
    assert_eq!(running.stop().failure, None);
    assert_eq!(read_all(&mut connection), "");
}

#[test]
fn it_greets_before_it_reads_and_says_its_heartbeat_while_nothing_comes() {
    let (peer, address) = listener();
    let running = client(
        address,
        "greeting = \"USER me\\r\\n\"\nheartbeat = { hex = \"0a\", every = \"100ms\" }",
    );
    for round in 1..=2 {
        let mut connection = accept(&peer);
        assert_eq!(read_text(&mut connection, "USER me\r\n\n\n".len()), "USER me\r\n\n\n");
        send(&mut connection, &lines(0..1));
        running.wait("nowhere", "frames_out", round);
    }
    assert!(running.number("input", "heartbeats") >= 4);
}

#[test]
fn a_connection_on_which_nothing_comes_is_dialled_again() {
    let (peer, address) = listener();
    let running = client(address, "idle_timeout = \"50ms\"");
    let mut silent = accept(&peer);
    send(&mut silent, &lines(0..1));
    assert_eq!(read_all(&mut silent), "");
    let _again = accept(&peer);
    running.wait("input", "idle_closes", 1);
    running.wait("nowhere", "frames_out", 1);
}

#[test]
fn what_cannot_be_said_is_a_mistake() {
    for (options, words) in [
        ("greeting = \"a\"\ngreeting_hex = \"61\"", "exclude each other"),
        ("greeting_hex = \"6\"", "two hexadecimal digits"),
        ("heartbeat = { every = \"1s\" }", "needs a `text`"),
        ("heartbeat = { text = \"x\", every = \"1ms\" }", "100ms or more"),
        (
            "heartbeat = { text = \"x\", every = \"1s\" }\nreply = { template = \"ok\" }",
            "`heartbeat` and `reply` exclude each other",
        ),
    ] {
        let text = crate::testing::mistakes(&format!(
            r#"
            flow = "input -> nowhere"
            [sources.input]
            type = "tcp_client"
            address = "127.0.0.1:9"
            {options}
            [sinks.nowhere]
            type = "blackhole"
            "#
        ));
        assert!(text.contains(words), "{options}: {text}");
    }
}
