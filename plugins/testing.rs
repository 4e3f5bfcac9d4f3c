//! For tests: a pipeline from TOML text, run by the real actors on a thread of its own, watched through what `status` sees.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_framework::config::{self, LoadOptions, PipelineConfig};
use aqueduct_framework::pipeline::{Control, Pipeline, RunOptions, View};
use aqueduct_framework::plugin::Registry;
use aqueduct_framework::supervisor::Ending;
use tempfile::TempDir;

/// Nothing in these tests takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A pipeline that runs. Dropping it forces it to end.
pub(crate) struct Running {
    view: View,
    control: Control,
    ended: mpsc::Receiver<Ending>,
    folder: TempDir,
}

impl Running {
    /// Runs a pipeline file with this text, in a folder of its own.
    pub(crate) fn start(toml: &str) -> Self {
        Self::start_with(toml, registry())
    }

    /// The same with other plugins.
    pub(crate) fn start_with(toml: &str, registry: Registry) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let config = load(toml, folder.path(), &registry).expect("a pipeline without mistakes");
        let (started_to, started) = mpsc::channel();
        let (ended_to, ended) = mpsc::channel();
        thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let pipeline = Pipeline::start(&config, &registry, &RunOptions::default()).expect("it starts");
                started_to
                    .send((pipeline.view(), pipeline.control()))
                    .expect("the test waits");
                // The test may have what it wanted already.
                let _ = ended_to.send(pipeline.ended().await.expect("a supervisor"));
            });
        });
        let (view, control) = started.recv_timeout(PATIENCE).expect("the pipeline starts");
        Self {
            view,
            control,
            ended,
            folder,
        }
    }

    /// The folder of the pipeline file.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A meter of an actor; 0 while it does not exist.
    pub(crate) fn number(&self, actor: &str, name: &str) -> u64 {
        let snapshot = self.meters(actor).snapshot();
        snapshot.numbers.get(name).copied().unwrap_or(0)
    }

    /// What an actor says in words.
    pub(crate) fn text(&self, actor: &str, name: &str) -> String {
        self.meters(actor)
            .snapshot()
            .texts
            .get(name)
            .cloned()
            .unwrap_or_default()
    }

    /// Waits until a meter has at least this value.
    pub(crate) fn wait(&self, actor: &str, name: &str, least: u64) {
        self.until(&format!("{actor}.{name} >= {least}"), || {
            self.number(actor, name) >= least
        });
    }

    /// Waits until something is so.
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let all = || {
                self.view
                    .actors
                    .iter()
                    .map(|(name, .., meters)| format!("{name}: {:?}", meters.snapshot()))
            };
            assert!(
                begun.elapsed() < PATIENCE,
                "waited for {what}; {}",
                all().collect::<Vec<_>>().join("\n")
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Where an actor listens, once it does.
    pub(crate) fn address(&self, actor: &str) -> SocketAddr {
        self.until(&format!("{actor} listens"), || {
            !self.text(actor, "listening").is_empty()
        });
        self.text(actor, "listening").parse().expect("an address")
    }

    /// Connects to an actor that listens.
    pub(crate) fn connect(&self, actor: &str) -> TcpStream {
        patient(TcpStream::connect(self.address(actor)).expect("it listens"))
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(self) -> Ending {
        self.control.shut_down();
        let ending = self.ending();
        assert!(!ending.forced, "it was cut short at the shutdown deadline");
        ending
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ending(self) -> Ending {
        self.ended.recv_timeout(PATIENCE).expect("the pipeline ends")
    }

    fn meters(&self, actor: &str) -> &aqueduct_framework::telemetry::Meters {
        let found = self.view.actors.iter().find(|(name, ..)| name == actor);
        &found.expect("an actor of the pipeline").3
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.control.force();
    }
}

/// What is wrong with a pipeline, as its user is told.
pub(crate) fn mistakes(toml: &str) -> String {
    let folder = TempDir::new().expect("a temporary folder");
    let mistakes = load(toml, folder.path(), &registry()).expect_err("a mistake");
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    crate::register(&mut registry);
    registry
}

fn load(toml: &str, folder: &Path, registry: &Registry) -> Result<PipelineConfig, Vec<config::Mistake>> {
    let file = folder.join("trial.toml");
    std::fs::write(&file, toml).expect("a file");
    let mut loaded = config::load(&[file], &LoadOptions::default(), registry)?;
    Ok(loaded.pipelines.remove(0))
}

/// A listener of the test's own, and its address.
pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// The next connection, with a limit on every read and write.
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    patient(listener.accept().expect("a connection").0)
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

/// The next `bytes` from a peer, as text.
pub(crate) fn read_text(from: &mut TcpStream, bytes: usize) -> String {
    let mut text = vec![0; bytes];
    from.read_exact(&mut text).expect("the bytes in time");
    String::from_utf8(text).expect("text")
}

/// Everything from a peer until it ends.
pub(crate) fn read_all(from: &mut TcpStream) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).expect("the end in time");
    text
}

/// Everything from a peer until it ends or resets the connection.
pub(crate) fn read_all_bytes(mut from: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What came before a reset stays.
    let _ = from.read_to_end(&mut bytes);
    bytes
}

pub(crate) fn send(to: &mut TcpStream, text: &str) {
    to.write_all(text.as_bytes()).expect("the peer takes it");
}

/// Ends a connection with an RST.
pub(crate) fn reset(stream: TcpStream) {
    aqueduct_sys::socket::set_linger_reset(&stream).expect("a socket");
}

/// `line 0`, `line 1` ... as lines.
pub(crate) fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("line {number}\n")).collect()
}
