//! `acknowledge = "settled"`, the default of the TCP sinks: what is not known to be read comes again.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread::spawn;
use std::time::{Duration, Instant};

use crate::acknowledge::stalled;
use crate::harness::{Destination, Feeder, Folder, Listener, Messages, Program, Sequence};

const MESSAGES: Messages = Messages::SHORT;

fn run(folder: &Folder, sink: &str) -> Program {
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data", persist = "always" }}
        sinks.network = {{ {sink}, retry = {{ first = "1ms", max = "50ms" }} }}
        "#
    ))
}

fn dialling(address: SocketAddr) -> String {
    format!(r#"type = "tcp_client", address = "{address}""#)
}

/// A proxy whose backend is away accepts, may read, and closes: with "written" all of that was lost, and `lost=0`.
#[test]
fn a_proxy_without_a_backend_takes_nothing_along() {
    let (folder, last, listener) = (Folder::new(), 200, Listener::open(None));
    let program = run(&folder, &dialling(listener.address()));
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    for number in 1..=last {
        feeder.send(number..=number);
        if number % 40 == 0 {
            // What stands unread there makes of the close a reset; else it is a FIN.
            drop(listener.accept(MESSAGES));
        }
    }
    let mut seen = Sequence::default();
    listener.accept(MESSAGES).take_through(last, &mut seen);
    assert_eq!((seen.first(), seen.last()), (1, last));
    assert!(seen.gaps().is_empty(), "{seen:?}");
    program.stop();
}

/// A proxy has read what it cannot pass on any more when its backend goes away, and its close is a FIN.
#[test]
fn what_a_proxy_took_in_the_last_moment_before_its_goodbye_comes_again() {
    let (folder, listener) = (Folder::new(), Listener::open(None));
    let settle_after = Duration::from_secs(1);
    let program = run(
        &folder,
        &format!("{}, settle_after = \"1s\"", dialling(listener.address())),
    );
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    let (mut last, mut passed_on) = (0, Sequence::default());
    // A machine that is too slow for the last moment tries again.
    let again = (0..20).any(|_| {
        let mut proxy = listener.accept(MESSAGES);
        last += 100;
        feeder.send(last - 99..=last);
        proxy.take_through(last, &mut passed_on);
        program.wait_for("the connection has outlived that", |status| {
            status.number("network", "frames_out") == last
        });
        let began = Instant::now();
        last += 100;
        feeder.send(last - 99..=last);
        proxy.take_through(last, &mut Sequence::default());
        drop(proxy);
        began.elapsed() < settle_after
    });
    assert!(again);
    listener.accept(MESSAGES).take_through(last, &mut passed_on);
    assert!(passed_on.gaps().is_empty(), "{passed_on:?}");
    assert_eq!((passed_on.first(), passed_on.last()), (1, last));
    program.stop();
}

/// HAProxy tries a backend that refuses for three seconds before it closes, so a connection that outlives what it was given by
/// `settle_after` is not enough.
#[test]
fn a_proxy_that_takes_its_time_to_give_its_backend_up_takes_nothing_along() {
    let (folder, listener) = (Folder::new(), Listener::open(None));
    let program = run(
        &folder,
        &format!("{}, settle_after = \"1s\"", dialling(listener.address())),
    );
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    let (began, mut proxy, mut last) = (Instant::now(), listener.accept(MESSAGES), 0);
    while began.elapsed() < Duration::from_secs(2) {
        last += 1;
        feeder.send(last..=last);
        proxy.take_through(last, &mut Sequence::default());
    }
    drop(proxy);
    let mut seen = Sequence::default();
    listener.accept(MESSAGES).take_through(last, &mut seen);
    seen.assert_is(1, last);
    program.stop();
}

/// Such a server looks like a proxy without a backend, but for one thing: it closes only once it has a message.
#[test]
fn a_server_that_closes_after_each_message_gets_each_twice_at_most() {
    let (folder, last) = (Folder::new(), 5);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("bound");
    let (sender, taken) = channel();
    // It ends with the test's process.
    spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut line = String::new();
            if BufReader::new(stream).read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                let _ = sender.send(MESSAGES.number(line.trim_end().as_bytes()));
            }
        }
    });
    let program = run(&folder, &format!("{}, settle_after = \"100ms\"", dialling(address)));
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    for number in 1..=last {
        feeder.send(number..=number);
        program.wait_for("it is settled", |status| {
            status.number("network", "frames_out") == number
        });
    }
    program.stop();
    let taken: Vec<u64> = taken.try_iter().collect();
    for number in 1..=last {
        let times = taken.iter().filter(|taken| **taken == number).count();
        assert!((1..=2).contains(&times), "{number} came {times} times: {taken:?}");
    }
}

/// Thousands of small batches are settled at once: as many messages to the store, beside which the source's batches found no room and were lost.
#[test]
fn many_small_batches_that_are_settled_at_once_cost_none_that_arrives_meanwhile() {
    let (folder, listener) = (Folder::new(), Listener::open(None));
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data", window_bytes = "64 KiB" }}
        sinks.network = {{ {}, settle_after = "200ms" }}
        "#,
        dialling(listener.address())
    ));
    let mut destination = listener.accept(MESSAGES);
    let taken = Arc::new(AtomicU64::new(0));
    let count = taken.clone();
    spawn(move || {
        std::iter::from_fn(|| destination.next()).for_each(|_| {
            count.fetch_add(1, Ordering::Relaxed);
        })
    });
    // What comes in a turn on each of them is a batch of its own.
    let mut feeders: Vec<_> = (0..50)
        .map(|_| Feeder::connect(program.address_of("source"), MESSAGES))
        .collect();
    let (mut last, mut settled) = (0, false);
    for round in 0.. {
        for feeder in &mut feeders {
            last += 1;
            feeder.send(last..=last);
        }
        if settled && round % 100 == 0 {
            break;
        }
        settled |= round % 100 == 0 && program.status_of("p").number("network", "frames_out") > 0;
    }
    program.wait_for("all have come", |_| taken.load(Ordering::Relaxed) == last);
    program.stop();
}

/// It took as much as the kernels' buffers hold, and read none of it.
#[test]
fn what_a_destination_never_read_comes_again_after_its_reset() {
    let (folder, last, listener) = (Folder::new(), 20_000, Listener::open(None));
    let program = run(&folder, &dialling(listener.address()));
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=last);
    let hung = listener.accept(MESSAGES);
    assert!(stalled(&hung) > 0);
    program.wait_for("the sink holds what is not read", |status| {
        status.number("source", "settled") == last && status.number("network", "unacknowledged_bytes") > 0
    });
    hung.reset();
    let (mut seen, mut healthy) = (Sequence::default(), listener.accept(MESSAGES));
    healthy.take_through(last, &mut seen);
    seen.assert_is(1, last);
    let status = program.wait_for("all is settled", |status| {
        status.number("network", "frames_out") == last
    });
    assert_eq!(status.number("network", "frames_unconfirmed"), 0);
    program.stop();
}

/// A client that is dialled by nobody and says goodbye has read what its kernel acknowledged: it need not stay for `settle_after`.
#[test]
fn a_client_that_leaves_in_order_at_once_gets_nothing_twice() {
    let folder = Folder::new();
    let program = run(
        &folder,
        r#"type = "tcp_server", listen = "127.0.0.1:0", settle_after = "1h""#,
    );
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    for round in 0..3 {
        let (first, last) = (round * 100 + 1, round * 100 + 100);
        feeder.send(first..=last);
        let mut seen = Sequence::default();
        let mut client = Destination::connect(program.address_of("network"), MESSAGES);
        client.take_through(last, &mut seen);
        seen.assert_is(first, last);
        drop(client);
        program.wait_for("it has left, and all is settled", |status| {
            status.number("network", "disconnects") == round + 1 && status.number("network", "frames_out") == last
        });
    }
    program.stop();
}

/// At the end a healthy destination confirms by its own goodbye: nothing comes again, and nobody waits for `settle_after`.
#[test]
fn a_destination_that_answers_our_goodbye_has_everything() {
    let (folder, last, listener) = (Folder::new(), 1_000, Listener::open(None));
    let sink = format!(
        r#"{}, settle_after = "1h", linger = "1h""#,
        dialling(listener.address())
    );
    let mut program = run(&folder, &sink);
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=last);
    let (mut destination, mut seen) = (listener.accept(MESSAGES), Sequence::default());
    destination.take_through(last, &mut seen);
    program.terminate();
    destination.assert_ends();
    assert_eq!(program.exit_code(), 0);
    program
        .log
        .first(&["ended", "lost=0", "unconfirmed=0", "kept_in_stores=0"]);
}
