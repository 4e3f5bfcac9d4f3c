//! The reports themselves: how they are read, how long they last, and that they flood nothing.

use std::io::Write;
use std::net::TcpStream;

use aqueduct::framework::flight::Cause;
use socket2::SockRef;

use super::{dialling, reports, wait_for};
use crate::harness::{Folder, Listener, Program, wait_until};

fn listening(folder: &Folder, more: &str) -> Program {
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["feed -> out"]
        sources.feed = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        sinks.out = {{ type = "blackhole" }}
        {more}
        "#
    ))
}

/// Connects, sends a line, and resets.
fn reset_once(program: &Program) {
    let mut stream = TcpStream::connect(program.address_of("feed")).unwrap();
    stream.write_all(b"a line\n").unwrap();
    wait_until("the line has arrived", || {
        (aqueduct_sys::socket::unsent_bytes(&stream).unwrap() == 0).then_some(())
    });
    SockRef::from(&stream)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
}

#[test]
fn a_client_that_resets_in_a_loop_floods_neither_the_log_nor_the_reports() {
    let folder = Folder::new();
    let program = listening(&folder, "");
    for _ in 0..300 {
        reset_once(&program);
    }
    program.wait_for("all are counted", |status| status.number("feed", "resets") == 300);
    let last = wait_until("the 256th report", || {
        reports(&folder).into_iter().find(|report| report.count == 256)
    });
    assert_eq!(last.cause, Cause::PeerReset);
    // 1, 2, 4 ... 256.
    program.log.first(&["WARN", "number 256 of its kind"]);
    let lines = program.log.so_far();
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("reset the connection"))
            .count(),
        9
    );
    assert!(reports(&folder).len() <= 16 + 4, "{} reports", reports(&folder).len());
}

#[test]
fn reports_are_read_in_words_after_the_program_was_killed() {
    let (folder, address) = (Folder::new(), Listener::open(None).address());
    let program = dialling(&folder, address, "");
    wait_for(&folder, Cause::Refused);
    program.kill();
    let output = folder.aqueduct(&["explain"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for words in [
        "p/feed",
        &address.to_string(),
        "nobody listens",
        "cause: refused (certain)",
        "what to do:",
    ] {
        assert!(text.contains(words), "{words} is missing in:\n{text}");
    }
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_log_says_the_sentence() {
    let (folder, address) = (Folder::new(), Listener::open(None).address());
    let program = dialling(&folder, address, "");
    let report = wait_for(&folder, Cause::Refused);
    let line = program.log.first(&[&report.sentence]);
    assert!(line.contains("WARN"), "{line}");
}

#[test]
fn reports_keep_to_their_folder_and_to_their_bound() {
    let folder = Folder::new();
    let program = listening(&folder, "admin = { reports = \"kept\", reports_bytes = \"16 KiB\" }");
    for round in 1..=100 {
        // Ends of different kinds in turn would each be kept sixteen times; a line without its end is one more.
        let mut stream = TcpStream::connect(program.address_of("feed")).unwrap();
        stream
            .write_all(if round % 2 == 0 { b"whole\n" } else { b"part of" })
            .unwrap();
        drop(stream);
        reset_once(&program);
    }
    program.wait_for("all are counted", |status| status.number("feed", "disconnects") == 200);
    program.stop();
    let bytes = |name: &str| folder.read(name).len();
    let (newer, older) = (bytes("kept/p.reports"), bytes("kept/p.reports.old"));
    assert!(older > 0, "{newer} bytes of reports never passed half of the bound");
    assert!(newer + older <= 16 * 1024, "{newer} + {older} bytes");
    let output = folder.aqueduct(&["explain", "--reports", "kept", "--last", "3", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn without_reports_it_is_said_where_they_were_looked_for() {
    let folder = Folder::new();
    let output = folder.aqueduct(&["explain"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("no reports in") && text.contains("aqueduct"), "{text}");
}
