//! A pipeline, and the Jaeger UI with its traces, on this machine only.
//!
//! Without arguments: a collector on the ports that OpenTelemetry gives collectors (4317 for gRPC, 4318 for HTTP), the UI on Jaeger's port
//! 16686, and `pipeline.toml`, whose spans go there. With `--collector` without the pipeline, for one of your own. `--any-port` takes free
//! ports, and prints which. Traces are kept in memory, the newest ones, until this program ends.

mod collector;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

const UI_PORT: u16 = 16686;
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;

/// What the command line asks for.
#[derive(Default)]
struct Options {
    collector_only: bool,
    any_port: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::read()?;
    let [ui, grpc, http] = [
        options.listen(UI_PORT).await?,
        options.listen(GRPC_PORT).await?,
        options.listen(HTTP_PORT).await?,
    ];
    let [ui_at, grpc_at, http_at] = [ui.local_addr()?, grpc.local_addr()?, http.local_addr()?];
    let query = if options.collector_only {
        ""
    } else {
        "?service=orders&limit=20&lookback=1h"
    };
    println!("traces: http://{ui_at}/search{query}");
    println!("takes spans at http://{grpc_at} (gRPC) and http://{http_at} (HTTP); Ctrl-C ends this");
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let folder = tempfile::tempdir()?;
    let mut pipeline = match options.collector_only {
        true => None,
        false => Some(pipeline(&format!("http://{grpc_at}"), folder.path())?),
    };
    tokio::select! {
        failed = collector::serve(ui, grpc, http) => failed?,
        ended = end_of(&mut pipeline) => return Err(format!("the pipeline ended by itself: {ended}").into()),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    if let Some(pipeline) = &mut pipeline {
        if let Some(pid) = pipeline.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // After Ctrl-C it has the same signal already, and may be gone.
            let _ = kill_process(pid, Signal::TERM);
        }
        pipeline.wait().await?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Options {
    fn read() -> Result<Self, String> {
        let mut options = Self::default();
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--collector" => options.collector_only = true,
                "--any-port" => options.any_port = true,
                _ => {
                    return Err(format!(
                        "{argument}? Known are --collector (no pipeline) and --any-port"
                    ));
                }
            }
        }
        Ok(options)
    }

    async fn listen(&self, port: u16) -> Result<TcpListener, String> {
        let port = if self.any_port { 0 } else { port };
        TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| {
            format!("port {port} of 127.0.0.1 cannot be listened on: {error}; end who has it, or try --any-port")
        })
    }
}

/// Starts the pipeline with the program that `AQUEDUCT` names, or with the one that cargo makes of this repository.
fn pipeline(endpoint: &str, folder: &Path) -> std::io::Result<Child> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = match std::env::var_os("AQUEDUCT") {
        Some(program) => Command::new(program),
        None => {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut command = Command::new(cargo);
            // `cargo run` becomes the program itself, so that it can be signalled.
            command.args(["run", "--quiet", "--manifest-path"]);
            command.arg(here.join("../../Cargo.toml")).arg("--");
            command
        }
    };
    command
        .args(["run", "--no-live"])
        .arg(here.join("pipeline.toml"))
        .args(["--set", &format!("telemetry.endpoint={endpoint:?}")])
        .args(["--set", &format!("spills.drain.directory={:?}", folder.join("data"))])
        .args(["--set", &format!("admin.socket={:?}", folder.join("admin.sock"))])
        .kill_on_drop(true)
        .spawn()
}

/// Waits for its end; for ever where there is none.
async fn end_of(pipeline: &mut Option<Child>) -> String {
    match pipeline {
        Some(child) => match child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        },
        None => std::future::pending().await,
    }
}
