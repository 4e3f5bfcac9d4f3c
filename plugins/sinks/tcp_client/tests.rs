use std::net::{Shutdown, SocketAddr};

use crate::testing::{Running, accept, lines, listener, read_all, read_text, reset, send};

fn relay(address: SocketAddr, options: &str) -> Running {
    Running::start(&format!(
        r#"
        flow = "input -> output"
        [sources.input]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        [sinks.output]
        type = "tcp_client"
        address = "{address}"
        retry = {{ first = "1ms", max = "10ms" }}
        {options}
        "#
    ))
}

#[test]
fn the_peers_fin_is_noticed_before_anything_is_written_to_nobody() {
    let (destination, address) = listener();
    let running = relay(address, "acknowledge = \"written\"");
    let mut input = running.connect("input");
    let mut expected = 0..10;
    for _ in 0..5 {
        let mut output = accept(&destination);
        let sent = lines(expected.clone());
        send(&mut input, &sent);
        assert_eq!(read_text(&mut output, sent.len()), sent);
        expected = expected.end..expected.end + 10;
    }
    running.wait("output", "disconnects", 4);
}

#[test]
fn a_peer_that_only_finished_sending_is_written_to_where_the_config_says_so() {
    let (destination, address) = listener();
    let running = relay(address, "on_peer_fin = \"continue\"");
    let mut output = accept(&destination);
    output.shutdown(Shutdown::Write).expect("a socket");
    let mut input = running.connect("input");
    for round in 0..3 {
        let sent = lines(round..round + 1);
        send(&mut input, &sent);
        assert_eq!(read_text(&mut output, sent.len()), sent);
    }
    assert_eq!(running.number("output", "opened"), 1);
}

#[test]
fn it_connects_again_after_a_reset_and_keeps_the_order() {
    let (destination, address) = listener();
    let running = relay(address, "");
    let mut input = running.connect("input");
    reset(accept(&destination));
    let mut output = accept(&destination);
    let sent = lines(0..1000);
    send(&mut input, &sent);
    assert_eq!(read_text(&mut output, sent.len()), sent);
}

#[test]
fn what_the_peer_says_is_thrown_away_and_does_not_turn_our_end_into_a_reset() {
    let (destination, address) = listener();
    let running = relay(address, "");
    let mut input = running.connect("input");
    let mut output = accept(&destination);
    let chatter = "ok\n".repeat(100_000);
    send(&mut output, &chatter);
    running.wait("output", "reply_bytes_ignored", chatter.len() as u64);
    let sent = lines(0..100_000);
    send(&mut input, &sent);
    drop(input);
    running.wait("input", "disconnects", 1);
    let mut reader = output.try_clone().expect("a socket");
    let all = std::thread::spawn(move || read_all(&mut reader));
    assert_eq!(running.stop().failure, None);
    assert!(all.join().expect("it ends without a reset") == sent);
}

#[test]
fn an_absent_peer_costs_nothing_but_time() {
    let (destination, address) = listener();
    drop(destination);
    let running = relay(address, "");
    let mut input = running.connect("input");
    let sent = lines(0..1000);
    send(&mut input, &sent);
    running.wait("output", "retries", 3);
    assert!(running.text("output", "state").contains("nobody listens there"));
    let destination = std::net::TcpListener::bind(address).expect("the same port");
    assert_eq!(read_text(&mut accept(&destination), sent.len()), sent);
}
