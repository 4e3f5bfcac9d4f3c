use aqueduct_framework::testing::{Run, processor, sample_options};

use super::*;

fn counts(run: &Run) -> [u64; 6] {
    [
        "verified",
        "unnumbered",
        "gaps",
        "missing",
        "duplicates",
        "out_of_order",
    ]
    .map(|meter| run.count(meter))
}

#[test]
fn a_sequence_without_fault_passes_and_is_said_to_be_one() {
    let run = processor::<Verify>("").frames(["7 a", "8 b", "9 c"]);
    assert_eq!(run.output(""), ["7 a", "8 b", "9 c"]);
    assert_eq!(counts(&run), [3, 0, 0, 0, 0, 0]);
    assert_eq!(
        run.meters().texts["verify"],
        "3 frames verified: all there, once each, in order"
    );
}

#[test]
fn faults_are_counted_over_batches_and_the_frames_pass() {
    let frames = ["1", "2", "5", "4", "2", "none", "6", "99999999999999999999"];
    let run = processor::<Verify>("").frames_per_batch(3).frames(frames);
    assert_eq!(run.output(""), frames);
    assert_eq!(counts(&run), [6, 2, 1, 1, 1, 1]);
    assert_eq!(
        run.meters().texts["verify"],
        "6 frames verified: 1 gaps (1 numbers missing now), 1 duplicates, 1 out of order, 2 without a number"
    );
}

#[test]
fn faulty_frames_become_dead_letters_when_asked_and_are_counted_once() {
    let run = processor::<Verify>("on_error = 'reject'").frames(["1", "3", "2", "3", "x", "4"]);
    assert_eq!(run.output(""), ["1", "3", "4"]);
    let letters: Vec<_> = run
        .rejected()
        .into_iter()
        .map(|letter| (letter.frame, letter.reason))
        .collect();
    assert_eq!(
        letters,
        [
            (
                "2".to_owned(),
                "its sequence number 2 comes after higher ones".to_owned()
            ),
            ("3".to_owned(), "its sequence number 3 was there before".to_owned()),
            ("x".to_owned(), "there is no sequence number in it".to_owned()),
        ]
    );
    assert_eq!(counts(&run), [5, 1, 1, 0, 1, 1]);
}

#[test]
fn the_number_is_found_by_column_or_by_pattern() {
    let run = processor::<Verify>("field = 1\nseparator = ','").frames(["a,1", "b, 2 ", "c"]);
    assert_eq!(counts(&run), [2, 1, 0, 0, 0, 0]);
    let run = processor::<Verify>(r"pattern = 'id=(\d+)'").frames(["x id=1", "y id=3", "id="]);
    assert_eq!(counts(&run), [2, 1, 1, 1, 0, 0]);
}

#[test]
fn options_that_cannot_work_are_refused_in_words() {
    for (options, words) in [
        ("pattern = 'a'", "should have one group"),
        ("pattern = '(a)(b)'", "it has 2"),
        ("pattern = '('", "is no regular expression"),
        ("pattern = '(a)'\nfield = 1", "not both"),
        ("separator = 'ab'", "should be one byte"),
        ("remember = 0", "nonzero"),
    ] {
        let error = processor::<Verify>(options).try_frames(["1"]).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_sample_works() {
    let run = processor::<Verify>(&sample_options(Verify::SAMPLE).unwrap()).frames(["a,1,x", "b,2,y"]);
    assert_eq!(counts(&run), [2, 0, 0, 0, 0, 0]);
}
