use aqueduct_framework::testing::{processor, sample_options};
use tokio::time::Instant;

use super::*;

const FRAMES: [&str; 6] = ["abcd"; 6];

#[tokio::test(start_paused = true)]
async fn frames_pass_at_the_rate_after_the_burst() {
    let begun = Instant::now();
    let kit = processor::<Throttle>("frames_per_second = 2\nburst = 2").frames_per_batch(1);
    let run = kit.run(FRAMES).await.unwrap();
    assert_eq!(run.output(""), FRAMES);
    assert_eq!(begun.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_those_of_the_frames_without_their_framing() {
    let begun = Instant::now();
    let kit = processor::<Throttle>("bytes_per_second = 4\nburst = '4 B'").frames_per_batch(3);
    let run = kit.run(FRAMES).await.unwrap();
    assert_eq!(run.output(""), FRAMES);
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[test]
fn no_rate_two_rates_and_rate_0_are_refused() {
    for options in [
        "",
        "frames_per_second = 1\nbytes_per_second = 1",
        "bytes_per_second = 0",
        "frames_per_second = 0",
    ] {
        assert!(processor::<Throttle>(options).try_frames(FRAMES).is_err(), "{options}");
    }
}

#[test]
fn the_sample_works() {
    let run = processor::<Throttle>(&sample_options(Throttle::SAMPLE).unwrap()).frames(FRAMES);
    assert_eq!(run.output(""), FRAMES);
}
