//! The program under test: the real binary, with its files in a folder of its own.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};

use aqueduct::framework::pipeline::{ActorStatus, EdgeStatus, PipelineStatus};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use tempfile::TempDir;

use super::lines::Lines;
use super::wait_until;

/// A folder with pipeline files, data and admin sockets; removed at the end of the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("temporary folders can be made"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).expect("the folder is writable");
        self.path(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The names of all files and folders in it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aqueduct"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("XDG_RUNTIME_DIR", self.0.path());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn aqueduct(&self, arguments: &[&str]) -> Output {
        self.aqueduct_in(&[], arguments)
    }

    /// The same, with these environment variables.
    pub(crate) fn aqueduct_in(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
        self.command(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("the program starts")
    }

    /// Starts pipelines in the background; `arguments` follow `run`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Program {
        self.run_in(&[], arguments)
    }

    /// The same, with these environment variables.
    pub(crate) fn run_in(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Program {
        let mut command = self.command(&["run"]);
        command.args(arguments).envs(environment.iter().copied());
        self.start(command)
    }

    /// Starts any command in the background.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Program {
        self.start(self.command(arguments))
    }

    fn start(&self, mut command: Command) -> Program {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        Program {
            log: Lines::of(child.stderr.take().expect("piped")),
            output: Lines::of(child.stdout.take().expect("piped")),
            stdin: child.stdin.take(),
            sockets: self.path("aqueduct"),
            child,
        }
    }

    /// Writes a pipeline file and runs it in a shell that has done this first. Its pipeline must be called `p`.
    pub(crate) fn run_pipeline_after(&self, shell: &[&str], config: &str) -> Program {
        self.write("p.toml", config);
        let (first, rest) = shell.split_first().expect("a program");
        let mut command = Command::new(first);
        command
            .args(rest)
            .args([env!("CARGO_BIN_EXE_aqueduct"), "run", "p.toml"])
            .current_dir(self.0.path())
            .env("XDG_RUNTIME_DIR", self.0.path());
        self.start(command)
    }

    /// Writes a pipeline file and runs it. Its pipeline must be called `p`.
    pub(crate) fn run_pipeline(&self, config: &str) -> Program {
        self.write("p.toml", config);
        self.run(&["p.toml"])
    }
}

/// A running program; dropping it kills it.
pub(crate) struct Program {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) log: Lines,
    pub(crate) output: Lines,
    sockets: PathBuf,
}

impl Program {
    /// Where an actor listens, as it says in the log.
    pub(crate) fn address_of(&self, actor: &str) -> SocketAddr {
        let line = self.log.first(&["listening on", &format!("actor={actor}")]);
        let address = line
            .split("listening on ")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next());
        address
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("no address in: {line}"))
    }

    /// Waits until the pipeline's admin socket answers.
    pub(crate) fn status_of(&self, pipeline: &str) -> Status {
        let socket = self.sockets.join(format!("{pipeline}.sock"));
        wait_until("the admin socket answers", || {
            assert!(!self.log.ended(), "the program has ended");
            ask(&socket).ok().map(Status)
        })
    }

    /// Waits until the status of pipeline `p` is such.
    pub(crate) fn wait_for(&self, what: &str, such: impl Fn(&Status) -> bool) -> Status {
        wait_until(what, || {
            let status = self.status_of("p");
            such(&status).then_some(status)
        })
    }

    /// Asks it to end in order.
    pub(crate) fn terminate(&self) {
        signal(&self.child, Signal::TERM);
    }

    /// Sends it any signal.
    pub(crate) fn signal(&self, number: Signal) {
        signal(&self.child, number);
    }

    /// From now on no file of it may grow past so many bytes, or as far as before (prlimit(2)): a disk that is full, and has room again.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let limit = Rlimit {
            current: bytes,
            maximum: getrlimit(Resource::Fsize).maximum,
        };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).expect("it is our child");
    }

    /// Waits for its end; returns the exit code.
    pub(crate) fn exit_code(&mut self) -> i32 {
        self.wait().code().expect("no signal ended it")
    }

    /// Ends it as a power cut does (kill -9), and waits until it is gone.
    pub(crate) fn kill(mut self) {
        signal(&self.child, Signal::KILL);
        self.wait();
    }

    /// Asks it to end in order, and expects that it does so without loss.
    pub(crate) fn stop(mut self) {
        self.terminate();
        assert_eq!(self.exit_code(), 0, "exit code");
    }

    /// Asks it to end in order, and expects that it lost nothing itself, though connections that broke off may have cost something.
    pub(crate) fn stop_in_doubt(mut self) {
        self.terminate();
        let code = self.exit_code();
        assert!([0, 3].contains(&code), "exit code {code}");
        self.log.first(&["ended", "lost=0 "]);
    }

    /// Asks it to end in order, and expects that it says so many frames are lost.
    pub(crate) fn stop_having_lost(mut self, frames: u64) {
        self.terminate();
        assert_eq!(self.exit_code(), 3, "exit code");
        self.log.first(&["ended", &format!("lost={frames} ")]);
    }

    /// The most memory it ever had resident, in bytes (`VmHWM`, proc_pid_status(5)).
    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    fn wait(&mut self) -> ExitStatus {
        self.stdin = None;
        // Its end of the pipe closes with it, so that this waits with patience, and the call behind it not at all.
        self.log.to_the_end();
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the program's log:\n{}", self.log.so_far().join("\n"));
        }
    }
}

pub(super) fn signal(child: &Child, signal: Signal) {
    // A program that has ended already needs no signal.
    let _ = kill_process(Pid::from_child(child), signal);
}

fn ask(socket: &Path) -> std::io::Result<PipelineStatus> {
    let mut text = String::new();
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(b"status\n")?;
    stream.read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

/// What a pipeline says of itself.
#[derive(Debug)]
pub(crate) struct Status(pub(crate) PipelineStatus);

impl Status {
    pub(crate) fn actor(&self, name: &str) -> &ActorStatus {
        let found = self.0.actors.iter().find(|actor| actor.name == name);
        found.unwrap_or_else(|| panic!("no actor {name} in {self:?}"))
    }

    pub(crate) fn edge(&self, name: &str) -> &EdgeStatus {
        let found = self.0.edges.iter().find(|edge| edge.edge == name);
        found.unwrap_or_else(|| panic!("no edge {name} in {self:?}"))
    }

    /// A counter or gauge of an actor; 0 before it first counts.
    pub(crate) fn number(&self, actor: &str, name: &str) -> u64 {
        self.actor(actor).meters.numbers.get(name).copied().unwrap_or(0)
    }
}
