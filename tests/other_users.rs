//! Two users of one machine: neither reads, stops or deceives what the other runs. Needs root, who can be both.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::harness::{Folder, Program, wait_until};

/// Users that nobody is.
const OURS: u32 = 61_001;
const OTHER: u32 = 61_002;

/// A folder of ours, which others may look into, with a copy of the program that both may run.
struct Machine {
    folder: Folder,
}

impl Machine {
    /// None where the test may not change users.
    fn new() -> Option<Self> {
        let may = Command::new("setpriv").args(user(OURS)).arg("true").status();
        if !may.is_ok_and(|ended| ended.success()) {
            eprintln!("not tested: only root with setpriv(1) can be two users");
            return None;
        }
        let machine = Self { folder: Folder::new() };
        std::fs::copy(env!("CARGO_BIN_EXE_aqueduct"), machine.path("aqueduct-program")).unwrap();
        machine.owned(".", OURS, 0o755);
        // As /tmp is.
        std::fs::create_dir(machine.path("tmp")).unwrap();
        machine.owned("tmp", 0, 0o1777);
        Some(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    fn owned(&self, name: &str, owner: u32, mode: u32) {
        chown(self.path(name), Some(owner), Some(owner)).unwrap();
        set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        self.folder.write(name, text);
        self.owned(name, 0, 0o644);
    }

    fn shell(&self, who: u32) -> Vec<String> {
        let temporary = format!("TMPDIR={}", self.path("tmp").display());
        let mut shell = vec!["setpriv".to_owned()];
        shell.extend(user(who));
        shell.extend(["env", "-u", "XDG_RUNTIME_DIR"].map(str::to_owned));
        shell.extend([temporary, "sh".to_owned(), "-c".to_owned()]);
        shell
    }

    /// Waits until something has arrived there.
    fn wait_for_frames(&self, name: &str) {
        wait_until("frames arrive", || (!self.folder.read(name).is_empty()).then_some(()));
    }

    /// What a command says that this user types.
    fn types(&self, who: u32, command: &str) -> Output {
        let shell = self.shell(who);
        Command::new(&shell[0])
            .args(&shell[1..])
            .arg(command)
            .current_dir(self.path(""))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The pipelines of `file`, run by this user.
    fn runs(&self, who: u32, file: &str) -> Program {
        // The program that the harness names is not everybody's.
        let run = format!("exec ./aqueduct-program run {file}");
        let mut shell = self.shell(who);
        shell.push(run);
        let shell: Vec<_> = shell.iter().map(String::as_str).collect();
        self.folder.run_pipeline_after(&shell, "")
    }
}

fn user(who: u32) -> [String; 5] {
    let [user, group] = ["--reuid", "--regid"].map(str::to_owned);
    [
        user,
        who.to_string(),
        group,
        who.to_string(),
        "--clear-groups".to_owned(),
    ]
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

const FEED: &str = r#"
    name = "p"
    flow = ["in -> drain -> out", "out.rejected -> letters"]
    sources.in = { type = "generate", rate = 1000 }
    spills.drain = { directory = "data", persist = "always" }
    sinks.out = { type = "file", path = "got" }
    sinks.letters = { type = "file", path = "letters", format = "json" }
    "#;

#[test]
fn nobody_else_reads_writes_locks_or_asks_what_a_pipeline_has() {
    let Some(machine) = Machine::new() else { return };
    machine.write("feed.toml", FEED);
    let mut program = machine.runs(OURS, "feed.toml");
    machine.wait_for_frames("got");
    let own = "data got tmp/aqueduct-61001";
    for command in [
        format!("find {own} -readable -o -writable"),
        format!("find {own} -mindepth 1"),
    ] {
        let found = machine.types(OTHER, &command);
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        assert_eq!(found, "", "{command}");
    }
    for command in [
        "spill data info",
        "spill data peek",
        "spill data skip --count 1",
        "status p",
        "status --socket tmp/aqueduct-61001/p.sock",
        "explain p",
    ] {
        let output = machine.types(OTHER, &format!("./aqueduct-program {command}"));
        assert_ne!(output.status.code(), Some(0), "{command}: {}", text(&output));
        assert!(!text(&output).contains("drain"), "{command}: {}", text(&output));
    }
    let own = machine.types(OURS, "./aqueduct-program status p");
    assert_eq!(own.status.code(), Some(0), "{}", text(&own));
    program.terminate();
    assert_eq!(program.exit_code(), 0);
    // At rest likewise.
    let output = machine.types(OTHER, "./aqueduct-program spill data info");
    assert!(text(&output).contains("Permission denied"), "{}", text(&output));
}

#[test]
fn a_runtime_folder_that_another_user_made_first_is_not_used_and_stops_nothing() {
    for plant in [
        "mkdir tmp/aqueduct-61001 && chmod 777 tmp/aqueduct-61001",
        "mkdir tmp/trap && chmod 777 tmp/trap && ln -s trap tmp/aqueduct-61001",
        "echo no folder > tmp/aqueduct-61001",
    ] {
        let Some(machine) = Machine::new() else { return };
        machine.write("feed.toml", FEED);
        let planted = machine.types(OTHER, plant);
        assert_eq!(planted.status.code(), Some(0), "{}", text(&planted));
        let mut program = machine.runs(OURS, "feed.toml");
        program.log.first(&["WARN", "no admin socket"]);
        machine.wait_for_frames("got");
        let written = machine.types(0, "find tmp -user 61001");
        assert_eq!(text(&written), "", "{plant}");
        for command in ["status p", "status", "explain p"] {
            let output = machine.types(OURS, &format!("./aqueduct-program {command}"));
            assert_ne!(output.status.code(), Some(0), "{plant}: {command}: {}", text(&output));
        }
        program.terminate();
        assert_eq!(program.exit_code(), 0);
    }
}

#[test]
fn a_socket_of_another_user_is_not_believed() {
    let Some(machine) = Machine::new() else { return };
    let elsewhere = ["data", "got", "letters"].iter().fold(FEED.to_owned(), |config, name| {
        config.replace(&format!("= \"{name}\""), &format!("= \"tmp/{name}\""))
    });
    machine.write("trap.toml", &format!("admin.socket = \"tmp/trap.sock\"\n{elsewhere}"));
    let mut program = machine.runs(OTHER, "trap.toml");
    machine.wait_for_frames("tmp/got");
    set_permissions(machine.path("tmp/trap.sock"), Permissions::from_mode(0o777)).unwrap();
    let output = machine.types(OURS, "./aqueduct-program status --socket tmp/trap.sock");
    let told = text(&output);
    assert!(
        told.contains("user 61002 listens there, whose answer is not believed"),
        "{told}"
    );
    assert_ne!(output.status.code(), Some(0));
    program.terminate();
    assert_eq!(program.exit_code(), 0);
}
