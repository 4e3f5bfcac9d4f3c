//! A log that nobody reads, and signals that once ended the program undrained.

use std::io::{PipeReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Destination, Feeder, Folder, Messages, Sequence, wait_until};

const CONFIG: &str = r#"
    name = "p"
    log.queue_bytes = "4 KiB"
    flow = ["in -> out"]
    sources.in = { type = "tcp_server", listen = "127.0.0.1:0" }
    sinks.out = { type = "file", path = "got" }
    "#;

/// The program with a standard error that takes nothing.
struct Unread {
    child: Child,
    /// Of the program, which may be a child of this child.
    pid: Pid,
    folder: Folder,
    log: Option<PipeReader>,
}

impl Unread {
    /// On a terminal of its own, which util-linux' script(1) provides: what it reads is what is typed there. None without that.
    fn start_on_terminal() -> Option<Self> {
        let folder = Folder::new();
        folder.write("p.toml", CONFIG);
        let exec = format!("echo $$ > pid && exec {} run p.toml", env!("CARGO_BIN_EXE_aqueduct"));
        let child = Command::new("script")
            .args(["-qec", &exec, "/dev/null"])
            .current_dir(folder.path(""))
            .env("XDG_RUNTIME_DIR", folder.path(""))
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            eprintln!("not tested: there is no script(1), which makes a terminal");
            return None;
        };
        let pid = wait_until("the program has a number", || folder.read("pid").trim().parse().ok());
        Some(Self {
            pid: Pid::from_raw(pid).unwrap(),
            child,
            folder,
            log: None,
        })
    }

    fn press(&mut self, key: u8) {
        let keyboard = self.child.stdin.as_mut().unwrap();
        keyboard.write_all(&[key]).unwrap();
    }

    fn start() -> Self {
        let folder = Folder::new();
        folder.write("p.toml", CONFIG);
        let (log, mut full) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&full, true).unwrap();
        while full.write(&[b'\n'; 4096]).is_ok() {}
        rustix::io::ioctl_fionbio(&full, false).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_aqueduct"))
            .args(["run", "p.toml"])
            .current_dir(folder.path(""))
            .env("XDG_RUNTIME_DIR", folder.path(""))
            .stdin(Stdio::null())
            .stderr(full)
            .spawn()
            .unwrap();
        Self {
            pid: Pid::from_child(&child),
            child,
            folder,
            log: Some(log),
        }
    }

    fn status(&self) -> serde_json::Value {
        wait_until("it answers", || {
            let output = self.folder.aqueduct(&["status", "--json", "p"]);
            serde_json::from_slice(&output.stdout).ok()
        })
    }

    fn address(&self) -> SocketAddr {
        wait_until("it listens", || {
            let listening = &self.status()["actors"][0]["meters"]["texts"]["listening"];
            listening.as_str()?.parse().ok()
        })
    }

    fn send(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Signals that each bring a line of log, until some have found no room.
    fn drop_lines(&self) {
        // Before it answers it catches no signals.
        self.status();
        wait_until("lines are dropped", || {
            self.send(Signal::USR1);
            (self.status()["log_lines_dropped"].as_u64()? > 0).then_some(())
        });
    }

    fn ended(&mut self) -> Option<i32> {
        wait_until("it ends", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill_process(self.pid, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The data threads once wrote the log themselves: one line stopped reading, sending, SIGTERM and `status`.
#[test]
fn a_log_that_nobody_reads_stops_neither_frames_nor_status_nor_the_end() {
    let mut program = Unread::start();
    let mut client = TcpStream::connect(program.address()).unwrap();
    client.write_all(b"first\n").unwrap();
    program.drop_lines();
    client.write_all(b"second\n").unwrap();
    wait_until("both have arrived", || {
        (program.folder.read("got") == "first\nsecond\n").then_some(())
    });
    let words = program.folder.aqueduct(&["status", "p"]).stdout;
    assert!(String::from_utf8(words).unwrap().contains("lines of log were dropped"));
    program.send(Signal::TERM);
    assert_eq!(program.ended(), Some(0));
}

/// Ctrl-S and Ctrl-Q, as typed.
const STOP: u8 = 0x13;
const GO_ON: u8 = 0x11;

#[test]
fn a_terminal_stopped_with_ctrl_s_stops_neither_frames_nor_the_end() {
    for ends_stopped in [true, false] {
        let Some(mut program) = Unread::start_on_terminal() else {
            return;
        };
        let mut client = TcpStream::connect(program.address()).unwrap();
        client.write_all(b"first\n").unwrap();
        program.press(STOP);
        program.drop_lines();
        client.write_all(b"second\n").unwrap();
        wait_until("both have arrived", || {
            (program.folder.read("got") == "first\nsecond\n").then_some(())
        });
        if !ends_stopped {
            program.press(GO_ON);
        }
        program.send(Signal::TERM);
        assert_eq!(program.ended(), Some(0));
    }
}

#[test]
fn a_log_that_is_read_again_says_how_many_lines_it_dropped() {
    let mut program = Unread::start();
    program.drop_lines();
    let mut log = program.log.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).map(|_| text)
    });
    wait_until("the thread has written all", || {
        // What is dropped no more is told by the end at the latest.
        let before = program.status()["log_lines_dropped"].as_u64()?;
        program.send(Signal::USR2);
        (program.status()["log_lines_dropped"].as_u64()? == before).then_some(())
    });
    program.send(Signal::TERM);
    assert_eq!(program.ended(), Some(0));
    let text = reader.join().unwrap().unwrap();
    assert!(text.contains("lines of log were dropped"), "{text}");
    assert!(text.contains("ended"), "{text}");
}

const MEMORY: &str = r#"
    name = "p"
    flow = ["source -> drain -> network"]
    sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
    spills.drain = { directory = "data", memory_age = "1h" }
    sinks.network = { type = "tcp_server", listen = "127.0.0.1:0" }
    "#;

/// What a closed terminal and a habitual reload send; it once lost all that was in memory.
#[test]
fn a_hangup_drains_and_signals_without_a_meaning_do_nothing() {
    let folder = Folder::new();
    let mut program = folder.run_pipeline(MEMORY);
    Feeder::connect(program.address_of("source"), Messages::SHORT).send(1..=1000);
    program.wait_for("all is taken in", |status| {
        status.number("drain", "waiting_frames") == 1000
    });
    for (signal, name) in [
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::POWER, "SIGPWR"),
    ] {
        program.signal(signal);
        program.log.first(&[name, "is ignored"]);
    }
    program.signal(Signal::HUP);
    assert_eq!(program.exit_code(), 0);
    let (program, mut seen) = (folder.run_pipeline(MEMORY), Sequence::default());
    Destination::connect(program.address_of("network"), Messages::SHORT).take_through(1000, &mut seen);
    seen.assert_is(1, 1000);
    program.stop();
}

/// The end was once told in the columns of the live lines: padded for a terminal, 40,003 frames as "40.0 k frames".
#[test]
fn a_log_file_tells_the_end_in_whole_numbers_for_grep_and_machines() {
    let folder = Folder::new();
    folder.write(
        "p.toml",
        r#"
        name = "p"
        flow = ["in -> check -> drain -> out"]
        sources.in = { type = "generate", count = 40003 }
        processors.check = { type = "filter", contains = "7" }
        spills.drain = { directory = "data" }
        sinks.out = { type = "file", path = "got" }
        "#,
    );
    let log = String::from_utf8(folder.aqueduct(&["run", "p.toml"]).stderr).unwrap();
    let ends: Vec<_> = log.lines().filter(|line| line.contains("actor ended")).collect();
    assert_eq!(ends.len(), 4, "{log}");
    assert!(
        ends[0].contains(r#"pipeline=p actor=in role="source" frames_in=40003 "#),
        "{log}"
    );
    assert!(
        ends[1].contains("frames_in=40003 ") && ends[1].ends_with(r#" counted="filtered=26247""#),
        "{log}"
    );
    assert!(
        ends[2].contains(" frames_out=13756 ") && ends[2].contains(" waiting_frames=0"),
        "{log}"
    );
    assert!(ends[3].contains(" frames_out=13756 "), "{log}");
    // Behind the time and the level nothing is filled up with spaces.
    for line in log.lines() {
        let said = line.split_once("  ").map_or(line, |(_, behind)| behind);
        assert!(!said.contains("  "), "{line}");
    }
}

/// It once said "running" before "cannot listen".
#[test]
fn the_log_does_not_say_that_a_pipeline_runs_which_cannot_listen() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    folder.write("p.toml", &CONFIG.replace("127.0.0.1:0", &address));
    let output = folder.aqueduct(&["run", "p.toml"]);
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    let (starting, failed) = (log.find("starting").unwrap(), log.find("cannot listen").unwrap());
    assert!(starting < failed && !log.contains("running"), "{log}");
}
