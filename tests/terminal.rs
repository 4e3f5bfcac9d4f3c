//! What is seen on terminals of 60 to 200 columns, also after somebody has dragged the window's edge.

use rustix::process::Signal;

use crate::harness::{Folder, OnTerminal, wait_until};

const WIDTHS: [u16; 6] = [60, 72, 80, 100, 120, 200];

/// The sink cannot write, and says so with wide signs in a long path.
const CONFIG: &str = r#"
    name = "p"
    flow = ["in -> a_store_with_a_rather_long_name -> out"]
    sources.in = { type = "generate", rate = 10, bytes = 20 }
    spills.a_store_with_a_rather_long_name = { directory = "data", persist = "always" }
    sinks.out = { type = "file", path = "数据管道/数据管道/数据管道/数据管道/out.txt" }
    "#;

fn written() -> Folder {
    let folder = Folder::new();
    folder.write("p.toml", CONFIG);
    // A file stands where the folder should be.
    folder.write("数据管道", "");
    folder
}

#[test]
fn live_lines_fit_and_leave_nothing_behind_when_the_terminal_is_made_narrower() {
    let folder = written();
    let program = OnTerminal::start(&folder, 200, &["run", "p.toml"]);
    let live = |lines: &[String]| lines.iter().filter(|line| line.contains("frames/s")).count();
    wait_until("the sink says what is wrong", || {
        let lines = program.picture().lines();
        (live(&lines) == 3
            && lines
                .iter()
                .any(|line| line.contains("frames/s") && line.contains("数据")))
        .then_some(())
    });
    for columns in [200, 120, 60, 72, 200, 80, 60] {
        program.resize(columns);
        wait_until("the live lines fit", || {
            let lines = program.picture().lines();
            let block = lines.iter().rev().skip_while(|line| line.is_empty()).take(3);
            let cut = block
                .filter(|line| line.contains("frames/s"))
                .filter(|line| line.ends_with('…'))
                .count();
            // No torn copy above them; the two long lines cut, the short one not.
            (live(&lines) == 3 && (columns == 200 || cut >= 1)).then_some(())
        });
    }
    let name = "a_store_with_a_rather_long_name";
    let seen = |columns: u16, name: &str| {
        program.resize(columns);
        wait_until("the name is as long as there is room", || {
            let lines = program.picture().lines();
            lines
                .iter()
                .any(|line| line.starts_with(&format!("{name} ")))
                .then_some(())
        });
    };
    seen(200, name);
    seen(60, "a_store_with_a_rath…");
    program.signal(Signal::TERM);
    program.ended(false);
}

#[test]
fn what_commands_print_fits_the_terminal() {
    let folder = written();
    let program = folder.run(&["p.toml"]);
    program.wait_for("some wait", |status| {
        status.number("a_store_with_a_rather_long_name", "waiting_frames") > 3
    });
    program.log.first(&["WARN", "数据"]);
    for columns in WIDTHS {
        for (arguments, last) in [
            (&["status", "p"][..], "数据管道"),
            (&["plugins"], "sample."),
            (&["plugins", "tcp_server"], "sample:"),
            (&["check", "p.toml"], "p.toml"),
            (&["spill", "data"], "quarantine: empty"),
            (&["spill", "data", "list"], "wait"),
            (&["spill", "data", "peek"], "received"),
            (&["spill", "data", "verify"], ""),
            (&["graph", "p.toml"], "[file]"),
            (&["trace", "in:0"], "in:0"),
            (
                &["trace", "an id that is nowhere, and long enough for two lines of text"],
                "",
            ),
            (&["explain"], ""),
            (&["explain", "nobody_of_this_name"], "no pipeline of this name"),
            (&["new", "plugin", "data"], "nothing is overwritten"),
            (&["run", "absent.toml"], "nothing was opened"),
            (&["--help"], "Exit codes"),
        ] {
            let (code, lines) = OnTerminal::start(&folder, columns, arguments).ended(true);
            let text = lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(
                matches!(code, Some(0..=2)) && text.contains(last),
                "{arguments:?} at {columns}: {text}"
            );
        }
    }
    program.terminate();
}

#[test]
fn the_demo_fits_a_narrow_terminal() {
    let folder = Folder::new();
    let (code, lines) = OnTerminal::start(&folder, 60, &["demo", "--quick"]).ended(true);
    let text = lines.join("\n");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("on disk >") && text.contains("  out of order"), "{text}");
}
