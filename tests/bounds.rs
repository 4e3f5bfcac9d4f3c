//! Bounds: bytes in flight, memory, and how long a source waits for its reader.

use std::collections::BTreeMap;
use std::time::Duration;

use aqueduct::framework::flight::{SLOTS, Slot};

use std::process::Command;

use crate::harness::{CServer, Destination, Feeder, Folder, Listener, Messages, Sequence};

#[test]
fn a_plugin_that_sleeps_does_not_make_the_reader_slow() {
    const NAP: Duration = Duration::from_secs(2);
    let folder = Folder::new();
    let server = CServer::start(&["--rate", "5000000"]);
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["c_server -> drain -> work -> out"]
        sources.c_server = {{ type = "tcp_client", address = "{}" }}
        spills.drain = {{ directory = "data", memory_bytes = "1 MiB" }}
        processors.work = {{ type = "delay", per_batch = "{} s", blocking = true }}
        sinks.out = {{ type = "blackhole" }}
        "#,
        server.address,
        NAP.as_secs()
    ));
    let status = program.wait_for("work has napped twice", |status| {
        status.number("out", "frames_out") >= 2
    });
    let gap = Duration::from_micros(status.number("c_server", "longest_gap_us"));
    assert!(
        gap < NAP / 2,
        "the server's bytes waited up to {gap:?} while a plugin slept {NAP:?} at a time"
    );
    assert_eq!(server.stop()["closed_on_eagain"], 0);
}

#[test]
fn when_a_sink_stalls_the_pipeline_holds_one_window_and_one_batch() {
    /// Every batch costs at least this much of the window (DESIGN 4), and one read is one batch of at most this much.
    const LARGEST_BATCH: u64 = 256 * 1024;
    const WINDOW: u64 = 128 * 1024;
    const MESSAGES: Messages = Messages::SHORT;
    let (folder, last, listener) = (Folder::new(), 80_000, Listener::open(Some(16 * 1024)));
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        sinks.network = {{ type = "tcp_client", address = "{}", window_bytes = {WINDOW}, send_buffer_bytes = "16 KiB" }}
        "#,
        listener.address()
    ));
    let source = program.address_of("source");
    let (mut destination, mut seen) = (listener.accept(MESSAGES), Sequence::default());
    std::thread::scope(|scope| {
        scope.spawn(|| Feeder::connect(source, MESSAGES).send(1..=last));
        let blocked = |status: &crate::harness::Status| status.edge("source -> network").waiting_ns >= 1_000_000_000;
        let status = program.wait_for("reading has stopped", blocked);
        let taken = status.number("source", "frames_in") * MESSAGES.most as u64;
        let sockets = 32 * 1024 + 64 * 1024 + destination.receive_buffer_bytes() as u64;
        let bound = WINDOW + LARGEST_BATCH + sockets;
        assert!(
            taken <= bound,
            "{taken} bytes were read; window, one batch and the sockets' buffers are {bound}"
        );
        assert!(taken >= WINDOW / 2, "{taken} bytes were read: the window was not used");
        destination.take_through(last, &mut seen);
    });
    seen.assert_is(1, last);
    program.stop();
}

#[test]
fn a_thousand_connections_stay_within_the_memory_bound_and_each_keeps_its_order() {
    const CONNECTIONS: u64 = 1000;
    const EACH: u64 = 400;
    const MEMORY: u64 = 8 << 20;
    const MESSAGES: Messages = Messages { least: 100, most: 500 };
    // The last minute of each, in slots of 100 ms: only a slow machine gets to fill them.
    const RECORDERS: u64 = CONNECTIONS * (SLOTS * size_of::<Slot>()) as u64;
    aqueduct_sys::process::raise_open_file_limit().expect("a thousand sockets are allowed");
    let folder = Folder::new();
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0", max_connections = 1000 }}
        spills.drain = {{ directory = "data", memory_bytes = {MEMORY} }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        "#
    ));
    let source = program.address_of("source");
    let mut feeders: Vec<_> = (0..CONNECTIONS).map(|_| Feeder::connect(source, MESSAGES)).collect();
    // In turns, so that all connections are busy at once.
    for part in 0..4 {
        for (index, feeder) in (0..CONNECTIONS).zip(&mut feeders) {
            let first = index * EACH + part * EACH / 4 + 1;
            feeder.send(first..=first + EACH / 4 - 1);
        }
    }
    let total = CONNECTIONS * EACH;
    let status = program.wait_for("all is taken in", |status| {
        status.number("source", "frames_in") == total
    });
    assert_eq!(status.number("source", "connections"), CONNECTIONS);
    let (peak, bound) = (program.peak_memory_bytes(), MEMORY + RECORDERS + (64 << 20));
    assert!(peak <= bound, "{peak} bytes of memory at the peak, {bound} are allowed");
    let (mut destination, mut last) = (
        Destination::connect(program.address_of("network"), MESSAGES),
        BTreeMap::new(),
    );
    for _ in 0..total {
        let number = destination.next().expect("more frames are there");
        let connection = (number - 1) / EACH;
        let before = last.insert(connection, number).unwrap_or(connection * EACH);
        assert_eq!(number, before + 1, "order of connection {connection}");
    }
    program.stop();
}

#[test]
fn connections_that_the_limit_of_open_files_does_not_allow_are_warned_of_by_check_and_run() {
    const FEW_FILES: &str = "ulimit -n 256 && exec \"$@\"";
    let folder = Folder::new();
    let config = r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0", max_connections = 1000 }
        spills.drain = { directory = "data", when_full = "block" }
        sinks.network = { type = "tcp_server", listen = "127.0.0.1:0" }
        "#;
    let program = folder.run_pipeline_after(&["sh", "-c", FEW_FILES, "sh"], config);
    // 64 of the process, 1,000 connections and 3, 16 of the store, one client and 3.
    let told = "1003 files and sockets may be open here and 1087 in all, but the process may open 256";
    program.log.first(&["sources.source", told]);
    program.address_of("source");
    program.stop();
    let check = |limit: &str| {
        let output = Command::new("sh")
            .args([
                "-c",
                &format!("ulimit -n {limit} && exec \"$@\""),
                "sh",
                env!("CARGO_BIN_EXE_aqueduct"),
                "check",
                "p.toml",
            ])
            .current_dir(folder.path(""))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(check("1086").contains("and 1087 in all, but the process may open 1086"));
    assert_eq!(check("1087"), "");
}
