use crate::testing::Running;

#[test]
fn everything_is_taken_and_counted() {
    let running = Running::start(
        r#"
        flow = "numbers -> nowhere"
        [sources.numbers]
        type = "generate"
        count = 100000
        [sinks.nowhere]
        type = "blackhole"
        "#,
    );
    running.wait("nowhere", "frames_out", 100_000);
    assert_eq!(running.number("nowhere", "bytes_out"), 10_000_000);
    assert_eq!(running.ending().failure, None);
}

#[test]
fn a_rate_holds_the_source_back() {
    let running = Running::start(
        r#"
        flow = "numbers -> nowhere"
        [sources.numbers]
        type = "generate"
        [sinks.nowhere]
        type = "blackhole"
        rate = "1 MB"
        window_bytes = "64 KiB"
        "#,
    );
    running.wait("nowhere", "frames_out", 1000);
    // What is on the way is bounded by the window and one batch, however fast the source could go.
    let ahead = running.number("numbers", "bytes_out") - running.number("nowhere", "bytes_out");
    assert!(ahead < 1_000_000, "{ahead} bytes ahead");
}
