//! Whatever is thrown away is counted as lost, and shows in the exit code; nothing that is not whole passes as whole.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::harness::{Folder, PATIENCE, Program};

fn send(program: &Program, bytes: &[u8]) {
    let mut stream = TcpStream::connect(program.address_of("source")).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Until it has been read to the end and closed on the other side.
    let _ = stream.read(&mut [0]);
}

fn to_file(source: &str, sink: &str) -> String {
    format!(
        r#"
        name = "p"
        flow = ["source -> out"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0"{source} }}
        sinks.out = {{ type = "file", path = "out.txt"{sink} }}
        "#
    )
}

#[test]
fn frames_that_the_sink_s_framing_cannot_hold_are_lost_and_check_says_so_before() {
    let folder = Folder::new();
    folder.write(
        "p.toml",
        r#"
        name = "p"
        flow = ["source -> out"]
        sources.source = { type = "generate", count = 1000, bytes = 100 }
        sinks.out = { type = "file", path = "out.txt", framing = { type = "fixed", bytes = 99 } }
        "#,
    );
    let check = folder.aqueduct(&["check", "p.toml"]);
    assert_eq!(check.status.code(), Some(0));
    let warned = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(warned.contains("p.toml:5:56: sinks.out.framing: "), "{warned}");
    assert!(warned.contains("`out.rejected -> dead_letters`"), "{warned}");
    let ended = folder.aqueduct(&["run", "p.toml"]);
    let log = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{log}");
    assert!(log.contains("lost=1000 "), "{log}");
}

#[test]
fn frames_rejected_into_a_file_are_not_lost() {
    let folder = Folder::new();
    folder.write(
        "p.toml",
        r#"
        name = "p"
        flow = ["source -> out", "out.rejected -> letters"]
        sources.source = { type = "generate", count = 1000, bytes = 100 }
        sinks.out = { type = "file", path = "out.txt", framing = { type = "fixed", bytes = 99 } }
        sinks.letters = { type = "file", path = "letters.json", format = "json" }
        "#,
    );
    let check = folder.aqueduct(&["check", "p.toml"]);
    assert_eq!(String::from_utf8_lossy(&check.stderr), "");
    let ended = folder.aqueduct(&["run", "p.toml"]);
    assert_eq!(ended.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("lost=0 "));
    assert_eq!(folder.read("letters.json").lines().count(), 1000);
}

#[test]
fn frames_that_a_processor_rejects_are_lost_when_nobody_takes_them() {
    let folder = Folder::new();
    let program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["source -> check -> out"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        processors.check = { type = "verify", on_error = "reject" }
        sinks.out = { type = "file", path = "out.txt" }
        "#,
    );
    send(&program, b"no number\n");
    program.wait_for("it is rejected", |status| status.number("check", "rejected") == 1);
    program.stop_having_lost(1);
}

#[test]
fn a_bad_length_header_costs_its_connection_and_not_all_that_follows() {
    let folder = Folder::new();
    let framing = r#", framing = { type = "length_delimited" }"#;
    let program = folder.run_pipeline(&to_file(framing, r#", framing = { type = "delimited" }"#));
    send(&program, b"\0\0\0\x05first\xff\xff\xff\xff\0\0\0\x05never");
    let line = program.log.first(&["closed on our side", "4294967299 bytes"]);
    assert!(line.contains("13 bytes"), "{line}");
    let status = program.wait_for("the close is counted", |status| {
        status.number("source", "refused_streams") == 1
    });
    assert_eq!(status.number("source", "lost"), 1);
    send(&program, b"\0\0\0\x06second");
    program.wait_for("the next connection is read", |status| {
        status.number("out", "frames_out") == 2
    });
    assert_eq!(folder.read("out.txt"), "first\nsecond\n");
    program.stop_having_lost(1);
}

#[test]
fn what_came_and_made_no_frame_shows_in_the_status() {
    let folder = Folder::new();
    let program = folder.run_pipeline(&to_file(r#", framing = { type = "delimited", delimiter = "|" }"#, ""));
    let mut stream = TcpStream::connect(program.address_of("source")).unwrap();
    stream.write_all(&[b'x'; 5000]).unwrap();
    program.wait_for("it is read", |status| status.number("source", "read_bytes") == 5000);
    let status = folder.aqueduct(&["status", "p"]);
    let words = String::from_utf8_lossy(&status.stdout);
    assert!(words.contains("5.0 kB came and made no frame"), "{words}");
    program.stop();
}

/// Half a line behind a whole one, with this `on_partial`; gives the letters that were written.
fn half_a_line(on_partial: &str, frames: u64) -> (Folder, Program, Vec<String>) {
    let folder = Folder::new();
    let program = folder.run_pipeline(&to_file(on_partial, r#", format = "json""#));
    send(&program, b"whole\nhal");
    program.wait_for("the connection is over", |status| {
        status.number("source", "partial_frames") == 1 && status.number("out", "frames_out") == frames
    });
    let letters = folder.read("out.txt").lines().map(str::to_owned).collect();
    (folder, program, letters)
}

#[test]
fn half_a_line_at_the_end_of_a_connection_goes_on_and_says_that_it_is_partial() {
    let (_folder, program, letters) = half_a_line("", 2);
    assert!(
        letters[0].contains("whole") && !letters[0].contains("partial"),
        "{letters:?}"
    );
    assert!(
        letters[1].contains("\"hal\"") && letters[1].contains(r#""partial":"true""#),
        "{letters:?}"
    );
    program.stop();
}

#[test]
fn half_a_line_can_be_left_out() {
    let (_folder, program, letters) = half_a_line(r#", on_partial = "drop""#, 1);
    assert_eq!(letters.len(), 1);
    let status = program.status_of("p");
    assert_eq!(status.number("source", "truncated_bytes"), 3);
    program.stop();
}

#[test]
fn half_a_line_that_is_rejected_is_lost() {
    let (_folder, program, letters) = half_a_line(r#", on_partial = "reject""#, 1);
    assert_eq!(letters.len(), 1);
    program.log.first(&["WARN", "inside a frame", "lost"]);
    program.stop_having_lost(1);
}

#[test]
fn a_file_that_ends_inside_a_line_is_never_glued_to_the_next_frame() {
    for (sink, first) in [
        ("", "new\n"),
        (
            r#", framing = { type = "delimited", delimiter_hex = "0d0a" }"#,
            "new\r\n",
        ),
    ] {
        let folder = Folder::new();
        let end = &first[3..];
        folder.write("out.txt", &format!("old{end}half"));
        let program = folder.run_pipeline(&to_file("", sink));
        send(&program, b"new\n");
        program.wait_for("it is written", |status| status.number("out", "frames_out") == 1);
        program.log.first(&["WARN", "ended inside a frame"]);
        program.stop();
        assert_eq!(folder.read("out.txt"), format!("old{end}half{end}{first}"));
    }
}

#[test]
fn a_throttled_batch_comes_frame_by_frame_and_not_at_its_end() {
    let folder = Folder::new();
    folder.write("in.txt", &"a line\n".repeat(3600));
    let mut program = folder.run_pipeline(
        r#"
        name = "p"
        shutdown.deadline = "1ms"
        flow = ["source -> slow -> out"]
        sources.source = { type = "file", path = "in.txt" }
        processors.slow = { type = "throttle", frames_per_second = 1, burst = 3 }
        sinks.out = { type = "stdout" }
        "#,
    );
    // The batch as a whole would take an hour.
    program.output.nth(3, &["a line"]);
    let status = program.status_of("p");
    assert!(status.number("out", "frames_out") < 3600);
    program.terminate();
    assert_eq!(program.exit_code(), 3);
}

/// Each of several workers once let the rate through, in whole batches.
#[test]
fn several_workers_are_refused_where_one_must_see_all_frames() {
    let folder = Folder::new();
    for (processor, why) in [
        (
            r#"type = "throttle", frames_per_second = 10"#,
            "it keeps one rate for all frames",
        ),
        (r#"type = "verify""#, "it follows one sequence"),
    ] {
        folder.write(
            "p.toml",
            &format!(
                r#"
        name = "p"
        flow = ["source -> one -> out"]
        sources.source = {{ type = "generate" }}
        processors.one = {{ {processor}, workers = 2 }}
        sinks.out = {{ type = "stdout" }}
        "#
            ),
        );
        let check = folder.aqueduct(&["check", "p.toml"]);
        assert_eq!(check.status.code(), Some(2));
        let told = String::from_utf8_lossy(&check.stderr);
        assert!(told.contains("processors.one.workers: "), "{told}");
        assert!(told.contains(why) && told.contains("set `workers = 1`"), "{told}");
    }
}
