use super::*;
use crate::framework::pipeline::EdgeStatus;
use crate::framework::telemetry::Snapshot;

#[test]
fn numbers_read_as_people_write_them() {
    assert_eq!(bytes(999.0), "999 B");
    assert_eq!(bytes(9_800_000.0), "9.8 MB");
    assert_eq!(count(1_640_000.0), "1.6 M");
    assert_eq!(time(1140.0), "19 min");
}

#[test]
fn a_line_is_cut_between_characters() {
    assert_eq!(cut("größer", 6), "größer");
    assert_eq!(cut("größer", 4), "grö…");
    assert_eq!(cut("größer", 0), "…");
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
    let line = actor(&status);
    assert!(line.ends_with("  0 frames, failures: 12 refused, 1 reset"), "{line}");
}

#[test]
fn a_source_says_how_many_frames_have_no_reply() {
    let mut status = idle("source");
    let meters = [("unanswered_frames", 3), ("replies_withheld", 1_200)];
    status.meters.numbers = meters.map(|(name, value)| (name.to_owned(), value)).into();
    let line = actor(&status);
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
    let line = actor(&source);
    assert!(
        line.ends_with(" 0 frames, 3.0 MB came and made no frame, 2.0 MB of frames that were too long"),
        "{line}"
    );
}

#[test]
fn an_empty_store_is_told_in_one_way() {
    let mut store = with("spill store", &[("disk_bytes", 3_700_000)]);
    store.meters.texts.insert("state".to_owned(), "empty".to_owned());
    let line = actor(&store);
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
        actor(&status).ends_with("  5 frames, 1 rejected, 3 given back, 1 panics, 2 repeats"),
        "{}",
        actor(&status)
    );
}
