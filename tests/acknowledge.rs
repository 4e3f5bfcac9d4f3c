//! `acknowledge = "kernel"`: what is sent again after a connection has ended, and what can still be lost. [`reply`]: the same for what the application
//! answers; [`given_up`]: what becomes of frames that fail for too long.

mod application;
mod given_up;
mod refused;
mod reply;

use std::net::SocketAddr;

use crate::harness::{
    Destination, Feeder, Folder, Listener, Messages, Program, Sequence, leave_and_come_back, wait_until,
};

pub(crate) const MESSAGES: Messages = Messages::OF_ALL_SIZES;

/// Asked for as a receive buffer, so that the destination's kernel takes little.
const BUFFER: usize = 16 * 1024;

fn pipeline(folder: &Folder, sink: &str) -> Program {
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data", memory_bytes = "128 KiB" }}
        sinks.network = {{ {sink}, acknowledge = "kernel", retry = {{ first = "1ms", max = "20ms" }} }}
        "#
    ))
}

fn dialling(address: SocketAddr) -> String {
    format!(r#"type = "tcp_client", address = "{address}""#)
}

/// The first message of which not all is among the first `bytes` of the stream.
pub(crate) fn first_beyond(bytes: u64) -> u64 {
    let mut end = 0;
    let beyond = |number: &u64| {
        end += MESSAGES.size(*number) as u64;
        end > bytes
    };
    (1..).find(beyond).unwrap()
}

/// Waits until nothing more arrives at a destination that takes nothing, and returns how much has arrived and was not taken. Longer than the
/// kernel waits before it fills the rest of a small window (200 ms).
pub(crate) fn stalled(destination: &Destination) -> u64 {
    let (mut last, mut same) = (0, 0);
    wait_until("the destination is full", || {
        let now = destination.untaken_bytes();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        (now > 0 && same == 30).then_some(now)
    })
}

/// What one reset did.
struct Reset {
    /// Bytes of the stream that the destination's kernel had acknowledged.
    acknowledged: u64,
    /// Those of them that it had not been asked for, and so threw away.
    untaken: u64,
    receive_buffer: u64,
    /// The first message on the next connection.
    first_again: u64,
}

/// A destination takes a few messages, then nothing, then resets; the next one takes all.
fn reset_once(resend_bytes: u64) -> Reset {
    let (folder, last, listener) = (Folder::new(), 1_000, Listener::open(Some(BUFFER)));
    let sink = format!("{}, resend_bytes = {resend_bytes}", dialling(listener.address()));
    let program = pipeline(&folder, &sink);
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=last);
    let (mut destination, mut seen, taken) = (listener.accept_small(MESSAGES), Sequence::default(), 20);
    let receive_buffer = destination.receive_buffer_bytes() as u64;
    destination.take(taken, &mut seen);
    seen.assert_is(1, taken);
    let untaken = stalled(&destination);
    destination.reset();
    let (mut seen, mut destination) = (Sequence::default(), listener.accept(MESSAGES));
    destination.take_through(last, &mut seen);
    let first_again = seen.first();
    seen.assert_is(first_again, last);
    let status = program.wait_for("all is settled", |status| {
        status.number("drain", "waiting_frames") == 0 && status.number("network", "unacknowledged_bytes") == 0
    });
    assert_eq!(status.number("network", "frames_out"), last);
    assert!(status.number("network", "frames_resent") > 0);
    if resend_bytes == 0 {
        // It cannot know how much of that the destination had read.
        assert!(status.number("network", "bytes_unconfirmed") > 0);
        program.stop_having_lost(0);
    } else {
        program.stop();
    }
    Reset {
        acknowledged: MESSAGES.bytes(1..taken + 1) + untaken,
        untaken,
        receive_buffer,
        first_again,
    }
}

#[test]
fn after_a_reset_exactly_what_the_peers_kernel_had_not_acknowledged_comes_again() {
    let reset = reset_once(0);
    assert_eq!(reset.first_again, first_beyond(reset.acknowledged));
    // What is lost by that: what had been acknowledged and not been taken.
    assert!(
        0 < reset.untaken && reset.untaken <= reset.receive_buffer,
        "{} bytes lost, of a receive buffer of {}",
        reset.untaken,
        reset.receive_buffer
    );
}

#[test]
fn the_last_acknowledged_bytes_come_again_where_they_are_asked_for() {
    let resend_bytes = 50_000;
    let reset = reset_once(resend_bytes);
    assert_eq!(reset.first_again, first_beyond(reset.acknowledged - resend_bytes));
    assert!(reset.untaken <= resend_bytes, "so nothing is lost");
}

/// The destination resets again and again; with the size of its receive buffer as `resend_bytes` nothing is lost, however often.
fn resets_lose_nothing(sink: &str, connect: impl Fn(&Program) -> Destination) {
    let (folder, last) = (Folder::new(), 3_000);
    let program = pipeline(&folder, &format!("{sink}, resend_bytes = \"256 KiB\""));
    let (source, mut seen) = (program.address_of("source"), Sequence::default());
    std::thread::scope(|scope| {
        scope.spawn(|| Feeder::connect(source, MESSAGES).send(1..=last));
        for round in 0..10 {
            let mut destination = connect(&program);
            destination.take(100 + 10 * round, &mut seen);
            destination.reset();
        }
        connect(&program).take_through(last, &mut seen);
    });
    assert!(seen.repeats() > 0);
    program.stop();
}

/// An orderly end is no reset: what is under way when the peer's FIN comes is waited for.
#[test]
fn a_client_that_leaves_with_fin_and_comes_back_ten_times_misses_nothing_and_gets_nothing_twice() {
    let folder = Folder::new();
    // A small send buffer, or the first nine could take everything.
    let program = pipeline(
        &folder,
        r#"type = "tcp_server", listen = "127.0.0.1:0", linger = "1m", resend_bytes = "256 KiB", send_buffer_bytes = "64 KiB""#,
    );
    leave_and_come_back(program.address_of("source"), MESSAGES, (20, 3_000), || {
        Destination::connect_small(program.address_of("network"), MESSAGES, BUFFER)
    });
    program.stop();
}

#[test]
fn a_server_that_resets_ten_times_misses_nothing_with_its_receive_buffer_sent_again() {
    let listener = Listener::open(Some(BUFFER));
    resets_lose_nothing(&dialling(listener.address()), |_| listener.accept_small(MESSAGES));
}

#[test]
fn a_client_that_resets_ten_times_misses_nothing_with_its_receive_buffer_sent_again() {
    resets_lose_nothing(r#"type = "tcp_server", listen = "127.0.0.1:0""#, |program| {
        Destination::connect_small(program.address_of("network"), MESSAGES, BUFFER)
    });
}

#[test]
fn what_was_not_acknowledged_at_the_end_comes_again_after_the_next_start() {
    let (folder, last, listener) = (Folder::new(), 300, Listener::open(Some(BUFFER)));
    let address = listener.address();
    let program = pipeline(&folder, &dialling(address));
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=last);
    let destination = listener.accept(MESSAGES);
    let acknowledged = stalled(&destination);
    program.terminate();
    // It waits for what is under way, until nobody is there to acknowledge it.
    program.log.first(&["draining", "a second signal forces the end"]);
    drop(listener);
    destination.reset();
    let mut program = program;
    // What its kernel had acknowledged is not written again.
    assert_eq!(program.exit_code(), 3);
    let listener = Listener::on(address, None);
    let program = folder.run(&["p.toml"]);
    let mut seen = Sequence::default();
    listener.accept(MESSAGES).take_through(last, &mut seen);
    seen.assert_is(seen.first(), last);
    assert!(seen.first() <= first_beyond(acknowledged), "{seen:?}");
    program.stop();
}

#[test]
fn an_end_waits_for_a_slow_destination_to_acknowledge_everything() {
    // Many times the destination's buffer, and less than a quarter of the sender's window: reads pin more than they hold.
    let (folder, last, listener) = (Folder::new(), 80, Listener::open(Some(BUFFER)));
    let program = pipeline(&folder, &dialling(listener.address()));
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=last);
    let mut destination = listener.accept(MESSAGES);
    program.wait_for("all was handed to the sender", |status| {
        status.edge("drain -> network").frames == last
    });
    program.terminate();
    program.log.first(&["draining", "a second signal forces the end"]);
    let mut seen = Sequence::default();
    destination.take_through(last, &mut seen);
    seen.assert_is(1, last);
    let mut program = program;
    assert_eq!(program.exit_code(), 0);
}

#[test]
fn check_says_what_resend_bytes_needs() {
    let folder = Folder::new();
    folder.write(
        "p.toml",
        r#"
        name = "p"
        flow = ["source -> network"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        sinks.network = { type = "tcp_client", address = "127.0.0.1:9", resend_bytes = "1 MiB" }
        "#,
    );
    let output = folder.aqueduct(&["check", "p.toml"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("`resend_bytes` needs `acknowledge = \"kernel\"`"),
        "{errors}"
    );
}
