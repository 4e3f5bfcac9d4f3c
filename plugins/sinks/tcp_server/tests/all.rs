//! `clients = "all"`

use std::net::TcpStream;
use std::thread;

use crate::testing::{Running, lines, read_all, read_all_bytes, read_text, reset, send};

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
        clients = "all"
        retry = {{ first = "1ms", max = "10ms" }}
        {options}
        "#
    ))
}

/// Connects clients, and waits until all of them are known.
fn clients<const N: usize>(running: &Running) -> [TcpStream; N] {
    let clients = std::array::from_fn(|_| running.connect("output"));
    running.wait("output", "clients", N as u64);
    clients
}

#[test]
fn every_client_gets_every_frame_from_when_it_came() {
    let running = relay("");
    let mut input = running.connect("input");
    let [mut first, mut second] = clients(&running);
    assert_eq!(running.text("output", "state").split(" and ").nth(1), Some("1 more"));
    send(&mut input, &lines(0..100));
    for client in [&mut first, &mut second] {
        assert_eq!(read_text(client, lines(0..100).len()), lines(0..100));
    }
    running.wait("output", "frames_out", 100);
    let mut third = running.connect("output");
    running.wait("output", "clients", 3);
    send(&mut input, &lines(100..200));
    for client in [&mut first, &mut second, &mut third] {
        assert_eq!(read_text(client, lines(100..200).len()), lines(100..200));
    }
    running.wait("output", "frames_out", 200);
    assert_eq!(running.stop().failure, None);
    assert_eq!(read_all(&mut third), "");
}

#[test]
fn without_a_client_frames_wait_and_the_first_who_comes_gets_them() {
    let running = relay("");
    let mut input = running.connect("input");
    running.until("it says that it waits", || {
        running.text("output", "state").contains("waiting for clients")
    });
    send(&mut input, &lines(0..100));
    let mut client = running.connect("output");
    assert_eq!(read_text(&mut client, lines(0..100).len()), lines(0..100));
}

#[test]
fn one_that_leaves_in_the_middle_disturbs_nobody_and_nothing_is_repeated() {
    let running = relay("");
    let mut input = running.connect("input");
    let [mut stays, leaves, resets] = clients(&running);
    // More than all buffers hold: the sink is in the middle of a batch when they leave.
    let sent = lines(0..2_000_000);
    let writer = thread::spawn({
        let sent = sent.clone();
        move || send(&mut input, &sent)
    });
    running.wait("output", "frames_in", 1);
    drop(leaves);
    reset(resets);
    assert!(read_text(&mut stays, sent.len()) == sent);
    writer.join().expect("it wrote everything");
    running.wait("output", "frames_out", 2_000_000);
    assert_eq!(running.number("output", "clients"), 1);
    assert_eq!(
        running.number("output", "disconnects"),
        0,
        "somebody was there all the time"
    );
    let reasons = ["failures_reset", "failures_peer_closed"].map(|name| running.number("output", name));
    assert_eq!(reasons.iter().sum::<u64>(), 2, "{reasons:?}");
    assert_eq!(running.stop().failure, None);
}

#[test]
fn one_that_takes_nothing_while_others_wait_is_closed_and_counted() {
    let running = relay("lag_limit = \"50ms\"\nsend_buffer_bytes = \"64 KiB\"");
    let mut input = running.connect("input");
    let [mut quick, stuck] = clients(&running);
    let sent = lines(0..2_000_000);
    let writer = thread::spawn({
        let sent = sent.clone();
        move || send(&mut input, &sent)
    });
    assert!(read_text(&mut quick, sent.len()) == sent);
    writer.join().expect("it wrote everything");
    assert_eq!(running.number("output", "clients_too_slow"), 1);
    running.wait("output", "frames_out", 2_000_000);
    // What it had been given is the beginning, as for everybody.
    let had = read_all_bytes(stuck);
    assert!(sent.as_bytes().starts_with(&had) && had.len() < sent.len());
}

#[test]
fn a_lone_client_may_take_its_time() {
    let running = relay("lag_limit = \"1ms\"\nsend_buffer_bytes = \"64 KiB\"");
    let mut input = running.connect("input");
    let [mut slow] = clients(&running);
    let sent = lines(0..1_000_000);
    let writer = thread::spawn({
        let sent = sent.clone();
        move || send(&mut input, &sent)
    });
    running.until("it is stuck", || running.number("output", "stalled_since_ns") > 0);
    assert!(read_text(&mut slow, sent.len()) == sent);
    writer.join().expect("it wrote everything");
    assert_eq!(running.number("output", "clients_too_slow"), 0);
}

#[test]
fn more_than_max_clients_are_refused() {
    let running = relay("max_clients = 2");
    let [first, _second] = clients(&running);
    assert_eq!(read_all(&mut running.connect("output")), "");
    assert_eq!(running.number("output", "connections_refused"), 1);
    drop(first);
    running.until("there is room", || running.number("output", "clients") == 1);
    let mut third = running.connect("output");
    running.wait("output", "connects", 3);
    send(&mut running.connect("input"), &lines(0..10));
    assert_eq!(read_text(&mut third, lines(0..10).len()), lines(0..10));
}

#[test]
fn when_the_last_has_left_the_next_goes_on_where_it_stopped() {
    let running = relay("");
    let mut input = running.connect("input");
    for round in 0..3 {
        let [mut client] = clients(&running);
        let sent = lines(round * 100..round * 100 + 100);
        send(&mut input, &sent);
        assert_eq!(read_text(&mut client, sent.len()), sent);
        running.wait("output", "frames_out", round as u64 * 100 + 100);
        drop(client);
        running.wait("output", "disconnects", round as u64 + 1);
    }
}
