use serde_json::Value;

use super::pressure::spilling;
use super::*;
use crate::framework::pipeline::{EdgeStatus, Pressure};
use crate::framework::telemetry::Snapshot;

#[test]
fn numbers_read_as_people_write_them() {
    assert_eq!(bytes(999.0), "999 B");
    assert_eq!(bytes(9_800_000.0), "9.8 MB");
    assert_eq!(count(1_640_000.0), "1.6 M");
    assert_eq!(time(1140.0), "19 min");
}

#[test]
fn nothing_that_moves_a_terminal_is_printed() {
    let mut value = serde_json::json!({"a\u{1b}": ["\u{9b}2J", "\u{202e}x\n", "größer"]});
    let text = json(&value);
    assert_eq!(text, r#"{"a\u001b":["\u009b2J","\u202ex\n","größer"]}"#);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    clean(&mut value);
    assert_eq!(
        value,
        serde_json::json!({"a\\u{1b}": ["\\u{9b}2J", "\\u{202e}x\\u{a}", "größer"]})
    );
}

fn idle(role: &str) -> ActorStatus {
    ActorStatus {
        name: "actor".to_owned(),
        role: role.to_owned(),
        plugin: "plugin".to_owned(),
        frames_per_second: 0.0,
        bytes_per_second: 0.0,
        bytes_in_per_second: 0.0,
        frames_in_per_second: 0.0,
        meters: Snapshot::default(),
    }
}

#[test]
fn a_sink_says_why_its_attempts_failed() {
    let mut status = idle("sink");
    let meters = [("failures_reset", 1), ("failures_refused", 12), ("failures_other", 0)];
    status.meters.numbers = meters.map(|(name, value)| (name.to_owned(), value)).into();
    let line = actor(&status, 5);
    assert!(line.ends_with("  0 frames, failures: 12 refused, 1 reset"), "{line}");
}

#[test]
fn a_source_says_how_many_frames_have_no_reply() {
    let mut status = idle("source");
    let meters = [("unanswered_frames", 3), ("replies_withheld", 1_200)];
    status.meters.numbers = meters.map(|(name, value)| (name.to_owned(), value)).into();
    let line = actor(&status, 16);
    assert!(
        line.ends_with("  0 frames, 3 wait for their reply, 1200 ended without a reply"),
        "{line}"
    );
}

#[test]
fn what_a_store_may_still_take_is_the_less_of_its_bound_and_the_room_on_the_disk() {
    let mut store = idle("spill store");
    store.bytes_in_per_second = 1e6;
    let said = |store: &ActorStatus| spilling("input -> drain", store).split(", ").last().map(str::to_owned);
    store.meters.numbers.insert("disk_max_bytes".to_owned(), 600_000_000);
    assert_eq!(said(&store).as_deref(), Some("full in 10 min"));
    store.meters.numbers.insert("disk_free_bytes".to_owned(), 120_000_000);
    assert_eq!(said(&store).as_deref(), Some("the disk is full in 2 min"));
    store.meters.numbers.insert("disk_free_bytes".to_owned(), 900_000_000);
    assert_eq!(said(&store).as_deref(), Some("full in 10 min"));
}

fn with(role: &str, meters: &[(&str, u64)]) -> ActorStatus {
    let mut status = idle(role);
    let meters = meters.iter().map(|(name, value)| ((*name).to_owned(), *value));
    status.meters.numbers = meters.collect();
    status
}

#[test]
fn a_source_says_what_came_though_it_made_no_frame() {
    let source = with("source", &[("read_bytes", 3_000_000), ("oversized_bytes", 2_000_000)]);
    let line = actor(&source, 5);
    assert!(
        line.ends_with(" 0 frames, 3.0 MB came and made no frame, 2.0 MB of frames that were too long"),
        "{line}"
    );
}

#[test]
fn an_empty_store_is_told_in_one_way() {
    let mut store = with("spill store", &[("disk_bytes", 3_700_000)]);
    store.meters.texts.insert("state".to_owned(), "empty".to_owned());
    let line = actor(&store, 5);
    assert!(
        line.ends_with(" 0 frames, 0 waiting (its files take 3.7 MB on disk, all of it delivered)"),
        "{line}"
    );
}

#[test]
fn a_store_is_empty_when_its_frames_have_left_whatever_room_they_take() {
    let mut store = with("spill store", &[("waiting_frames", 4_694), ("disk_bytes", 19_000_000)]);
    (store.frames_per_second, store.bytes_per_second) = (23_470.0, 326_000.0);
    let said = spilling("in -> q", &store);
    assert!(said.ends_with("spills 0 B/s, empty in 0 s"), "{said}");
}

#[test]
fn a_store_at_rest_has_no_line_about_its_rates() {
    let edge = EdgeStatus {
        edge: "in -> q".to_owned(),
        from: "in".to_owned(),
        to: "q".to_owned(),
        frames: 9,
        bytes: 9,
        waited_ns: 0,
        waiting_ns: 0,
        pressure: Pressure::Spilling,
    };
    let mut status = PipelineStatus {
        uptime_ns: 0,
        log_lines_dropped: 0,
        pipeline: "p".to_owned(),
        at_ns: 0,
        actors: vec![ActorStatus {
            name: "q".to_owned(),
            ..idle("spill store")
        }],
        edges: vec![edge],
    };
    assert_eq!(pressure(&status), Vec::<String>::new());
    status.actors[0].bytes_per_second = 5.0;
    assert_eq!(pressure(&status).len(), 1);
}

#[test]
fn a_processor_says_what_its_plugin_counts() {
    let mut status = idle("processor");
    let meters = [
        ("frames_out", 5),
        ("rejected", 1),
        ("dropped", 3),
        ("panics", 1),
        ("repeats", 2),
        ("misses", 0),
        ("busy_since_ns", 9),
    ];
    status.meters.numbers = meters.map(|(name, value)| (name.to_owned(), value)).into();
    assert!(
        actor(&status, 5).ends_with("  5 frames, 1 rejected, 3 given back, 1 panics, 2 repeats"),
        "{}",
        actor(&status, 5)
    );
}

#[test]
fn names_take_the_cells_of_the_longest_and_at_most_a_third_of_the_line() {
    let named = |name: &str| ActorStatus {
        name: name.to_owned(),
        ..idle("sink")
    };
    let actors = [named("in"), named("a_name_of_24_columns_no_")];
    let lines = |columns| {
        let cells = name_cells(actors.iter(), columns);
        actors.iter().map(|each| actor(each, cells)).collect::<Vec<_>>()
    };
    let rest = "      0 B/s        0 frames/s  0 frames";
    assert_eq!(
        lines(None),
        [
            format!("in                       {rest}"),
            format!("a_name_of_24_columns_no_ {rest}")
        ]
    );
    assert_eq!(
        lines(Some(60)),
        [
            format!("in                   {rest}"),
            format!("a_name_of_24_column… {rest}")
        ]
    );
}

#[test]
fn a_step_of_the_clock_is_told_with_its_way_and_size_and_the_passing_of_time_is_not() {
    const SECOND: u64 = 1_000_000_000;
    let at = |wall_s: u64, uptime_s: u64| PipelineStatus {
        at_ns: wall_s * SECOND,
        uptime_ns: uptime_s * SECOND,
        pipeline: "p".to_owned(),
        actors: Vec::new(),
        edges: Vec::new(),
        log_lines_dropped: 0,
    };
    let told = |before, now| clock_step(&before, &now);
    assert_eq!(told(at(1_000, 50), at(1_100, 150)), None);
    assert_eq!(told(at(1_000, 50), at(1_010, 51)), None, "a small one");
    // From 1970, as on a board without a battery.
    let forward = told(at(100, 50), at(1_800_000_000, 51)).unwrap();
    assert!(forward.contains("set forward by 20833 days"), "{forward}");
    let back = told(at(1_800_000_000, 50), at(1_800_000_000 - 7_199, 51)).unwrap();
    assert!(back.contains("set back by 2 h"), "{back}");
}
