//! Strangers use up all open files: nothing that runs stops, the program says what is wrong, and all is well when they have gone.

use std::net::{SocketAddr, TcpStream};

use crate::harness::{Feeder, Folder, Listener, Messages, Program, Sequence};

const MESSAGES: Messages = Messages::SHORT;

/// A shell that lets the program have so many open files. It raises the soft limit itself, so this is the hard one.
const FEW_FILES: [&str; 3] = ["sh", "-c", "ulimit -n 48; exec \"$0\" \"$@\""];

fn start(folder: &Folder, destination: SocketAddr) -> Program {
    let config = format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data" }}
        sinks.network = {{ type = "tcp_client", address = "{destination}", retry = {{ first = "1ms", max = "20ms" }} }}
        "#
    );
    folder.run_pipeline_after(&FEW_FILES, &config)
}

/// More of them than there are files, all idle.
fn strangers(program: &Program) -> Vec<TcpStream> {
    let address = program.address_of("source");
    let strangers = (0..100).map(|_| TcpStream::connect(address).expect("the kernel takes them"));
    let strangers = strangers.collect();
    program.wait_for("no file is left", |status| {
        trouble(status).contains("cannot accept connections: too many files")
    });
    strangers
}

fn trouble(status: &crate::harness::Status) -> String {
    let texts = &status.actor("source").meters.texts;
    texts.get("trouble").cloned().unwrap_or_default()
}

#[test]
fn what_is_connected_flows_on_and_status_says_what_is_wrong() {
    let (folder, listener) = (Folder::new(), Listener::open(None));
    let program = start(&folder, listener.address());
    let (mut destination, mut seen) = (listener.accept(MESSAGES), Sequence::default());
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    feeder.send(1..=10);
    destination.take_through(10, &mut seen);
    let strangers = strangers(&program);
    feeder.send(11..=1000);
    destination.take_through(1000, &mut seen);
    let output = folder.aqueduct(&["status", "p"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("cannot accept connections: too many files"), "{told}");
    drop(strangers);
    let mut late = Feeder::connect(program.address_of("source"), MESSAGES);
    late.send(1001..=1100);
    destination.take_through(1100, &mut seen);
    seen.assert_is(1, 1100);
    let status = program.wait_for("all is well", |status| trouble(status).is_empty());
    let failures = status.number("source", "accept_errors");
    let log = program.log.so_far();
    let lines = log.iter().filter(|line| line.contains("cannot accept")).count();
    assert!(
        lines as u64 <= 1 + u64::from(failures.ilog2()),
        "{lines} lines for {failures} failures"
    );
    program.stop();
}

#[test]
fn a_destination_that_breaks_off_then_is_dialled_again_once_files_are_left() {
    let (folder, listener) = (Folder::new(), Listener::open(None));
    let program = start(&folder, listener.address());
    let mut seen = Sequence::default();
    let mut first = listener.accept(MESSAGES);
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    feeder.send(1..=10);
    first.take_through(10, &mut seen);
    program.wait_for("they are settled", |status| status.number("source", "settled") == 10);
    let strangers = strangers(&program);
    let address = listener.address();
    drop(listener);
    first.reset();
    // The file that it leaves goes to the next stranger.
    program
        .log
        .first(&["cannot connect to", "too many files and sockets are open"]);
    let listener = Listener::on(address, None);
    feeder.send(11..=1000);
    drop(strangers);
    let mut second = listener.accept(MESSAGES);
    second.take_through(1000, &mut seen);
    seen.assert_is(1, 1000);
    program.wait_for("all is well", |status| trouble(status).is_empty());
    program.stop_in_doubt();
}

/// However few files there are beyond those of the log: it starts, or says why not.
#[test]
fn too_few_files_to_start_with_are_told_and_no_panic() {
    let config = r#"
        name = "p"
        flow = ["in -> all -> out"]
        sources.in = { type = "generate", count = 10 }
        processors.all = { type = "filter", contains = "0", workers = 3 }
        sinks.out = { type = "blackhole" }
        "#;
    let mut refused = 0;
    for files in 9..40 {
        let folder = Folder::new();
        let few = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        let mut program = folder.run_pipeline_after(&["sh", "-c", &few], config);
        let code = program.exit_code();
        let log = program.log.to_the_end().join("\n");
        assert!(!log.contains("panicked"), "{files} files: {log}");
        assert!(code == 0 || log.contains("ulimit -n"), "{files} files: {log}");
        refused += u32::from(code != 0);
    }
    assert!((1..31).contains(&refused), "{refused} refused");
}
