//! Health checks, port scans, and clients that take nothing: they keep nobody out.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use aqueduct_framework::plugin::Context;

use super::super::super::connection::OnPeerFin;
use super::super::door::Door;
use super::super::queue::Queue;
use crate::net::{Buffers, Listen};
use crate::testing::{Running, lines, read_all, read_text, reset, send};

/// A relay whose sink, if it waited after a failed attempt, would do so for longer than the tests have patience.
fn relay(options: &str) -> Running {
    Running::start(&format!(
        r#"
        flow = "input -> output"
        [sources.input]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        [sinks.output]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        retry = {{ first = "10m", max = "10m", jitter = 0.0 }}
        {options}
        "#
    ))
}

fn probe(running: &Running, number: usize) {
    let probe = running.connect("output");
    if number.is_multiple_of(2) {
        reset(probe);
    }
}

#[test]
fn who_connects_after_health_checks_is_served_at_once() {
    for clients in ["one", "all"] {
        let running = relay(&format!("clients = \"{clients}\""));
        let mut input = running.connect("input");
        send(&mut input, &lines(0..10));
        for number in 0..10 {
            probe(&running, number);
            // One after the other: each is the only one at the door.
            running.until("it is gone", || {
                running.number("output", "probes") + running.number("output", "disconnects") > number as u64
            });
        }
        let mut client = running.connect("output");
        send(&mut input, &lines(10..20));
        // A probe that lived long enough to be taken for a client took the first frames along.
        let mut text = String::new();
        while !text.ends_with(&lines(19..20)) {
            text += &read_text(&mut client, 1);
        }
        assert!(lines(0..20).ends_with(&text), "{text}");
    }
}

/// Nobody accepts while they come and go, so all of them stand in the kernel's queue.
#[tokio::test]
async fn the_dead_in_the_queue_are_skipped() {
    let context = Context::new("p", "output", "");
    let listen = Listen {
        address: "127.0.0.1:0".to_owned(),
        buffers: Buffers::new(None, None),
    };
    let mut door = Door::new(listen, OnPeerFin::Reconnect, &context);
    let address: SocketAddr = door.open().await.expect("a free port").parse().expect("an address");
    for number in 0..20 {
        let probe = TcpStream::connect(address).expect("it listens");
        if number % 2 == 0 {
            reset(probe);
        }
    }
    let client = TcpStream::connect(address).expect("it listens");
    let (_, peer) = door.client(&mut Queue::new(Duration::ZERO)).await;
    assert_eq!(peer, client.local_addr().expect("bound"));
    assert_eq!(context.counter("probes").get(), 20);
}

/// A health check that waits for a banner, and gives up after a while. What its kernel took of what waited comes again.
#[test]
fn who_comes_while_a_silent_health_check_has_the_seat_is_served_once_it_leaves() {
    for by_reset in [true, false] {
        let running = relay("seat_timeout = \"10m\"");
        let mut input = running.connect("input");
        send(&mut input, &lines(0..10));
        let check = running.connect("output");
        running.wait("output", "opened", 1);
        let mut client = running.connect("output");
        if by_reset {
            reset(check);
        } else {
            drop(check);
        }
        assert_eq!(read_text(&mut client, lines(0..10).len()), lines(0..10));
        assert_eq!(running.number("output", "connections_refused"), 0);
    }
}

#[test]
fn those_who_wait_for_the_seat_are_served_in_turn_without_those_who_have_left() {
    let running = relay("seat_timeout = \"10m\"");
    let mut input = running.connect("input");
    let first = running.connect("output");
    running.wait("output", "opened", 1);
    let left = running.connect("output");
    let mut second = running.connect("output");
    drop((left, first));
    send(&mut input, &lines(0..1));
    assert_eq!(read_text(&mut second, lines(0..1).len()), lines(0..1));
}

#[test]
fn clients_that_come_and_go_are_no_failed_attempts() {
    let running = relay("");
    let mut input = running.connect("input");
    for round in 0..5 {
        let mut client = running.connect("output");
        running.wait("output", "opened", round + 1);
        if round == 4 {
            send(&mut input, &lines(0..1));
            assert_eq!(read_text(&mut client, lines(0..1).len()), lines(0..1));
        } else if round % 2 == 0 {
            reset(client);
        } else {
            drop(client);
        }
        if round < 4 {
            running.wait("output", "disconnects", round + 1);
        }
    }
}

/// A wrong answer is a failed attempt, and the first: the next client is served at once.
#[test]
fn clients_that_left_make_no_later_wait_longer() {
    let running = relay("acknowledge = \"reply\"\nreply = { pattern = \"^OK\" }");
    let mut input = running.connect("input");
    send(&mut input, &lines(0..1));
    for round in 0..3 {
        let mut client = running.connect("output");
        assert_eq!(read_text(&mut client, lines(0..1).len()), lines(0..1));
        drop(client);
        running.wait("output", "disconnects", round + 1);
    }
    for answer in ["NO\n", "OK\n"] {
        let mut client = running.connect("output");
        assert_eq!(read_text(&mut client, lines(0..1).len()), lines(0..1));
        send(&mut client, answer);
        match answer {
            "NO\n" => running.wait("output", "disconnects", 4),
            _ => running.wait("output", "frames_out", 1),
        }
    }
}

#[test]
fn a_client_that_only_finished_sending_is_no_probe_where_the_config_says_so() {
    let running = relay("on_peer_fin = \"continue\"");
    let mut input = running.connect("input");
    let mut client = running.connect("output");
    client.shutdown(Shutdown::Write).expect("a socket");
    send(&mut input, &lines(0..3));
    assert_eq!(read_text(&mut client, lines(0..3).len()), lines(0..3));
    assert_eq!(running.number("output", "probes"), 0);
}

#[test]
fn a_client_that_takes_nothing_loses_its_place() {
    for clients in ["one", "all"] {
        let running = relay(&format!(
            "clients = \"{clients}\"\nstall_timeout = \"200ms\"\nsend_buffer_bytes = \"16 KiB\""
        ));
        let mut input = running.connect("input");
        let _hung = running.connect("output");
        running.wait("output", "opened", 1);
        let sent = lines(0..2_000_000);
        let writer = std::thread::spawn(move || send(&mut input, &sent));
        running.wait("output", "clients_stalled", 1);
        let mut client = running.connect("output");
        assert_eq!(read_text(&mut client, 10).len(), 10);
        drop((client, running));
        // It cannot write on when the pipeline has ended.
        let _ = writer.join();
    }
}

#[test]
fn a_client_may_take_nothing_where_nothing_waits() {
    let running = relay("seat_timeout = \"10ms\"\nstall_timeout = \"20ms\"");
    let mut input = running.connect("input");
    let mut client = running.connect("output");
    running.wait("output", "opened", 1);
    for round in 0..3 {
        // A second one is refused: the first has its place yet.
        assert_eq!(read_all(&mut running.connect("output")), "");
        send(&mut input, &lines(round..round + 1));
        assert_eq!(
            read_text(&mut client, lines(round..round + 1).len()),
            lines(round..round + 1)
        );
    }
    assert_eq!(running.number("output", "clients_stalled"), 0);
}
