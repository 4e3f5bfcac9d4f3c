//! Frames held back: nothing is settled before what was made of it is, whatever happens in between.

use serde_json::json;

use super::*;
use crate::batch::Batch;
use crate::plugin::HoldLimit;
use crate::receipt::Receipt;
use crate::testing::Host;

/// Joins frames with `+`: `count` at a time, else what there is when `tick` comes. A frame `panic`, `refuse` or `fatal` does so; with a
/// frame `panic later` among them it is the `tick` that panics.
struct Join {
    options: Options,
    held: Vec<String>,
}

#[derive(Clone, serde::Deserialize, schemars::JsonSchema)]
struct Options {
    #[serde(default = "never")]
    count: usize,
    #[serde(default = "never")]
    bytes: usize,
    #[serde(default = "hour")]
    milliseconds: u64,
}

fn never() -> usize {
    usize::MAX
}

fn hour() -> u64 {
    3_600_000
}

impl Plugin for Join {
    type Config = Options;
    const NAME: &'static str = "join";

    fn new(options: Options, _: &PluginContext) -> Result<Self> {
        let held = Vec::new();
        Ok(Self { options, held })
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        let text = String::from_utf8_lossy(frame.bytes()).into_owned();
        match text.as_str() {
            "panic" => panic!("told to"),
            "refuse" => return Err(Error::rejected("refused")),
            "keep" => {
                out.keep(frame);
                return Ok(());
            }
            _ => self.held.push(text),
        }
        if self.held.len() >= self.options.count {
            out.release();
            out.push(std::mem::take(&mut self.held).join("+").as_bytes());
        } else {
            out.hold(frame);
        }
        Ok(())
    }

    fn holds(&self) -> Option<HoldLimit> {
        Some(HoldLimit {
            bytes: self.options.bytes,
            time: Duration::from_millis(self.options.milliseconds),
        })
    }

    fn tick(&mut self, out: &mut Output) -> Result<()> {
        if !self.held.is_empty() {
            let joined = std::mem::take(&mut self.held).join("+");
            out.push(joined.as_bytes());
            assert!(!joined.contains("later"), "told to, in a tick");
        }
        Ok(())
    }
}

/// One plugin, and a ledger that would send again what is dropped.
struct Desk {
    host: Host,
    ledger: Arc<Ledger>,
    fates: Arc<Mutex<Vec<(u64, Fate)>>>,
    sent: u64,
}

impl Desk {
    fn new(options: serde_json::Value) -> Self {
        let fates = Arc::<Mutex<Vec<_>>>::default();
        let told = fates.clone();
        Self {
            host: Host::new::<Join>(&options, &PluginContext::new("test", "join", "")).unwrap(),
            ledger: Ledger::redelivering(move |settled| told.lock().unwrap().push((settled.token, settled.fate))),
            fates,
            sent: 0,
        }
    }

    fn receipt(&mut self, epoch: u64) -> Receipt {
        self.sent += 1;
        self.ledger.issue(self.sent - 1, epoch)
    }

    /// Runs a batch as the actor does, with what is due behind it.
    async fn give(&mut self, epoch: u64, frames: &[&str]) -> Vec<(usize, Batch)> {
        let batch = lines(frames, self.sent * 100, self.receipt(epoch));
        let mut emitted = self.host.run(batch).await.unwrap();
        emitted.extend(self.host.between().await.unwrap());
        emitted
    }

    fn fates(&self) -> Vec<(u64, Fate)> {
        self.fates.lock().unwrap().clone()
    }
}

fn texts(emitted: &[(usize, Batch)]) -> Vec<(usize, String, u64)> {
    let frames = emitted
        .iter()
        .flat_map(|(output, batch)| batch.frames().map(move |frame| (output, frame)));
    frames
        .map(|(output, frame)| {
            (
                *output,
                String::from_utf8_lossy(frame.bytes()).into_owned(),
                frame.number(),
            )
        })
        .collect()
}

fn settle(emitted: Vec<(usize, Batch)>, fate: Fate) {
    emitted.into_iter().for_each(|(_, batch)| batch.receipt.settle(fate));
}

#[tokio::test]
async fn held_batches_are_settled_with_the_fate_of_what_tick_made_of_them() {
    for fate in [Fate::Delivered, Fate::Rejected, Fate::Dropped] {
        let mut desk = Desk::new(json!({}));
        assert!(desk.give(1, &["a", "b"]).await.is_empty());
        assert!(desk.give(1, &["c"]).await.is_empty());
        let emitted = desk.host.tick().await.unwrap();
        assert_eq!(
            texts(&emitted),
            [(0, "a+b+c".to_owned(), 100)],
            "with the number of the frame held last"
        );
        assert_eq!((desk.fates(), desk.host.holding()), (vec![], 0));
        settle(emitted, fate);
        assert_eq!(desk.fates(), [(0, fate), (1, fate)]);
    }
}

#[tokio::test]
async fn what_passes_does_not_wait_for_what_is_held_but_its_batch_does() {
    let mut desk = Desk::new(json!({}));
    let passed = desk.give(1, &["a", "keep"]).await;
    assert_eq!(texts(&passed), [(0, "keep".to_owned(), 1)]);
    settle(passed, Fate::Delivered);
    settle(desk.give(1, &["keep"]).await, Fate::Delivered);
    assert_eq!(desk.fates(), [(1, Fate::Delivered)]);
    settle(desk.host.tick().await.unwrap(), Fate::Delivered);
    assert_eq!(desk.fates(), [(1, Fate::Delivered), (0, Fate::Delivered)]);
}

#[tokio::test]
async fn windows_that_end_within_batches_let_go_of_the_batches_before() {
    let mut desk = Desk::new(json!({ "count": 3 }));
    for round in 0..10_u64 {
        let emitted = desk.give(1, &["a", "b"]).await;
        settle(emitted, Fate::Delivered);
        let unsettled = round + 1 - desk.fates().len() as u64;
        assert!(
            unsettled <= 2,
            "no chain of batches that wait for each other: {unsettled} after {round}"
        );
    }
    settle(desk.host.tick().await.unwrap(), Fate::Delivered);
    assert_eq!(desk.fates().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_limit_reached_calls_tick() {
    let mut desk = Desk::new(json!({ "bytes": 3 * 4096 }));
    assert!(desk.give(1, &["a"]).await.is_empty());
    assert!(desk.give(1, &["b"]).await.is_empty());
    assert_eq!(texts(&desk.give(1, &["c"]).await)[0].1, "a+b+c");

    let mut desk = Desk::new(json!({ "milliseconds": 500 }));
    assert!(desk.give(1, &["a"]).await.is_empty());
    tokio::time::advance(Duration::from_millis(499)).await;
    assert!(desk.give(1, &["b"]).await.is_empty());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(texts(&desk.host.between().await.unwrap())[0].1, "a+b");
}

#[tokio::test]
async fn what_is_held_of_a_broken_epoch_is_forgotten_and_comes_again() {
    let mut desk = Desk::new(json!({}));
    assert!(desk.give(1, &["a"]).await.is_empty());
    drop(desk.receipt(1));
    assert!(desk.host.between().await.unwrap().is_empty());
    assert_eq!(desk.fates(), [(1, Fate::Dropped), (0, Fate::Dropped)]);
    // The store sends again, under the next epoch.
    assert!(desk.give(2, &["a", "b"]).await.is_empty());
    assert_eq!(texts(&desk.host.tick().await.unwrap())[0].1, "a+b");
}

#[tokio::test]
async fn frames_held_by_an_instance_that_panicked_are_dead_letters() {
    let mut desk = Desk::new(json!({}));
    assert!(desk.give(1, &["a", "b"]).await.is_empty());
    let emitted = desk.give(1, &["c", "panic", "d"]).await;
    let rejected: Vec<_> = texts(&emitted)
        .into_iter()
        .map(|(output, text, _)| (output, text))
        .collect();
    assert_eq!(rejected, ["a", "b", "c", "panic"].map(|text| (1, text.to_owned())));
    settle(emitted, Fate::Rejected);
    assert_eq!(texts(&desk.host.tick().await.unwrap())[0].1, "d");

    let mut desk = Desk::new(json!({}));
    desk.give(1, &["a", "later"]).await;
    let emitted = desk.host.tick().await.unwrap();
    assert_eq!(texts(&emitted).len(), 2);
    assert_eq!(
        emitted[0].1.attributes.get(0, "aqueduct.rejected.reason"),
        Some("the plugin panicked in `tick`: told to, in a tick")
    );
    settle(emitted, Fate::Rejected);
    assert_eq!(desk.fates(), [(0, Fate::Rejected)]);
}

#[test]
fn what_is_held_leaves_at_the_end_of_the_input_on_both_kinds_of_threads() {
    for placement in [Placement::Data, Placement::Own] {
        let plan = (Registry::default().processor::<Join>()).processor_blueprint("join", &json!({ "count": 4 }));
        let batches: [&[&str]; 4] = [&["a", "b"], &["c", "d", "e"], &["refuse"], &["f"]];
        let story = play_plugin(plan.unwrap(), 1, placement, &["", "rejected"], &batches);
        assert_eq!(story.outcome, Outcome::Finished);
        assert_eq!(story.of(""), ["a+b+c+d", "e+f"]);
        assert_eq!(story.fates(), [Fate::Delivered; 4]);
    }
}

#[test]
fn what_is_held_leaves_in_time_although_the_input_goes_on() {
    for placement in [Placement::Data, Placement::Own] {
        let plan = (Registry::default().processor::<Join>()).processor_blueprint("join", &json!({ "milliseconds": 1 }));
        let story = wait_with_open_input(plan.unwrap(), placement);
        assert_eq!(story, ["a"]);
    }
}

#[test]
fn a_window_full_of_held_batches_is_flushed_and_not_waited_on() {
    for placement in [Placement::Data, Placement::Own] {
        let plan = (Registry::default().processor::<Join>()).processor_blueprint("join", &json!({}));
        let many: Vec<&[&str]> = vec![&["a"]; 1000];
        let story = play_plugin(plan.unwrap(), 1, placement, &[""], &many);
        assert!(
            story.of("").len() > 5,
            "a window holds 256 batches, and half of it may be held back"
        );
        assert_eq!(story.fates(), vec![Fate::Delivered; 1000]);
        assert_eq!(story.count("filtered"), 0, "what is held is not filtered out");
    }
}

#[test]
fn several_workers_may_not_hold_frames_back() {
    let plan = (Registry::default().processor::<Join>()).processor_blueprint("join", &json!({}));
    let story = play_plugin(plan.unwrap(), 2, Placement::Own, &[""], &[&["a"]]);
    let Outcome::Failed(why) = story.outcome else {
        panic!("it runs")
    };
    assert!(why.contains("set `workers = 1`"), "{why}");
}
