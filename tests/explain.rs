//! Why a connection ended: `explain` must name the right cause of ends that really happened, between real sockets.

mod destinations;
mod peers;
mod reports;
mod stalls;

use std::net::SocketAddr;

use aqueduct::framework::flight::{Cause, Report};

use crate::harness::{Folder, Program, wait_until};

/// What `explain --json` prints about pipeline `p`.
fn reports(folder: &Folder) -> Vec<Report> {
    let output = folder.aqueduct(&["explain", "p", "--json", "--last", "1000"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let reports = text.lines().map(|line| serde_json::from_str(line).expect("a report"));
    reports.collect()
}

/// Waits until `explain` tells of this cause.
fn wait_for(folder: &Folder, cause: Cause) -> Report {
    wait_for_nth(folder, 1, cause)
}

fn wait_for_nth(folder: &Folder, nth: usize, cause: Cause) -> Report {
    wait_until(&format!("report {nth} of {cause}"), || {
        let mut such = reports(folder).into_iter().filter(|report| report.cause == cause);
        such.nth(nth - 1)
    })
}

/// Waits for the first report, which must have this cause.
fn first(folder: &Folder, cause: Cause) -> Report {
    let report = wait_until("a report", || reports(folder).into_iter().next());
    assert_eq!(report.cause, cause, "{report:#?}");
    report
}

/// A pipeline whose source dials, and whose sink takes everything.
fn dialling(folder: &Folder, address: impl std::fmt::Display, options: &str) -> Program {
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["feed -> out"]
        sources.feed = {{ type = "tcp_client", address = "{address}", retry = {{ first = "1ms", max = "20ms" }}{options} }}
        sinks.out = {{ type = "blackhole" }}
        "#
    ))
}

/// A pipeline whose sink dials, fed through the returned address.
fn sending(folder: &Folder, address: SocketAddr, options: &str) -> (Program, SocketAddr) {
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["feed -> drain -> network"]
        sources.feed = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data" }}
        sinks.network = {{ type = "tcp_client", address = "{address}", retry = {{ first = "1ms", max = "20ms" }}{options} }}
        "#
    ));
    let feed = program.address_of("feed");
    (program, feed)
}
