use std::net::{Shutdown, SocketAddr};

use crate::testing::{Running, accept, lines, listener, read_all, read_text, reset, send};

fn relay(address: SocketAddr, options: &str) -> Running {
    relay_to(&format!("\"{address}\""), options)
}

fn relay_to(address: &str, options: &str) -> Running {
    Running::start(&format!(
        r#"
        flow = "input -> output"
        [sources.input]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        [sinks.output]
        type = "tcp_client"
        address = {address}
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

#[test]
fn of_several_addresses_the_next_is_taken_when_one_does_not_answer() {
    let (destination, address) = listener();
    let (closed, nobody) = listener();
    drop(closed);
    let running = relay_to(&format!(r#"["{nobody}", "{address}"]"#), "");
    let mut input = running.connect("input");
    let mut output = accept(&destination);
    send(&mut input, &lines(0..10));
    assert_eq!(read_text(&mut output, lines(0..10).len()), lines(0..10));
    assert_eq!(running.text("output", "peer"), address.to_string());
}

#[test]
fn addresses_take_turns_where_the_config_says_so() {
    let ((first, one), (second, other)) = (listener(), listener());
    let running = relay_to(
        &format!(r#"["{one}", "{other}"]"#),
        "pick = \"rotate\"\nacknowledge = \"written\"",
    );
    for round in 0..2 {
        drop(accept(&first));
        running.wait("output", "disconnects", 2 * round + 1);
        drop(accept(&second));
        running.wait("output", "disconnects", 2 * round + 2);
    }
}

#[test]
fn an_old_connection_is_ended_in_order_and_nothing_comes_twice_or_not() {
    for acknowledge in ["written", "kernel"] {
        let (destination, address) = listener();
        let options = format!("max_connection_age = \"1s\"\nacknowledge = \"{acknowledge}\"");
        let running = relay(address, &options);
        let mut input = running.connect("input");
        let mut text = String::new();
        let mut sent = 0;
        for _ in 0..2 {
            let mut output = accept(&destination);
            send(&mut input, &lines(sent..sent + 10));
            sent += 10;
            text += &read_all(&mut output);
        }
        running.wait("output", "connections_renewed", 2);
        assert_eq!(text, lines(0..20));
        assert_eq!(running.number("output", "failures_other"), 0);
        assert_eq!(running.number("output", "retries"), 0);
    }
}
