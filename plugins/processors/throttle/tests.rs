use std::time::Duration;

use aqueduct_framework::receipt::Receipt;
use aqueduct_framework::testing::{Host, lines, processor, sample_options};
use serde_json::json;
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

/// What leaves while one batch is worked on: how many milliseconds after its begin, and how many frames at once.
async fn leaving<F: AsRef<[u8]>>(options: serde_json::Value, frames: &[F]) -> Vec<(u128, usize)> {
    let mut host = Host::new::<Throttle>(&options, &Context::new("test", "throttle", "")).unwrap();
    let (begun, mut left) = (Instant::now(), Vec::new());
    let batch = lines(frames, 0, Receipt::none());
    host.run_portions(batch, |emitted| {
        let frames = emitted.iter().map(|(_, batch)| batch.len()).sum();
        left.push((begun.elapsed().as_millis(), frames));
    })
    .await
    .unwrap();
    left
}

#[tokio::test(start_paused = true)]
async fn one_batch_is_let_through_at_the_rate_and_never_more_than_the_burst_at_once() {
    let options = json!({ "frames_per_second": 500, "burst": 50 });
    let left = leaving(options, &vec!["a line"; 3000]).await;
    assert_eq!(left[0], (0, 50));
    assert!(left.iter().all(|(_, frames)| *frames <= 50), "{left:?}");
    assert_eq!(left.iter().map(|(_, frames)| frames).sum::<usize>(), 3000);
    // A hundredth of a second's worth each.
    assert_eq!(left[1..4], [(10, 5), (20, 5), (30, 5)]);
    assert_eq!(left.last(), Some(&(5900, 5)));
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_1_lets_frame_after_frame_through() {
    let options = json!({ "frames_per_second": 2, "burst": 1 });
    let left = leaving(options, &["a"; 4]).await;
    assert_eq!(left, [(0, 1), (500, 1), (1000, 1), (1500, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_rate_without_burst_lets_one_second_s_worth_through_at_once() {
    let left = leaving(json!({ "frames_per_second": 3 }), &["a"; 5]).await;
    assert_eq!(left, [(0, 3), (334, 1), (667, 1)]);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_parted_at_frames_and_a_frame_above_the_burst_passes_alone() {
    let options = json!({ "bytes_per_second": 4, "burst": "4 B" });
    let left = leaving(options, &["ab", "cd", "e", "twelve bytes", "f"]).await;
    assert_eq!(left, [(0, 2), (250, 1), (3250, 1), (3500, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_burst_above_the_rate_passes_at_once_after_a_quiet_time() {
    let mut host = Host::new::<Throttle>(
        &json!({ "frames_per_second": 1, "burst": 4 }),
        &Context::new("test", "throttle", ""),
    )
    .unwrap();
    for _ in 0..2 {
        let begun = Instant::now();
        host.run(lines(["a"; 4], 0, Receipt::none())).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
}
