use super::*;
use crate::testing::{Running, mistakes};

fn generate(options: &str) -> Running {
    Running::start(&format!(
        r#"
        flow = "numbers -> out"
        [sources.numbers]
        type = "generate"
        {options}
        [sinks.out]
        type = "file"
        path = "out.txt"
        "#
    ))
}

#[test]
fn it_ends_the_pipeline_behind_the_last_frame() {
    let running = generate("bytes = 30\nfrom = 7\ncount = 3\nprefix = \"p \"");
    let file = running.folder().join("out.txt");
    running.wait("out", "frames_out", 3);
    let text = std::fs::read_to_string(file).expect("the file");
    let expected = [7, 8, 9].map(|number| format!("p {number:020} xyzabcd\n"));
    assert_eq!(text, expected.concat());
    assert_eq!(running.ending().failure, None);
}

#[test]
fn frames_are_numbered_without_gaps_at_full_speed() {
    let running = generate("bytes = 21\ncount = 100000");
    let file = running.folder().join("out.txt");
    running.wait("out", "frames_out", 100_000);
    let text = std::fs::read_to_string(file).expect("the file");
    let numbers: Vec<u64> = text
        .lines()
        .map(|line| line.trim().parse().expect("a number"))
        .collect();
    assert!(numbers.into_iter().eq(0..100_000));
}

#[test]
fn a_rate_makes_frames_until_it_is_stopped() {
    let running = generate("rate = 5000");
    running.wait("out", "frames_out", 100);
    assert_eq!(running.stop().failure, None);
}

#[test]
fn frames_too_short_for_their_number_are_a_mistake() {
    let text = mistakes(
        r#"
        flow = "numbers -> nowhere"
        [sources.numbers]
        type = "generate"
        bytes = 21
        prefix = "long "
        [sinks.nowhere]
        type = "blackhole"
        "#,
    );
    assert!(text.contains("take 25"), "{text}");
}

#[test]
fn the_smallest_frame_is_its_number_and_a_count_of_0_makes_none() {
    let running = generate("bytes = 20\ncount = 1\nfrom = 9223372036854775807");
    let file = running.folder().join("out.txt");
    running.wait("out", "frames_out", 1);
    assert_eq!(
        std::fs::read_to_string(file).expect("the file"),
        "09223372036854775807\n"
    );
    assert_eq!(running.ending().failure, None);
    assert_eq!(generate("count = 0").ending().failure, None);
}

#[test]
fn a_rate_may_be_a_fraction_and_pays_back_no_more_than_a_second() {
    let begun = Instant::now();
    let at = |seconds: f64| begun + Duration::from_secs_f64(seconds);
    let mut slow = Pace::new(0.5, begun);
    assert_eq!([0.0, 1.99, 2.01].map(|seconds| slow.due(at(seconds))), [0, 0, 1]);
    slow.made(1);
    assert_eq!([3.9, 4.01].map(|seconds| slow.due(at(seconds))), [0, 1]);
    let mut fast = Pace::new(1000.0, begun);
    assert_eq!(fast.due(at(0.5)), 500);
    assert_eq!(fast.due(at(1.0005)), 1000, "the backlog of a second");
    assert_eq!(fast.due(at(5.0)), 0, "what could not be made for so long is not owed");
    assert_eq!(fast.due(at(5.1)), 100);
    assert_eq!(Pace::new(0.0, begun).due(begun), u64::MAX);
}
