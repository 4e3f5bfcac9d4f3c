use std::io::Read;

use crate::testing::{Running, accept, lines, listener, mistakes, read_all, read_text, send};

#[test]
fn frames_go_from_end_to_end() {
    let (destination, address) = listener();
    let running = Running::start(&format!(
        r#"
        flow = "input -> output"
        [sources.input]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        [sinks.output]
        type = "tcp_client"
        address = "{address}"
        "#
    ));
    let mut output = accept(&destination);
    let mut input = running.connect("input");
    let sent = lines(0..1000);
    send(&mut input, &sent);
    assert_eq!(read_text(&mut output, sent.len()), sent);
    drop(input);
    running.wait("input", "disconnects", 1);
    assert_eq!(running.stop().failure, None);
    assert_eq!(read_all(&mut output), "");
}

fn server(options: &str) -> Running {
    Running::start(&format!(
        r#"
        flow = "input -> nowhere"
        [sources.input]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        {options}
        [sinks.nowhere]
        type = "blackhole"
        "#
    ))
}

#[test]
fn connections_past_the_limit_are_closed_and_counted() {
    let running = server("max_connections = 2");
    let (mut first, _second) = (running.connect("input"), running.connect("input"));
    running.wait("input", "connects", 2);
    let mut third = running.connect("input");
    assert_eq!(read_all(&mut third), "");
    assert_eq!(running.number("input", "connections_refused"), 1);
    send(&mut first, &lines(0..1));
    running.wait("nowhere", "frames_out", 1);
    drop(first);
    running.wait("input", "disconnects", 1);
    let mut fourth = running.connect("input");
    send(&mut fourth, &lines(1..2));
    running.wait("nowhere", "frames_out", 2);
}

#[test]
fn a_silent_connection_is_closed() {
    let running = server("idle_timeout = \"50ms\"");
    let mut silent = running.connect("input");
    assert_eq!(read_all(&mut silent), "");
    running.wait("input", "idle_closes", 1);
}

#[test]
fn a_last_line_without_its_newline_counts_at_a_regular_end() {
    let running = server("");
    let mut input = running.connect("input");
    send(&mut input, "whole\nunfinished");
    drop(input);
    running.wait("nowhere", "frames_out", 2);
}

#[test]
fn an_oversized_frame_closes_the_connection_where_the_framing_says_so() {
    let running = server("framing = { type = \"delimited\", max_frame_bytes = 100, on_oversize = \"close\" }");
    let mut input = running.connect("input");
    send(&mut input, &"x".repeat(200));
    // An RST when our kernel had more to read, a FIN otherwise.
    assert!(matches!(input.read(&mut [0; 10]), Ok(0) | Err(_)));
    running.wait("input", "refused_streams", 1);
}

#[test]
fn replies_are_rendered_from_what_was_read() {
    let running = server(r#"reply = { per = "frame", template = '{"bytes":{bytes},"total":{total}};' }"#);
    let mut input = running.connect("input");
    send(&mut input, "a\nb\n");
    assert_eq!(
        read_text(&mut input, 2 * r#"{"bytes":4,"total":4};"#.len()),
        r#"{"bytes":4,"total":4};{"bytes":4,"total":4};"#
    );
    running.wait("input", "replies", 2);
}

#[test]
fn an_unknown_word_in_a_reply_is_a_mistake() {
    let text = mistakes(
        r#"
        flow = "input -> nowhere"
        [sources.input]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        reply = { template = "{byte}" }
        [sinks.nowhere]
        type = "blackhole"
        "#,
    );
    assert!(text.contains("{byte}") && text.contains("{bytes}"), "{text}");
}

#[test]
fn a_stalled_destination_stops_the_reading_and_nothing_is_lost() {
    let (destination, address) = listener();
    let running = Running::start(&format!(
        r#"
        flow = "input -> output"
        [sources.input]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        receive_buffer_bytes = "64 KiB"
        [sinks.output]
        type = "tcp_client"
        address = "{address}"
        send_buffer_bytes = "64 KiB"
        window_bytes = "256 KiB"
        "#
    ));
    let mut output = accept(&destination);
    let sent = lines(0..2_000_000);
    // Three connections wait for demand at once; each must get its share.
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let (mut input, sent) = (running.connect("input"), sent.clone());
            std::thread::spawn(move || send(&mut input, &sent))
        })
        .collect();
    running.wait("input", "frames_in", 10_000);
    assert!(running.text("input", "receive_buffer").contains("asked for 64 KiB"));
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    while bytes < 3 * sent.len() {
        let got = output.read(&mut buffer).expect("more in time");
        assert!(got > 0, "the output ended early");
        bytes += got;
    }
    for writer in writers {
        writer.join().expect("it wrote everything");
    }
    running.wait("output", "frames_out", 3 * 2_000_000);
}
