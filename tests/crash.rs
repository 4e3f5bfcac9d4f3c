//! Kill -9, which is what a power cut looks like to the program, and the start after it.

use crate::harness::{Destination, Feeder, Folder, Messages, Program, Sequence};

const MESSAGES: Messages = Messages::SHORT;

fn run(folder: &Folder, store: &str) -> Program {
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data", {store} }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0", window_bytes = "64 KiB" }}
        "#
    ))
}

fn feed(program: &Program, first: u64, last: u64) {
    Feeder::connect(program.address_of("source"), MESSAGES).send(first..=last);
}

fn destination(program: &Program) -> Destination {
    Destination::connect(program.address_of("network"), MESSAGES)
}

#[test]
fn what_persist_always_has_acknowledged_survives_kill_9_in_order() {
    let (folder, last, always) = (Folder::new(), 20_000, r#"persist = "always""#);
    let program = run(&folder, always);
    feed(&program, 1, last);
    program.wait_for("all is acknowledged", |status| {
        status.number("source", "settled") == last
    });
    program.kill();
    let (program, mut seen) = (run(&folder, always), Sequence::default());
    feed(&program, last + 1, last + 500);
    destination(&program).take_through(last + 500, &mut seen);
    seen.assert_is(1, last + 500);
    program.stop();
}

#[test]
fn frames_repeated_after_kill_9_go_back_behind_the_cursor_and_leave_no_gap() {
    let (folder, last, always) = (Folder::new(), 20_000, r#"persist = "always""#);
    let (program, mut seen) = (run(&folder, always), Sequence::default());
    feed(&program, 1, last);
    program.wait_for("all is acknowledged", |status| {
        status.number("source", "settled") == last
    });
    let mut early = destination(&program);
    early.take(5000, &mut seen);
    program.kill();
    // What the dead program's kernel had taken still arrives.
    early.take_all(&mut seen);
    let before = seen.last();
    let program = run(&folder, always);
    destination(&program).take_through(last, &mut seen);
    let repeats = seen.repeats();
    assert_eq!((seen.first(), seen.last()), (1, last));
    assert!(
        repeats <= before,
        "{repeats} frames came again, of {before} that had come"
    );
    program.stop();
}

#[test]
fn five_kills_in_a_row_lose_nothing_that_was_acknowledged() {
    let (folder, always) = (Folder::new(), r#"persist = "always""#);
    for round in 0..5 {
        let program = run(&folder, always);
        feed(&program, round * 1000 + 1, round * 1000 + 1000);
        program.wait_for("all is acknowledged", |status| {
            status.number("source", "settled") == 1000
        });
        program.kill();
    }
    let (program, mut seen) = (run(&folder, always), Sequence::default());
    destination(&program).take_through(5000, &mut seen);
    seen.assert_is(1, 5000);
    program.stop();
}

#[test]
fn without_persist_always_kill_9_loses_what_was_in_memory_and_no_more() {
    // More than is sent first, so that all of it stays in memory.
    let (folder, memory) = (Folder::new(), r#"memory_bytes = "1 MiB", memory_age = "1h""#);
    let program = run(&folder, memory);
    feed(&program, 1, 1000);
    let status = program.wait_for("all is taken in", |status| {
        status.number("drain", "waiting_frames") == 1000
    });
    assert_eq!(status.number("drain", "spilling"), 0);
    program.kill();
    let (program, mut seen) = (run(&folder, memory), Sequence::default());
    feed(&program, 1001, 2000);
    destination(&program).take_through(2000, &mut seen);
    seen.assert_is(1001, 2000);
    program.stop();
}

#[test]
fn frames_older_than_memory_age_are_on_disk_and_survive_kill_9() {
    let (folder, young) = (Folder::new(), r#"memory_bytes = "1 MiB", memory_age = "50ms""#);
    let program = run(&folder, young);
    feed(&program, 1, 1000);
    program.wait_for("all is acknowledged", |status| {
        status.number("source", "settled") == 1000
    });
    program.kill();
    let (program, mut seen) = (run(&folder, young), Sequence::default());
    destination(&program).take_through(1000, &mut seen);
    seen.assert_is(1, 1000);
    program.stop();
}

#[test]
fn kill_9_while_frames_stream_to_disk_loses_at_most_what_was_not_acknowledged() {
    let (folder, last) = (Folder::new(), 100_000);
    let (always, mut seen) = (r#"persist = "always""#, Sequence::default());
    let program = run(&folder, always);
    let source = program.address_of("source");
    let acknowledged = std::thread::scope(|scope| {
        // Ends early, because the program is killed under it.
        scope.spawn(|| Feeder::connect(source, MESSAGES).try_send(1..=last));
        let status = program.wait_for("some is acknowledged", |status| status.number("source", "settled") > 0);
        program.kill();
        status.number("source", "settled")
    });
    let program = run(&folder, always);
    let status = program.wait_for("the store has told what it found", |status| {
        status.number("drain", "waiting_frames") >= acknowledged
    });
    let kept = status.number("drain", "waiting_frames");
    destination(&program).take(kept, &mut seen);
    seen.assert_is(1, kept);
    program.stop();
}
