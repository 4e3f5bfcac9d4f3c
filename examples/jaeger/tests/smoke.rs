//! The program as its user starts it: its query API has a whole trace of the pipeline, its page is there, and it ends when asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Far more than it takes; the pipeline's program may have to be built first.
const PATIENCE: Duration = Duration::from_secs(600);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_traces_of_the_pipeline_are_there_to_look_at() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aqueduct-jaeger"));
    let child = command.arg("--any-port").stdout(Stdio::piped()).spawn().unwrap();
    let mut running = Running(child);
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let address = first
        .strip_prefix("traces: http://")
        .and_then(|rest| rest.split_once('/'));
    let (address, page) = address.unwrap_or_else(|| panic!("an address: {first}"));

    let began = Instant::now();
    loop {
        let answer = get(address, "/api/traces?service=orders&limit=20");
        let traces: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let traces = traces["data"].as_array().unwrap();
        if traces.iter().any(is_whole) {
            break;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "no whole trace came; the last answer was: {traces:?}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let page = get(address, &format!("/{page}"));
    assert!(page.contains("Jaeger UI"), "{page}");

    kill_process(Pid::from_child(&running.0), Signal::TERM).unwrap();
    assert!(running.0.wait().unwrap().success());
}

/// Whether every actor has a span in it.
fn is_whole(trace: &Value) -> bool {
    let spans = trace["spans"].as_array().unwrap();
    ["receive orders", "spill drain", "process work", "send parcels"]
        .iter()
        .all(|name| spans.iter().any(|span| span["operationName"] == *name))
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
