//! A plugin that takes a batch in portions: each leaves before the next is begun.

use std::sync::LazyLock;

use tokio::sync::Semaphore;

use super::*;
use crate::plugin::Frames;

/// Takes two frames at once, and each portion only when a test lets it.
struct Pairs {
    may_go_on: &'static Semaphore,
}

static INLINE: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(0));
static THREAD: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(0));

impl Plugin for Pairs {
    type Config = serde_json::Value;
    const NAME: &'static str = "pairs";

    fn new(config: Self::Config, _: &PluginContext) -> Result<Self> {
        let inline = config["inline"] == true;
        Ok(Self {
            may_go_on: if inline { &INLINE } else { &THREAD },
        })
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        if frame.bytes() == b"panic" {
            panic!("told to");
        }
        out.keep(frame);
        Ok(())
    }

    fn portion(&mut self, _: &Frames<'_>) -> usize {
        2
    }

    async fn batch(&mut self, frames: &mut Frames<'_>, out: &mut Output) -> Result<()> {
        self.may_go_on.acquire().await.unwrap().forget();
        while let Some(frame) = frames.next(out) {
            self.frame(frame, out)?;
        }
        Ok(())
    }
}

fn pairs(inline: bool) -> Blueprint<dyn DynProcessor> {
    let mut registry = Registry::default();
    let options = serde_json::json!({ "inline": inline });
    registry
        .processor::<Pairs>()
        .processor_blueprint("pairs", &options)
        .unwrap()
}

#[test]
fn each_portion_of_a_batch_leaves_before_the_next_is_begun() {
    for (inline, placement, gate) in [(true, Placement::Data, &INLINE), (false, Placement::Own, &THREAD)] {
        let told = async {
            let (ends, _ended) = unbounded_channel();
            let (processor, _, mut seen) = start(pairs(inline), 1, placement, &[""], Ends(ends));
            let fates = feed(&processor, &[&["a", "b", "c", "d", "e"], &["f"]]);
            // The gate opens for the next portion only when all of the one before has been seen.
            for portion in [&["a", "b"][..], &["c", "d"], &["e"], &["f"]] {
                gate.add_permits(1);
                for frame in portion {
                    assert_eq!(seen.recv().await.unwrap().1, *frame);
                }
            }
            while fates.lock().unwrap().len() < 2 {
                tokio::task::yield_now().await;
            }
            let fates = fates.lock().unwrap();
            fates
                .iter()
                .map(|settled| (settled.token, settled.fate))
                .collect::<Vec<_>>()
        };
        let fates = System::new()
            .block_on(async { tokio::time::timeout(PATIENCE, told).await })
            .expect("what was let through leaves");
        assert_eq!(fates, [(0, Fate::Delivered), (1, Fate::Delivered)]);
    }
}
