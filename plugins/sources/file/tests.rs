use std::fs;
use std::path::Path;

use aqueduct_framework::testing::conformance::source;
use aqueduct_framework::testing::{self, SourceRun};
use tempfile::TempDir;

use super::FromFile;
use crate::testing::{Running, lines, mistakes};

/// Called with those of all other sources.
pub(in crate::sources) fn conforms() {
    let folder = TempDir::new().expect("a folder");
    let (frames, letters) = (folder.path().join("frames.txt"), folder.path().join("letters.json"));
    fs::write(&frames, lines(0..50_000)).expect("a file");
    source::<FromFile>().options(&format!("path = {frames:?}")).check();
    let all: String = (0..5_000)
        .map(|seq| letter(seq, &format!("\"text\":\"{seq:090}\"")))
        .collect();
    fs::write(&letters, all).expect("a file");
    source::<FromFile>()
        .options(&format!("path = {letters:?}\nformat = \"json\""))
        .check();
}

fn letter(seq: u64, members: &str) -> String {
    format!(
        "{{\"source\":\"plant\",\"epoch\":7,\"seq\":{seq},\"received\":\"2026-11-21T05:06:31.620656338Z\",{members}}}\n"
    )
}

fn read(content: impl AsRef<[u8]>, options: &str) -> SourceRun {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("in");
    fs::write(&path, content).expect("a file");
    let kit = testing::source::<FromFile>(&format!("path = {path:?}\n{options}"));
    kit.framing("type = \"delimited\"\ndelimiter = \";\"\nmax_frame_bytes = 100")
        .run()
}

#[test]
fn frames_are_cut_by_the_framing_until_the_end_of_the_file() {
    let run = read("a;b\nc;last", "");
    assert_eq!(run.frames(), ["a", "b\nc", "last"]);
    assert_eq!((run.numbers(), run.failure()), (vec![0, 1, 2], None));
}

#[test]
fn a_letter_comes_back_with_number_attributes_and_why_it_was_rejected() {
    let rejected =
        "\"rejected\":{\"reason\":\"no such column\",\"actor\":\"process\",\"time\":\"2026-11-21T05:06:31.702Z\"}";
    let text = [
        letter(
            4711,
            &format!("{rejected},\"attributes\":{{\"id\":\"a\"}},\"text\":\"4711;x\""),
        ),
        "\n".to_owned(),
        letter(4712, "\"base64\":\"//4=\",\"a member of a later version\":{}"),
    ];
    let run = read(text.concat(), "format = \"json\"");
    assert_eq!(run.frames_bytes(), [b"4711;x".to_vec(), vec![0xff, 0xfe]]);
    assert_eq!((run.numbers(), run.sources()), (vec![4711, 4712], vec!["plant"; 2]));
    let attributes: Vec<_> = run
        .attributes(0)
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("aqueduct.replayed.actor", "process"),
        ("aqueduct.replayed.reason", "no such column"),
        ("aqueduct.replayed.time", "2026-11-21T05:06:31.702Z"),
        ("id", "a"),
    ];
    assert_eq!(attributes, expected);
    assert!(run.attributes(1).is_empty());
    assert_eq!((run.count("unreadable_lines"), run.failure()), (0, None));
}

#[test]
fn a_line_that_is_no_letter_is_counted_and_the_rest_goes_on() {
    let text = [
        "rubbish\n".to_owned(),
        letter(1, "\"text\":\"one\""),
        letter(2, "\"base64\":\"***\""),
        letter(3, "\"text\":\"three\"").replace("2026-11-21T", "yesterday "),
        letter(4, "\"attributes\":{}"),
        letter(5, &format!("\"text\":{:?}", "x".repeat(101))),
        letter(6, &format!("\"text\":{:?}", "x".repeat(100))),
        format!("{}\n", "y".repeat(2_000_000)),
        letter(7, "\"text\":\"cut short by a ki"),
    ];
    let run = read(text.concat(), "format = \"json\"");
    assert_eq!(run.numbers(), [1, 6]);
    assert_eq!((run.count("unreadable_lines"), run.failure()), (7, None));
}

#[test]
fn a_number_that_no_frame_can_have_leaves_the_letters_beside_it_alone() {
    let seqs = [1, 2, u64::MAX - 1, u64::MAX, 3];
    let text: String = seqs.map(|seq| letter(seq, "\"text\":\"x\"")).concat();
    let run = read(text, "format = \"json\"");
    assert_eq!(run.numbers(), [1, 2, u64::MAX - 1, 3]);
    assert_eq!((run.count("unreadable_lines"), run.failure()), (1, None));
}

/// How many of these letters come before the demand, that one byte makes, is used up.
fn of_one_batch(content: &str) -> usize {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("letters.json");
    fs::write(&path, content).expect("a file");
    let running = testing::source::<FromFile>(&format!("path = {path:?}\nformat = \"json\"")).start();
    running.grant(1);
    let came = running.wait_starved().len();
    running.stop();
    came
}

#[test]
fn all_that_letters_bring_fills_a_batch() {
    let attribute = format!("\"attributes\":{{\"key\":{:?}}},\"text\":\"x\"", "v".repeat(1000));
    let described: String = (0..1_000).map(|seq| letter(seq, &attribute)).collect();
    let came = of_one_batch(&described);
    assert!(
        (20..200).contains(&came),
        "{came} letters with 1,000 bytes of attributes"
    );
    let empty: String = (0..10_000).map(|index| letter(2 * index, "\"text\":\"\"")).collect();
    let came = of_one_batch(&empty);
    assert!(
        (500..5_000).contains(&came),
        "{came} empty letters that do not follow each other"
    );
}

#[test]
fn what_is_no_regular_file_fails_the_pipeline() {
    let folder = TempDir::new().expect("a folder");
    for (path, said) in [
        (folder.path().join("none"), "cannot open"),
        (folder.path().to_owned(), "is no regular file"),
    ] {
        let run = testing::source::<FromFile>(&format!("path = {path:?}")).run();
        let failure = run.failure().expect("it cannot be read");
        assert!(
            failure.contains(said) && failure.contains(path.to_str().expect("plain")),
            "{failure}"
        );
    }
}

/// Runs a pipeline of this source and these processors to its end; what comes of it goes to two files of JSON.
fn run(folder: &Path, source: &str, processors: &str) {
    let running = Running::start(&format!(
        r#"
        flow = ["input -> work -> good", "work.rejected -> bad"]
        sources.input = {source}
        processors.work = {processors}
        sinks.good = {{ type = "file", format = "json", path = "{0}/good.json" }}
        sinks.bad = {{ type = "file", format = "json", path = "{0}/bad.json" }}
        "#,
        folder.display()
    ));
    assert_eq!(running.ending().failure, None);
}

fn parsed(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn dead_letters_go_through_once_what_rejected_them_is_mended() {
    let (first, second) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let input = first.path().join("in.txt");
    fs::write(&input, "1 a\nx b\n2 c\ny d\n").expect("a file");
    let verify = r#"{ type = "verify", on_error = "reject" }"#;
    run(
        first.path(),
        &format!("{{ type = \"file\", path = {input:?} }}"),
        verify,
    );
    let letters = first.path().join("bad.json");
    let rejected = parsed(&letters);
    assert_eq!((rejected.len(), parsed(&first.path().join("good.json")).len()), (2, 2));
    let again = format!("{{ type = \"file\", format = \"json\", path = {letters:?} }}");
    run(
        second.path(),
        &again,
        r#"{ type = "rewrite", matches = "^[xy]", replace = "9" }"#,
    );
    let delivered = parsed(&second.path().join("good.json"));
    let texts: Vec<_> = delivered.iter().map(|line| line["text"].as_str()).collect();
    assert_eq!(texts, [Some("9 b"), Some("9 d")]);
    for (now, then) in delivered.iter().zip(&rejected) {
        for member in ["source", "epoch", "seq", "received"] {
            assert_eq!(now[member], then[member], "{member}");
        }
        assert_eq!(
            now["attributes"]["aqueduct.replayed.reason"],
            then["rejected"]["reason"]
        );
        assert!(now.get("rejected").is_none(), "it is no dead letter any more: {now}");
    }
    run(second.path(), &again, verify);
    let back = parsed(&second.path().join("bad.json"));
    assert_eq!(
        (back.len(), &back[0]["seq"]),
        (2, &rejected[0]["seq"]),
        "still rejected: a dead letter again"
    );
    assert_eq!(back[0]["rejected"]["reason"], rejected[0]["rejected"]["reason"]);
}

#[test]
fn no_two_actors_may_have_the_file() {
    let said = mistakes(
        r#"
        flow = "again -> out"
        sources.again = { type = "file", path = "letters.json", format = "json" }
        sinks.out = { type = "file", path = "letters.json" }
        "#,
    );
    assert!(said.contains("the same path is used by"), "{said}");
}
