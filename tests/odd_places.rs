//! Outputs that take nothing, and admin places that are not what they should be.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;

use crate::harness::{Folder, Program};

fn config(more: &str) -> String {
    format!(
        r#"
    name = "p"
    {more}
    flow = ["in -> drain -> out"]
    sources.in = {{ type = "generate", count = 3 }}
    spills.drain = {{ directory = "data" }}
    sinks.out = {{ type = "file", path = "got" }}
    "#
    )
}

fn into(folder: &Folder, arguments: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aqueduct"))
        .args(arguments)
        .current_dir(folder.path(""))
        .env("XDG_RUNTIME_DIR", folder.path(""))
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .output()
        .unwrap()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// `run` once panicked over the warning it could not print, and the others over their output.
#[test]
fn a_full_device_brings_a_word_and_an_exit_code_and_never_a_panic() {
    let folder = Folder::new();
    folder.write("p.toml", &config(""));
    for arguments in [
        &["check", "p.toml"][..],
        &["plugins"],
        &["plugins", "filter"],
        &["graph", "p.toml"],
    ] {
        let output = into(&folder, arguments, full(), Stdio::piped());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(
            errors.contains("cannot write to standard output: No space left"),
            "{errors}"
        );
    }
    for (arguments, code) in [
        (&["check", "p.toml"][..], 0),
        (&["run", "p.toml"], 0),
        (&["check", "absent.toml"], 2),
        (&["status"], 1),
        (&["explain", "nobody"], 1),
        (&["trace", "in:1"], 1),
    ] {
        let output = into(&folder, arguments, Stdio::piped(), full());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn check_says_when_the_path_of_the_socket_is_too_long() {
    let folder = Folder::new();
    let socket = format!("admin.socket = \"{}/a.sock\"", "x".repeat(100));
    folder.write("p.toml", &config(&socket));
    let output = folder.aqueduct(&["check", "p.toml"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("warning: p.toml:3:11: admin.socket: its path has "),
        "{told}"
    );
    assert!(told.contains("expected at most 107 bytes"), "{told}");
    assert_eq!(output.status.code(), Some(0));
    runs_without_a_socket(&folder, &socket, "path must be shorter");
}

/// Every command, into a full device and into a pipe whose reader has gone: a word at most, never a panic.
#[test]
fn no_command_panics_over_what_it_cannot_print() {
    let folder = Folder::new();
    folder.write(
        "p.toml",
        &config("").replace("\"data\"", "\"data\", persist = \"always\""),
    );
    let program = folder.run(&["p.toml"]);
    program.log.first(&["ended"]);
    folder.write(
        "q.toml",
        &config("")
            .replace("name = \"p\"", "name = \"q\"")
            .replace(", count = 3", "")
            .replace("data", "q"),
    );
    let running = folder.run(&["q.toml"]);
    running.status_of("q");
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let mut number = 0;
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["explain"],
        &["explain", "--json"],
        &["trace", "in:1"],
        &["spill", "data"],
        &["spill", "data", "list"],
        &["spill", "data", "peek", "--from", "0"],
        &["spill", "data", "verify"],
        &["spill", "data", "export", "--from", "0"],
        &["plugins", "log"],
        &["new", "plugin", "NAME"],
        &["new", "pipeline", "NAME"],
        &["--help"],
        &["--version"],
    ] {
        for (out, errors) in [
            (full(), Stdio::piped()),
            (gone(), Stdio::piped()),
            (full(), full()),
            (gone(), gone()),
        ] {
            number += 1;
            let name = format!("n{number}");
            let arguments: Vec<_> = arguments.iter().map(|word| word.replace("NAME", &name)).collect();
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let output = into(&folder, &arguments, out, errors);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(matches!(output.status.code(), Some(0..=4)), "{arguments:?}: {output:?}");
            assert!(!told.contains("panick"), "{arguments:?}: {told}");
        }
    }
    let help = into(&folder, &["--help"], full(), Stdio::piped());
    assert_eq!(help.status.code(), Some(1));
    running.stop();
}

fn runs_without_a_socket(folder: &Folder, more: &str, why: &str) {
    folder.write("p.toml", &config(more));
    let mut program = folder.run(&["p.toml"]);
    program.log.first(&["WARN", "no admin socket", why, "[admin] socket"]);
    assert_eq!(program.exit_code(), 0);
    assert_eq!(folder.read("got").lines().count(), 3);
}

#[test]
fn a_file_where_the_admin_socket_should_be_is_left_alone() {
    let folder = Folder::new();
    folder.write("important.db", "important");
    runs_without_a_socket(&folder, "admin.socket = \"important.db\"", "no socket");
    assert_eq!(folder.read("important.db"), "important");
}

#[test]
fn a_link_in_the_place_of_the_runtime_folder_is_not_followed() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(folder.path("elsewhere"), folder.path("aqueduct")).unwrap();
    runs_without_a_socket(&folder, "", "aqueduct");
    assert_eq!(std::fs::read_dir(folder.path("elsewhere")).unwrap().count(), 0);
}

fn lasting(folder: &Folder) -> Program {
    folder.run_pipeline(
        r#"
        name = "p"
        flow = ["in -> out"]
        sources.in = { type = "tcp_server", listen = "127.0.0.1:0" }
        sinks.out = { type = "blackhole" }
        "#,
    )
}

#[test]
fn a_runtime_folder_of_ours_that_others_may_enter_is_closed_to_them() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("aqueduct")).unwrap();
    std::fs::set_permissions(folder.path("aqueduct"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let program = lasting(&folder);
    program.status_of("p");
    let mode = std::fs::metadata(folder.path("aqueduct")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    program.stop();
}

#[test]
fn a_process_that_is_stopped_runs_and_does_not_answer() {
    let folder = Folder::new();
    let program = lasting(&folder);
    program.status_of("p");
    program.signal(Signal::STOP);
    let output = folder.aqueduct(&["status", "p"]);
    program.signal(Signal::CONT);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("runs and does not answer"), "{errors}");
    assert!(!errors.contains("not running"), "{errors}");
    program.stop();
}

#[test]
fn a_name_too_long_for_the_path_of_a_socket_is_found_all_the_same() {
    let folder = Folder::new();
    let name = "n".repeat(100);
    folder.write(
        "p.toml",
        &config("")
            .replace("\"p\"", &format!("\"{name}\""))
            .replace("count = 3", "rate = 1"),
    );
    let program = folder.run(&["p.toml"]);
    program.log.first(&["starting", "tells how it is"]);
    let output = folder.aqueduct(&["status", &name]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with(&format!("pipeline {name}")),
        "{text}{:?}",
        output.stderr
    );
    program.stop();
}

#[test]
fn what_a_socket_says_moves_no_terminal() {
    use std::io::{BufRead, BufReader, Write};
    let folder = Folder::new();
    std::fs::create_dir(folder.path("aqueduct")).unwrap();
    let listener = UnixListener::bind(folder.path("aqueduct/p.sock")).unwrap();
    let text = r#"{"pipeline":"\u001b]0;x\u0007\u009b2J\u202e","at_ns":0,"actors":[],"edges":[]}"#;
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut client, _) = listener.accept().unwrap();
            BufReader::new(&client).read_line(&mut String::new()).unwrap();
            client.write_all(text.as_bytes()).unwrap();
        }
    });
    for arguments in [&["status", "p"][..], &["status", "p", "--json"]] {
        let output = String::from_utf8(folder.aqueduct(arguments).stdout).unwrap();
        assert!(output.contains("]0;x"), "{output:?}");
        let moves = |sign: char| (sign.is_control() && sign != '\n') || sign == '\u{202e}';
        assert!(!output.contains(moves), "{output:?}");
    }
    server.join().unwrap();
}
