//! A system's clock that was set back between two runs, as on boards without a battery: numbers are not given twice, and nothing is deleted.

use aqueduct::framework::flight::{Cause, Report, Sureness};

use crate::harness::Folder;

const CONFIG: &str = r#"
    name = "p"
    flow = ["in -> drain -> out"]
    sources.in = { type = "generate", count = 3 }
    spills.drain = { directory = "data" }
    sinks.out = { type = "file", path = "got", format = "json" }
    "#;

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1)))
    })
}

/// The file `run` of a store whose last run took place that much later than it did.
fn as_if_later(run: &str, by_ns: u64) -> String {
    let (body, _) = run.trim_end().rsplit_once('\n').unwrap();
    let lines = body.lines().map(|line| match line.strip_prefix("clock ") {
        Some(clock) => {
            let later = clock
                .split(' ')
                .map(|ns| (ns.parse::<u64>().unwrap() + by_ns).to_string());
            format!("clock {}\n", later.collect::<Vec<_>>().join(" "))
        }
        None => format!("{line}\n"),
    });
    let body: String = lines.collect();
    format!("{body}{:08x}\n", crc32c(body.as_bytes()))
}

fn epochs(folder: &Folder) -> Vec<u64> {
    let lines = folder.read("got");
    let frames = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    frames.map(|frame| frame["epoch"].as_u64().unwrap()).collect()
}

#[test]
fn a_clock_that_is_set_back_between_runs_is_told_and_repeats_no_number() {
    const YEAR_NS: u64 = 365 * 24 * 3_600 * 1_000_000_000;
    let folder = Folder::new();
    assert_eq!(folder.run_pipeline(CONFIG).exit_code(), 0);
    let run = folder.read("data/run");
    folder.write("data/run", &as_if_later(&run, YEAR_NS));
    let mut program = folder.run(&["p.toml"]);
    program
        .log
        .first(&["the system's clock stands", "before where it stood"]);
    assert_eq!(program.exit_code(), 0);
    // Once more, by the same clock: that is no news.
    let mut program = folder.run(&["p.toml"]);
    assert_eq!(program.exit_code(), 0);
    let said = program.log.so_far().join("\n");
    assert!(!said.contains("the system's clock"), "{said}");
    let epochs = epochs(&folder);
    assert_eq!(epochs.len(), 9);
    assert!(epochs[0] + YEAR_NS <= epochs[3], "{epochs:?}");
    assert!(epochs[3] < epochs[6], "{epochs:?}");
}

#[test]
fn the_newest_report_is_the_one_that_was_written_last_whatever_the_clock_said_before() {
    let folder = Folder::new();
    let report = |at_ns: u64, sentence: &str| Report {
        at_ns,
        pipeline: "p".to_owned(),
        actor: "out".to_owned(),
        peer: "127.0.0.1:9".to_owned(),
        cause: Cause::PeerReset,
        sureness: Sureness::Certain,
        sentence: sentence.to_owned(),
        evidence: Vec::new(),
        advice: String::new(),
        count: 1,
        event: None,
        slots: Vec::new(),
        blamed: Vec::new(),
    };
    let reports = [
        report(4_000_000_000_000_000_000, "while the clock stood in the future"),
        report(1_700_000_000_000_000_000, "after it was set right"),
    ];
    let lines = reports.map(|report| serde_json::to_string(&report).unwrap() + "\n");
    folder.write("p.reports", &lines.concat());
    let here = folder.path("");
    let here = here.to_str().unwrap();
    let output = folder.aqueduct(&["explain", "p", "--reports", here, "--last", "1"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("after it was set right"), "{text}");
    assert!(!text.contains("in the future"), "{text}");
}
