//! Pipelines with an end: they end by themselves, and their exit code says how.

use std::io::Write;

use crate::harness::{Feeder, Folder, Messages};

#[test]
fn stdin_to_a_file_ends_at_the_end_of_the_input() {
    let folder = Folder::new();
    let mut program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["input -> out"]
        sources.input = { type = "stdin" }
        sinks.out = { type = "file", path = "deep/out.txt" }
        "#,
    );
    let text: String = (1..=10_000).map(|number| format!("line {number}\n")).collect();
    program.stdin.take().expect("piped").write_all(text.as_bytes()).unwrap();
    assert_eq!(program.exit_code(), 0);
    assert!(folder.read("deep/out.txt") == text, "the file is not what was typed");
}

#[test]
fn generate_to_stdout_ends_after_the_last_frame() {
    let folder = Folder::new();
    let mut program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["numbers -> out"]
        sources.numbers = { type = "generate", count = 20_000, bytes = 40, from = 1 }
        sinks.out = { type = "stdout", framing = { type = "delimited" } }
        "#,
    );
    assert_eq!(program.exit_code(), 0);
    let lines = program.output.to_the_end();
    assert_eq!(lines.len(), 20_000);
    for (line, number) in lines.iter().zip(1..) {
        assert_eq!((line.len(), line[..20].parse::<u64>()), (40, Ok(number)), "{line}");
    }
}

#[test]
fn a_finished_source_in_front_of_a_store_ends_the_pipeline_when_all_is_delivered() {
    let folder = Folder::new();
    let mut program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["numbers -> drain -> out"]
        sources.numbers = { type = "generate", count = 50_000 }
        spills.drain = { directory = "data", persist = "always" }
        sinks.out = { type = "file", path = "out.txt", framing = { type = "delimited" } }
        "#,
    );
    assert_eq!(program.exit_code(), 0);
    assert_eq!(folder.read("out.txt").lines().count(), 50_000);
}

#[test]
fn frames_that_a_full_store_drops_are_counted_and_the_exit_code_is_3() {
    let (folder, sent) = (Folder::new(), 60_000);
    let mut program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        spills.drain = { directory = "data", memory_bytes = "64 KiB", max_bytes = "3 MiB", segment_bytes = "1 MiB", when_full = "drop_newest" }
        sinks.network = { type = "tcp_server", listen = "127.0.0.1:0" }
        "#,
    );
    Feeder::connect(program.address_of("source"), Messages::SHORT).send(1..=sent);
    let status = program.wait_for("every frame is kept or counted as lost", |status| {
        status.number("drain", "waiting_frames") + status.number("drain", "lost") == sent
    });
    assert!(status.number("drain", "lost") > 0 && status.number("drain", "waiting_frames") > 0);
    // A commit that began below the bound may pass it by the engine's own pages, so by less than a segment.
    let (peak, bound) = (status.number("drain", "peak_disk_bytes"), (3 << 20) + (1 << 20));
    assert!(peak <= bound, "{peak} bytes on disk at the peak, {bound} are allowed");
    program.log.first(&["frames lost", "drop_newest"]);
    program.terminate();
    assert_eq!(program.exit_code(), 3);
    program
        .log
        .first(&["ended", &format!("lost={}", status.number("drain", "lost"))]);
}

#[test]
fn a_port_that_is_taken_fails_the_pipeline_with_exit_code_1_and_says_what_to_do() {
    let (folder, taken) = (Folder::new(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let address = taken.local_addr().unwrap();
    let mut program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> out"]
        sources.source = {{ type = "tcp_server", listen = "{address}" }}
        sinks.out = {{ type = "blackhole" }}
        "#
    ));
    program
        .log
        .first(&["source", &format!("cannot listen on {address}"), "choose another port"]);
    assert_eq!(program.exit_code(), 1);
}

/// It used to wait for its destination until the deadline, and to end with 4.
#[test]
fn without_a_store_and_with_nothing_in_hand_an_absent_destination_does_not_hold_up_the_end() {
    for sink in [
        r#"type = "tcp_client", address = "127.0.0.1:1""#,
        r#"type = "tcp_server", listen = "127.0.0.1:0""#,
    ] {
        let folder = Folder::new();
        let mut program = folder.run_pipeline(&format!(
            r#"
            name = "p"
            flow = ["source -> out"]
            sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
            sinks.out = {{ {sink} }}
            shutdown.deadline = "3s"
            "#
        ));
        let _feeder = Feeder::connect(program.address_of("source"), Messages::SHORT);
        program.wait_for("somebody feeds it", |status| {
            status.number("source", "connections") == 1
        });
        program.terminate();
        assert_eq!(program.exit_code(), 0, "{sink}");
    }
}
