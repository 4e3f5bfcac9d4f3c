use aqueduct_framework::testing::{processor, sample_options};

use super::*;

const LINES: [&str; 5] = ["ERROR one", "fine", "two ERROR", "ERR", "OR"];

#[test]
fn frames_with_the_text_stay_and_the_others_leave_by_dropped() {
    let run = processor::<Filter>("contains = 'ERROR'").frames(LINES);
    assert_eq!(run.output(""), ["ERROR one", "two ERROR"]);
    assert_eq!(run.output("dropped"), ["fine", "ERR", "OR"]);
    assert_eq!(run.numbers(""), [0, 2]);
    assert_eq!(run.numbers("dropped"), [1, 3, 4]);
}

#[test]
fn drop_is_the_other_way_round() {
    let run = processor::<Filter>("contains = 'ERROR'\nmode = 'drop'").frames(LINES);
    assert_eq!(run.output(""), ["fine", "ERR", "OR"]);
    assert_eq!(run.output("dropped"), ["ERROR one", "two ERROR"]);
}

#[test]
fn a_text_across_two_frames_is_in_neither() {
    let run = processor::<Filter>(r#"contains = "R\nO""#).frames(LINES);
    assert_eq!(run.output(""), Vec::<String>::new());
    let run = processor::<Filter>(r#"contains = "\n""#).frames(LINES);
    assert_eq!(run.output(""), Vec::<String>::new());
}

#[test]
fn a_pattern_sees_one_frame_at_a_time() {
    let run = processor::<Filter>("matches = '^(ERR|OR)$'").frames(LINES);
    assert_eq!(run.output(""), ["ERR", "OR"]);
}

#[test]
fn a_pattern_works_on_bytes_that_are_no_text() {
    let run = processor::<Filter>(r"matches = '(?-u)\xff'").frames([&b"a\xffb"[..], b"ab"]);
    assert_eq!(run.output_bytes(""), [b"a\xffb"]);
}

#[test]
fn looking_through_the_payload_agrees_with_looking_frame_by_frame() {
    let frames: Vec<String> = (0..1_000u32)
        .map(|n| format!("{:b}", n.wrapping_mul(2_654_435_761) >> 20))
        .collect();
    for text in ["1", "101", "0110", "11111111111"] {
        let expected: Vec<_> = frames.iter().filter(|frame| frame.contains(text)).cloned().collect();
        let run = processor::<Filter>(&format!("contains = '{text}'"))
            .frames_per_batch(300)
            .frames(&frames);
        assert_eq!(run.output(""), expected);
    }
}

#[test]
fn contradictions_and_bad_patterns_are_refused_in_words() {
    for (options, words) in [
        ("", "exactly one of `contains`"),
        ("contains = 'a'\nmatches = 'b'", "exactly one of `contains`"),
        ("contains = ''", "`contains` is empty"),
        ("matches = '('", "is no regular expression"),
        ("contains = 'a'\nmode = 'both'", "unknown variant `both`"),
    ] {
        let error = processor::<Filter>(options).try_frames(LINES).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_sample_works() {
    let run = processor::<Filter>(&sample_options(Filter::SAMPLE).unwrap()).frames(LINES);
    assert_eq!(run.output(""), ["ERROR one", "two ERROR"]);
}
