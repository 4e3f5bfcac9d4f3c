use std::time::Instant;

use aqueduct_framework::testing::{processor, sample_options};

use super::*;

const FRAMES: [&str; 4] = ["a", "b", "c", "d"];

#[tokio::test(start_paused = true)]
async fn it_waits_once_for_each_batch_and_each_frame() {
    let begun = tokio::time::Instant::now();
    let kit = processor::<Delay>("per_frame = '1s'\nper_batch = '10s'\nblocking = false").frames_per_batch(2);
    let run = kit.run(FRAMES).await.unwrap();
    assert_eq!(run.output(""), FRAMES);
    assert_eq!(begun.elapsed().as_secs(), 2 * 10 + 4);
}

#[test]
fn blocking_takes_at_least_the_time_said() {
    let begun = Instant::now();
    let run = processor::<Delay>("per_frame = '2ms'").frames(FRAMES);
    assert_eq!(run.output(""), FRAMES);
    assert!(begun.elapsed() >= Duration::from_millis(8));
}

#[test]
fn without_a_time_it_is_refused() {
    let error = processor::<Delay>("").try_frames(FRAMES).unwrap_err();
    assert!(error.to_string().contains("set `per_frame` or `per_batch`"), "{error}");
}

#[test]
fn the_sample_works() {
    let run = processor::<Delay>(&sample_options(Delay::SAMPLE).unwrap()).frames(FRAMES);
    assert_eq!(run.output(""), FRAMES);
}
