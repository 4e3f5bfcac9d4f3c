//! What moves the cursor of a named client.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::acknowledge::{MESSAGES, first_beyond, stalled};
use crate::harness::{Destination, Feeder, Folder, PATIENCE, Program, Sequence};

use super::{BUFFER, TOKENS, pipeline};

const RETAINED: &str = r#"retain_bytes = "1 GiB""#;

fn run(folder: &Folder, sink: &str, last: u64) -> Program {
    let program = folder.run_pipeline(&pipeline(RETAINED, &format!("{TOKENS}{sink}")));
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=last);
    program.wait_for("all is durable", |status| status.number("source", "settled") == last);
    program
}

fn client(program: &Program) -> Destination {
    Destination::connect_small(program.address_of("network"), MESSAGES, BUFFER).saying("token-of-billing\n")
}

/// A client takes a few messages, then nothing, then resets. Returns how many bytes of the stream its kernel had acknowledged.
fn reset_once(program: &Program) -> u64 {
    let (mut destination, mut seen, taken) = (client(program), Sequence::default(), 20);
    destination.take(taken, &mut seen);
    seen.assert_is(1, taken);
    let untaken = stalled(&destination);
    destination.reset();
    MESSAGES.bytes(1..taken + 1) + untaken
}

/// What the next connection brings, to the end.
fn first_again(program: &Program, last: u64) -> u64 {
    let mut seen = Sequence::default();
    client(program).take_through(last, &mut seen);
    seen.assert_is(seen.first(), last);
    seen.first()
}

#[test]
fn after_a_reset_exactly_what_the_clients_kernel_had_not_acknowledged_comes_again() {
    let (folder, last) = (Folder::new(), 1_000);
    let program = run(&folder, ", acknowledge = \"kernel\"", last);
    let acknowledged = reset_once(&program);
    let first_again = first_again(&program, last);
    assert_eq!(first_again, first_beyond(acknowledged));
    // What it had not read of what its kernel had acknowledged was lost to it, and that is counted.
    program.wait_for("that is counted", |status| {
        status.number("network", "frames_unconfirmed") >= first_again - 21
    });
    program.stop_having_lost(0);
}

#[test]
fn the_last_acknowledged_bytes_come_again_where_they_are_asked_for() {
    let (folder, last) = (Folder::new(), 1_000);
    let program = run(&folder, ", acknowledge = \"kernel\", resend_bytes = 50000", last);
    let acknowledged = reset_once(&program);
    assert_eq!(first_again(&program, last), first_beyond(acknowledged - 50_000));
    program.stop();
}

/// Says its token, takes this many bytes of messages and answers the first so many.
fn answering(program: &Program, bytes: u64, answers: usize) -> TcpStream {
    let mut stream = TcpStream::connect(program.address_of("network")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"token-of-billing\n").unwrap();
    let mut taken = vec![0; usize::try_from(bytes).unwrap()];
    stream.read_exact(&mut taken).unwrap();
    stream.write_all("OK\n".repeat(answers).as_bytes()).unwrap();
    program.wait_for("the answers are heard", |status| {
        status.number("network", "frames_out") >= answers as u64
    });
    stream
}

#[test]
fn where_replies_count_only_what_was_answered_does_not_come_again() {
    let (folder, last) = (Folder::new(), 100);
    let program = run(
        &folder,
        r#", acknowledge = "reply", reply = { pattern = "^OK$" }"#,
        last,
    );
    let first = answering(&program, MESSAGES.bytes(1..51), 30);
    drop(first);
    let mut seen = Sequence::default();
    client(&program).take(1, &mut seen);
    assert_eq!(seen.first(), 31);
    program.stop();
}

#[test]
fn each_client_gets_the_sinks_own_framing() {
    let folder = Folder::new();
    let program = folder.run_pipeline(&pipeline(
        RETAINED,
        r#"any_name = true, framing = { type = "length_delimited", header_bytes = 2 }"#,
    ));
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    feeder.send_text("one\nthree\n");
    for name in ["a", "b"] {
        let mut stream = TcpStream::connect(program.address_of("network")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{name}\n").as_bytes()).unwrap();
        let mut framed = [0; 12];
        stream.read_exact(&mut framed).unwrap();
        assert_eq!(&framed, b"\0\x03one\0\x05three");
    }
    program.stop();
}
