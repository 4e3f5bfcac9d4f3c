mod all;
mod options;
mod probes;

use crate::testing::{Running, lines, listener, mistakes, read_all, read_text, reset, send};

fn relay() -> Running {
    relay_with("")
}

fn relay_with(options: &str) -> Running {
    Running::start(&format!(
        r#"
        flow = "input -> output"
        [sources.input]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        [sinks.output]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        retry = {{ first = "1ms", max = "10ms" }}
        {options}
        "#,
    ))
}

#[test]
fn frames_wait_for_the_client_and_come_in_order_each_time_it_is_back() {
    let running = relay_with("acknowledge = \"written\"");
    let mut input = running.connect("input");
    running.until("it says that it waits", || {
        running.text("output", "state").contains("waiting for a client")
    });
    for round in 0..3 {
        let sent = lines(round * 100..round * 100 + 100);
        send(&mut input, &sent);
        let mut client = running.connect("output");
        assert_eq!(read_text(&mut client, sent.len()), sent);
        drop(client);
        running.wait("output", "disconnects", round as u64 + 1);
    }
}

#[test]
fn a_client_that_resets_makes_room_for_the_next() {
    let running = relay();
    let mut input = running.connect("input");
    let first = running.connect("output");
    running.wait("output", "opened", 1);
    reset(first);
    running.wait("output", "disconnects", 1);
    let mut second = running.connect("output");
    send(&mut input, &lines(0..10));
    assert_eq!(read_text(&mut second, lines(0..10).len()), lines(0..10));
}

#[test]
fn a_second_client_is_turned_away_while_idle_and_while_busy() {
    let running = relay_with("seat_timeout = \"0s\"");
    let mut input = running.connect("input");
    let mut client = running.connect("output");
    running.wait("output", "opened", 1);
    assert_eq!(read_all(&mut running.connect("output")), "");
    assert_eq!(running.number("output", "connections_refused"), 1);
    // More than all buffers hold, so that the sink waits for the client.
    let sent = lines(0..2_000_000);
    let writer = std::thread::spawn({
        let sent = sent.clone();
        move || send(&mut input, &sent)
    });
    running.wait("output", "frames_in", 1);
    assert_eq!(read_all(&mut running.connect("output")), "");
    assert!(read_text(&mut client, sent.len()) == sent);
    writer.join().expect("it wrote everything");
}

#[test]
fn an_address_in_use_is_told_with_what_to_do() {
    let (_taken, address) = listener();
    let running = Running::start(&format!(
        r#"
        flow = "numbers -> output"
        [sources.numbers]
        type = "generate"
        rate = 1
        [sinks.output]
        type = "tcp_server"
        listen = "{address}"
        "#
    ));
    let ending = running.ending();
    assert!(!ending.forced, "the others ended without being cut short");
    let (actor, reason) = ending.failure.expect("a failure");
    assert_eq!(actor, "output");
    assert!(
        reason.contains(&address.to_string()) && reason.contains("another program uses this address"),
        "{reason}"
    );
}

#[test]
fn two_actors_on_one_address_are_a_mistake() {
    let text = mistakes(
        r#"
        flow = "input -> output"
        [sources.input]
        type = "tcp_server"
        listen = "127.0.0.1:9000"
        [sinks.output]
        type = "tcp_server"
        listen = "127.0.0.1:9000"
        "#,
    );
    assert!(text.contains("9000"), "{text}");
}

#[test]
fn what_is_unread_at_the_end_still_arrives() {
    let running = relay();
    let mut input = running.connect("input");
    let mut client = running.connect("output");
    let sent = lines(0..1000);
    send(&mut input, &sent);
    running.wait("output", "frames_out", 1000);
    assert_eq!(running.stop().failure, None);
    assert_eq!(read_all(&mut client), sent);
}
