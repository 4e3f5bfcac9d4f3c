use aqueduct_framework::testing::{processor, sample_options};

use super::*;

#[test]
fn every_match_is_replaced_and_the_frame_keeps_number_and_place() {
    let run = processor::<Rewrite>("matches = '(\\w)=(\\w)'\nreplace = '$2:$1'").frames(["a=1 b=2", "none", "c=3"]);
    assert_eq!(run.output(""), ["1:a 2:b", "none", "3:c"]);
    assert_eq!(run.numbers(""), [0, 1, 2]);
}

#[test]
fn only_the_first_match_is_replaced_when_not_all() {
    let run = processor::<Rewrite>("matches = 'a'\nreplace = 'b'\nall = false").frames(["aa", "ba"]);
    assert_eq!(run.output(""), ["ba", "bb"]);
}

#[test]
fn a_frame_may_become_empty_or_hold_a_dollar() {
    let run = processor::<Rewrite>("matches = '^x+$'\nreplace = ''").frames(["xxx", "y"]);
    assert_eq!(run.output(""), ["", "y"]);
    let run = processor::<Rewrite>("matches = 'EUR'\nreplace = '$$'").frames(["5 EUR"]);
    assert_eq!(run.output(""), ["5 $"]);
}

#[test]
fn a_bad_pattern_is_refused_in_words() {
    let error = processor::<Rewrite>("matches = '['\nreplace = ''")
        .try_frames(["a"])
        .unwrap_err();
    assert!(error.to_string().contains("is no regular expression"), "{error}");
}

#[test]
fn the_sample_works() {
    let run = processor::<Rewrite>(&sample_options(Rewrite::SAMPLE).unwrap()).frames(["card 1234567812345678 ok"]);
    assert_eq!(run.output(""), ["card ************5678 ok"]);
}
