//! Act 3: the pipeline `c_server -> drain -> process -> network`, started from a config file like any other, in this process.

mod runner;
mod watch;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::destination::{self, Destination};
use super::folder::Folder;
use super::screen::Screen;
use super::script::Script;
use super::server::{Done, Legacy, Orders, Server};
use super::table::{Row, grouped};
use super::trace::Tracing;
use crate::framework::config::{self, LoadOptions, Loaded};
use crate::framework::pipeline::{PipelineStatus, Sample};
use crate::framework::plugin::Registry;
use crate::words::bytes;
use runner::Running;

/// The config, before the ports are known.
const CONFIG: &str = include_str!("legacy-feed.toml");
/// The config's file, in the work folder.
const CONFIG_FILE: &str = "legacy-feed.toml";
/// Where the pipeline's log goes, in the work folder.
const LOG_FILE: &str = "pipeline.log";

pub(super) fn play(
    screen: &mut Screen,
    script: &Script,
    legacy: &Legacy,
    folder: &Folder,
    registry: &Registry,
    tracing: Option<&Tracing>,
) -> Result<Row, String> {
    screen.title("Act 3. Aqueduct: c_server -> drain -> process -> network");
    screen.say(
        "The same server at the same speed. The destination is slow first, then it leaves, then it comes back. \
         `drain` keeps 4 MiB in memory here and the rest on disk, so that the disk has something to do.",
    );
    runner::log_to(&folder.path().join(LOG_FILE), tracing)?;
    let server = legacy.start(Orders {
        rate: script.rate,
        time: script.push,
        one_client: false,
    })?;
    let listen = free_port()?;
    let file = write_config(folder.path(), server.port, listen)?;
    let loaded = load(&file, registry)?;
    std::thread::scope(|scope| {
        let running = Running::start(scope, &loaded, registry, tracing)?;
        let outcome = flow(screen, script, server, &running, listen);
        // Whatever happened, the thread must end, or this scope never does.
        running.control.shut_down();
        let told = running.finish();
        let (row, status) = outcome?;
        told?;
        explain(screen, &row, &status);
        screen.pause(script.pause);
        Ok(row)
    })
}

/// Lets everything flow until the last message has arrived; what came of it, and the pipeline's figures at its end.
fn flow(
    screen: &mut Screen,
    script: &Script,
    mut server: Server,
    running: &Running<'_>,
    listen: SocketAddr,
) -> Result<(Row, PipelineStatus), String> {
    let played = script.clone();
    let destination = Destination::spawn(move |progress| destination::leaving(listen, &played, progress));
    let done = watch::until_arrived(screen, script, &mut server, running, destination.progress())?;
    let status = Sample::default().take(&running.view);
    // The sink says goodbye to the destination, which shows whether anything came behind the last message.
    running.control.shut_down();
    let arrived = destination.finish()?;
    let row = Row {
        reader: "3 Aqueduct",
        closes: done.closed_on_eagain,
        closed_after: server
            .closed
            .filter(|closed| closed.reason == "EAGAIN")
            .map(|closed| Duration::from_secs_f64(closed.seconds)),
        gap: Duration::from_micros(number(&status, "c_server", "longest_gap_us")),
        sent: done.sent_messages,
        cut: done.lost_messages,
        arrived,
    };
    Ok((row, status))
}

fn explain(screen: &mut Screen, row: &Row, status: &PipelineStatus) {
    let gap_ms = (row.gap.as_secs_f64() * 1e3).ceil();
    screen.say(&match row.closes {
        0 => format!(
            "Closes by the server: 0. The reading never waited: the longest that bytes lay in the socket was {gap_ms:.0} ms."
        ),
        closes => format!(
            "Closes by the server: {closes}, because nobody read for too long: this machine or its disk was busy with other work. \
             What it could not send is lost. Play it again with less else running; with --keep, pipeline.log says what the reader waited for."
        ),
    });
    screen.say(&format!(
        "At the peak {} messages waited in `drain`, with {} on disk. Whatever the destination did, it got all in \
         order, by itself: {} messages checked byte by byte, {} lost, {} twice, {} out of order.",
        grouped(number(status, "drain", "peak_frames")),
        bytes(number(status, "drain", "peak_disk_bytes") as f64),
        grouped(row.arrived.verified),
        row.lost(),
        row.arrived.duplicates,
        row.arrived.disordered,
    ));
}

/// A number that an actor tells; 0 when it does not tell it.
fn number(status: &PipelineStatus, actor: &str, key: &str) -> u64 {
    let actor = status.actors.iter().find(|each| each.name == actor);
    actor
        .and_then(|actor| actor.meters.numbers.get(key))
        .copied()
        .unwrap_or(0)
}

/// A port nobody uses now: the config must name one, and the destination must know it.
fn free_port() -> Result<SocketAddr, String> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("no free port on 127.0.0.1: {error}"))
}

fn write_config(folder: &Path, server: u16, listen: SocketAddr) -> Result<PathBuf, String> {
    let file = folder.join(CONFIG_FILE);
    let text = CONFIG
        .replace("@SERVER_PORT@", &server.to_string())
        .replace("@LISTEN_PORT@", &listen.port().to_string());
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(file)
}

fn load(file: &Path, registry: &Registry) -> Result<Loaded, String> {
    config::load(&[file.to_owned()], &LoadOptions::default(), registry).map_err(|mistakes| {
        let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })
}
