//! Several senders, and peers that are none.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::{MESSAGES, acknowledged, any, feed, free, receiver, sender, take};
use crate::harness::{Destination, Folder, PATIENCE, Sequence};

#[test]
fn two_senders_into_one_receiver_are_kept_apart() {
    let (one, other, far, last) = (Folder::new(), Folder::new(), Folder::new(), 20_000);
    let there = receiver(&far, any(), "");
    let address = there.address_of("here");
    let (first, second) = (sender(&one, address), sender(&other, address));
    feed(&first, 1, last);
    feed(&second, last + 1, 2 * last);
    acknowledged(&first);
    acknowledged(&second);
    let mut network = Destination::connect(there.address_of("network"), MESSAGES);
    let (mut low, mut high) = (Sequence::default(), Sequence::default());
    for _ in 0..2 * last {
        match network.next().unwrap() {
            number if number <= last => low.see(number),
            number => high.see(number),
        }
    }
    low.assert_is(1, last);
    high.assert_is(last + 1, 2 * last);
    assert_eq!(there.status_of("p").number("here", "streams"), 2);
    first.stop();
    second.stop();
    there.stop();
}

#[test]
fn a_frame_is_the_same_on_the_other_side() {
    let (near, far) = (Folder::new(), Folder::new());
    let there = far.run_pipeline(
        r#"
        name = "p"
        flow = ["here -> in -> file"]
        sources.here = { type = "link", listen = "127.0.0.1:0" }
        spills.in = { directory = "in", persist = "always" }
        sinks.file = { type = "file", path = "out.json", format = "json" }
        "#,
    );
    let here = sender(&near, there.address_of("here"));
    feed(&here, 1, 3);
    acknowledged(&here);
    there.wait_for("all is written", |status| status.number("file", "frames_out") == 3);
    let lines = std::fs::read_to_string(far.path("out.json")).unwrap();
    for (number, line) in lines.lines().enumerate() {
        let frame: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&frame["source"], &frame["seq"]),
            (&"source".into(), &number.into()),
            "{line}"
        );
        assert!(line.contains("peer.address"), "{line}");
    }
    here.stop();
    there.stop();
}

#[test]
fn who_is_no_link_is_told_so() {
    let far = Folder::new();
    let there = receiver(&far, any(), "");
    let say = |bytes: &[u8]| {
        let mut peer = TcpStream::connect(there.address_of("here")).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = say(b"GET / HTTP/1.1\r\n\r\n");
    assert!(answer.contains("it does not begin as a sink `link` does"), "{answer}");
    let mut newer = vec![1, 32, 0, 0, 0];
    newer.extend(b"AQLINK\x02\x03");
    newer.extend([0; 24]);
    let answer = say(&newer);
    assert!(answer.contains("speaks versions 2 to 3"), "{answer}");
    // A claim of much more than is taken.
    let mut hello = newer.clone();
    hello[11..13].copy_from_slice(&[1, 1]);
    hello.extend([3, 0xFF, 0xFF, 0xFF, 0x7F]);
    let answer = say(&hello);
    assert!(answer.contains("max_message_bytes"), "{answer}");
    there.wait_for("all three are counted", |status| {
        status.number("here", "connections_refused") == 3
    });
    there.stop();
}

#[test]
fn a_sender_says_what_the_receiver_refuses() {
    let (one, other, far, address) = (Folder::new(), Folder::new(), Folder::new(), free());
    let there = far.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["here -> in -> network"]
        sources.here = {{ type = "link", listen = "{address}", max_streams = 1 }}
        spills.in = {{ directory = "in", persist = "always" }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        "#
    ));
    let first = sender(&one, address);
    feed(&first, 1, 10);
    acknowledged(&first);
    let second = sender(&other, address);
    feed(&second, 11, 20);
    second.log.first(&["max_streams = 1 are connected already"]);
    // Once the first has gone, it is forgotten for the second.
    first.stop();
    acknowledged(&second);
    take(&there, 20).assert_is(1, 20);
    assert_eq!(there.status_of("p").number("here", "streams_forgotten"), 1);
    second.stop();
    there.stop();
}

/// Whoever reaches the port can be as many senders as it likes: the log is not longer for it than for anything else.
#[test]
fn senders_one_after_the_other_are_told_whenever_their_number_doubles() {
    let (far, address) = (Folder::new(), free());
    let there = far.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["here -> in -> network"]
        sources.here = {{ type = "link", listen = "{address}", max_streams = 1 }}
        spills.in = {{ directory = "in", persist = "always" }}
        sinks.network = {{ type = "blackhole" }}
        "#
    ));
    for number in 0..6 {
        let folder = Folder::new();
        let sender = sender(&folder, address);
        feed(&sender, number * 10 + 1, number * 10 + 10);
        acknowledged(&sender);
        sender.stop();
    }
    assert_eq!(there.status_of("p").number("here", "streams_forgotten"), 5);
    let log = there.log.so_far();
    for words in ["is forgotten", "linked: frames below"] {
        let lines = log.iter().filter(|line| line.contains(words)).count();
        assert_eq!(lines, 3, "{words}: {log:#?}");
    }
    there.stop();
}

#[test]
fn a_receiver_that_ends_in_order_refuses_nothing() {
    let (near, far) = (Folder::new(), Folder::new());
    let there = receiver(&far, any(), "");
    let here = sender(&near, there.address_of("here"));
    feed(&here, 1, 10);
    acknowledged(&here);
    take(&there, 10).assert_is(1, 10);
    there.stop();
    here.log
        .first(&["there closed the connection", "waits in the spill store"]);
    let status = here.status_of("p");
    assert_eq!(status.number("there", "failures_peer_closed"), 1, "{status:?}");
    assert_eq!(status.number("there", "refusals"), 0, "{status:?}");
    here.stop();
}

#[test]
fn a_sender_that_reached_something_else_says_so() {
    let (near, listener) = (Folder::new(), TcpListener::bind(any()).unwrap());
    let here = sender(&near, listener.local_addr().unwrap());
    feed(&here, 1, 10);
    let (mut stranger, _) = listener.accept().unwrap();
    stranger.write_all(b"SSH-2.0-OpenSSH\r\n").unwrap();
    here.log.first(&["WARN", "there gave no answer of a source `link`"]);
    here.wait_for("it is counted", |status| {
        status.number("there", "failures_unexpected_reply") > 0
    });
    here.stop();
}

#[test]
fn the_silence_before_a_sender_left_is_told() {
    let far = Folder::new();
    let there = receiver(&far, any(), "");
    let mut peer = TcpStream::connect(there.address_of("here")).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut hello = vec![1, 32, 0, 0, 0];
    hello.extend(b"AQLINK\x01\x01");
    hello.extend([0; 24]);
    peer.write_all(&hello).unwrap();
    peer.read_exact(&mut [0; 18]).unwrap();
    // Or there would be no silence to tell.
    std::thread::sleep(Duration::from_millis(300));
    drop(peer);
    let line = there.log.first(&["finished at a frame's end"]);
    assert!(
        line.contains(" after its last bytes") && !line.contains(", 0 ms"),
        "{line}"
    );
    there.stop();
}

#[test]
fn what_stands_beside_a_link_must_be_durable() {
    let folder = Folder::new();
    folder.write(
        "p.toml",
        r#"
        name = "p"
        flow = ["here -> in -> there"]
        sources.here = { type = "link", listen = "127.0.0.1:0" }
        spills.in = { directory = "in" }
        sinks.there = { type = "link", address = "127.0.0.1:1" }
        "#,
    );
    let output = folder.aqueduct(&["check", "p.toml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for words in [
        "sources.here",
        "sinks.there",
        "persist = \"always\"",
        "p.toml:4",
        "p.toml:6",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}
