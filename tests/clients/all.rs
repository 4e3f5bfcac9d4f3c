//! `clients = "all"` behind a store.

use crate::harness::{Destination, Feeder, Folder, Program, Sequence};

use super::{BUFFER, MESSAGES};

fn run(folder: &Folder, sink: &str) -> Program {
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data", memory_bytes = "128 KiB", in_flight_bytes = "64 KiB" }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0", clients = "all", send_buffer_bytes = {BUFFER}, {sink} }}
        "#
    ))
}

fn client(program: &Program) -> Destination {
    Destination::connect_small(program.address_of("network"), MESSAGES, BUFFER)
}

fn wait_clients(program: &Program, clients: u64) {
    program.wait_for("the clients are known", |status| {
        status.number("network", "clients") == clients
    });
}

#[test]
fn two_clients_get_the_same_and_one_that_comes_later_begins_at_now() {
    let (folder, last) = (Folder::new(), 20_000);
    let program = run(&folder, "lag_limit = \"1h\"");
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    let mut clients = [client(&program), client(&program)];
    wait_clients(&program, 2);
    let mut seen = [Sequence::default(), Sequence::default()];
    std::thread::scope(|scope| {
        scope.spawn(|| feeder.send(1..=last));
        for (client, seen) in clients.iter_mut().zip(&mut seen) {
            scope.spawn(|| client.take_through(last, seen));
        }
    });
    program.wait_for("all is delivered", |status| {
        status.number("network", "frames_out") == last
    });
    let (mut late, mut late_seen) = (client(&program), Sequence::default());
    wait_clients(&program, 3);
    feeder.send(last + 1..=last + 100);
    for (client, seen) in clients.iter_mut().zip(&mut seen) {
        client.take_through(last + 100, seen);
        seen.assert_is(1, last + 100);
    }
    late.take_through(last + 100, &mut late_seen);
    late_seen.assert_is(last + 1, last + 100);
    program.stop();
}

#[test]
fn one_that_takes_nothing_is_closed_after_the_lag_limit_and_the_others_miss_nothing() {
    let (folder, last) = (Folder::new(), 20_000);
    let program = run(&folder, "lag_limit = \"100ms\"");
    let (mut quick, mut stuck) = (client(&program), client(&program));
    wait_clients(&program, 2);
    let (mut seen, mut little) = (Sequence::default(), Sequence::default());
    let source = program.address_of("source");
    std::thread::scope(|scope| {
        scope.spawn(|| Feeder::connect(source, MESSAGES).send(1..=last));
        quick.take_through(last, &mut seen);
    });
    seen.assert_is(1, last);
    program.log.first(&["is closed: it took nothing for lag_limit = 100ms"]);
    let status = program.status_of("p");
    assert_eq!(status.number("network", "clients_too_slow"), 1);
    stuck.take(last, &mut little);
    little.assert_is(1, little.last());
    assert!(little.last() < last);
    program.stop();
}
