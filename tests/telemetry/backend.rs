//! A collector of somebody else: Rotel, from its package. It is installed by `.ci/run`, which names it to these tests.

use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::collector::Transport::{self, Grpc, Http};
use super::{Collector, Peers, STEPS, pipeline};
use crate::harness::{Folder, wait_until};

/// Names the program `rotel-agent`.
const PROGRAM: &str = "AQUEDUCT_TEST_ROTEL";

/// The running collector; ended when this is dropped.
struct Rotel {
    child: Child,
    http: SocketAddr,
    grpc: SocketAddr,
}

impl Rotel {
    /// Starts it so that it passes everything on to `next`, over gRPC.
    fn start(program: &OsStr, folder: &Folder, next: &str) -> Self {
        // It cannot tell which port it got, so one must be chosen for it; somebody else may be faster to take it.
        wait_until("Rotel has both ports", || {
            let [http, grpc] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
            let [http, grpc] = [http, grpc].map(|listener| listener.local_addr().unwrap());
            let mut command = Command::new(program);
            command
                .arg("start")
                .args(["--otlp-http-endpoint", &http.to_string()])
                .args(["--otlp-grpc-endpoint", &grpc.to_string()])
                .args(["--exporter", "otlp", "--otlp-exporter-endpoint", next])
                .arg("--pid-file")
                .arg(folder.path("rotel.pid"))
                .stdin(Stdio::null());
            let child = command.spawn().expect("Rotel starts");
            let mut rotel = Self { child, http, grpc };
            rotel.listens().then_some(rotel)
        })
    }

    /// Waits until it listens; false when it ended instead.
    fn listens(&mut self) -> bool {
        wait_until("Rotel listens", || {
            let listens = [self.http, self.grpc]
                .iter()
                .all(|port| TcpStream::connect(port).is_ok());
            let ended = self.child.try_wait().unwrap().is_some();
            (listens || ended).then_some(listens && !ended)
        })
    }

    fn endpoint(&self, transport: Transport) -> String {
        match transport {
            Http => format!("http://{}", self.http),
            Grpc => format!("http://{}", self.grpc),
        }
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        // It has ended already when it did not get its ports.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs the collector Rotel: `.ci/run` installs it and runs this"]
fn a_real_collector_takes_whole_traces_and_passes_them_on() {
    let installed = std::env::var_os(PROGRAM);
    let installed = installed.unwrap_or_else(|| panic!("{PROGRAM} must name the program, as in .ci/run"));
    for transport in [Http, Grpc] {
        let (folder, behind) = (Folder::new(), Collector::speaking(Grpc));
        let rotel = Rotel::start(&installed, &folder, &behind.endpoint);
        let keys = format!("endpoint = {:?}, protocol = \"{transport}\"", rotel.endpoint(transport));
        let program = folder.run_pipeline(&pipeline(&keys));
        Peers::of(&program).one_by_one(30);
        program.stop();
        behind.wait_for_spans(30 * STEPS.len());
        let spans = behind.spans();
        let journeys = spans.journeys(STEPS);
        assert_eq!(journeys.len(), 30, "over {transport}");
        let mut numbers: Vec<_> = journeys
            .iter()
            .map(|journey| journey[3].number("aqueduct.seq.first"))
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..30).collect::<Vec<_>>(), "over {transport}");
        assert!(
            journeys
                .iter()
                .flatten()
                .all(|seen| seen.resource["service.name"] == "aqueduct")
        );
    }
}
