//! The suite of processors.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::{Checked, broken, contained, declared, keeps, must_conform};
use crate::batch::Batch;
use crate::config::Role;
use crate::error::Result;
use crate::plugin::{Context, Processor, Registry};
use crate::receipt::{Fate, Ledger};
use crate::testing::{Host, lines, options};

/// The suite for the processor `P`, with the options of its SAMPLE.
pub fn processor<P: Processor>() -> ProcessorSuite<P> {
    ProcessorSuite {
        options: None,
        frames: awkward(),
        plugin: PhantomData,
    }
}

/// Frames that nobody expects: any bytes may come.
pub(super) fn awkward() -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> = [
        "a,1",
        "b,2",
        "",
        " ",
        ",",
        ",,,,",
        "{\"id\": 1}",
        "-1",
        "99999999999999999999",
        "\u{1f600}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    frames.push(vec![0xff, 0xfe, 0x00, 0x80]);
    frames.push((0..=255).filter(|byte| *byte != b'\n').collect());
    frames.push(vec![b'x'; 100_000]);
    frames
}

/// A processor about to be held to its contract.
#[must_use = "it does nothing before `check`"]
pub struct ProcessorSuite<P> {
    options: Option<String>,
    frames: Vec<Vec<u8>>,
    plugin: PhantomData<P>,
}

impl<P: Processor> ProcessorSuite<P> {
    /// Other options than those of its SAMPLE, in TOML.
    pub fn options(mut self, options: &str) -> Self {
        self.options = Some(options.to_owned());
        self
    }

    /// More frames for it to take, besides a dozen that nobody expects.
    pub fn frames<F: AsRef<[u8]>>(mut self, frames: impl IntoIterator<Item = F>) -> Self {
        self.frames
            .extend(frames.into_iter().map(|frame| frame.as_ref().to_vec()));
        self
    }

    /// Runs the suite.
    ///
    /// # Panics
    /// With the first line of the contract that is broken.
    #[track_caller]
    pub fn check(self) {
        must_conform("processor", P::NAME, self.run());
    }

    fn run(&self) -> Checked {
        let mut registry = Registry::default();
        registry.processor::<P>();
        let abouts = registry.all(Role::Processor);
        let about = abouts.first().ok_or("it has no name")?;
        let chosen = declared::choose(self.options.as_deref(), about)?;
        declared::check(about, &chosen, &|settings| {
            Host::new::<P>(settings, &Context::new("test", P::NAME, "")).map(drop)
        })?;
        let settings = options(&chosen).map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(async {
            self.takes_everything(&settings, usize::MAX).await?;
            self.takes_everything(&settings, 1).await?;
            self.ticks_with_nothing_held(&settings).await?;
            self.is_cancelled(&settings).await
        })
    }

    /// All frames, in batches of so many, to the end of the input.
    async fn takes_everything(&self, settings: &Value, frames: usize) -> Checked {
        let context = Context::new("test", P::NAME, "");
        let mut host = host::<P>(settings, &context)?;
        let (ledger, fates) = ledger();
        let mut last = vec![0; host.names().len()];
        let (mut first, mut batches) = (0, 0);
        for frames in self.frames.chunks(frames.min(self.frames.len()).max(1)) {
            let batch = lines(frames, first, ledger.issue(batches, 1));
            (first, batches) = (first + frames.len() as u64, batches + 1);
            settle(goes_on(host.run(batch).await)?, &mut last)?;
            settle(goes_on(host.between().await)?, &mut last)?;
        }
        settle(goes_on(host.tick().await)?, &mut last)?;
        let panics = context.counter("panics").get();
        keeps(
            "no frame makes it panic, whatever its bytes: what does not suit is `rejected`",
            panics == 0,
            || format!("it panicked {panics} times; the log says where"),
        )?;
        drops(host)?;
        settled_once(&fates, batches)
    }

    async fn ticks_with_nothing_held(&self, settings: &Value) -> Checked {
        let line = "`tick` may be called before any frame, and then emits nothing";
        let mut host = host::<P>(settings, &Context::new("test", P::NAME, ""))?;
        let emitted = host.tick().await.map_err(|error| broken(line, error))?;
        keeps(line, emitted.is_empty(), || "it emitted something".to_owned())?;
        drops(host)
    }

    /// The shutdown deadline in the middle of a batch.
    async fn is_cancelled(&self, settings: &Value) -> Checked {
        let (ledger, fates) = ledger();
        let mut host = host::<P>(settings, &Context::new("test", P::NAME, ""))?;
        {
            let mut run = Box::pin(host.run(lines(&self.frames, 0, ledger.issue(0, 1))));
            contained("a batch may be given up at any await", || {
                // Polled once, so that it stands in the middle if it waits for anything at all.
                let waker = futures_util::task::noop_waker();
                let _ = run.as_mut().poll(&mut std::task::Context::from_waker(&waker));
            })?;
            contained("a batch may be given up at any await", || drop(run))?;
        }
        drops(host)?;
        settled_once(&fates, 1)
    }
}

fn host<P: Processor>(settings: &Value, context: &Context) -> Checked<Host> {
    Host::new::<P>(settings, context).map_err(|error| broken("`new` takes the options of the suite", error))
}

fn drops(host: Host) -> Checked {
    contained(
        "an instance may be dropped at any time, and does not panic then",
        || drop(host),
    )
}

type Fates = Arc<Mutex<Vec<(u64, Fate)>>>;

fn ledger() -> (Arc<Ledger>, Fates) {
    let fates = Fates::default();
    let told = fates.clone();
    let ledger = Ledger::counting(move |settled| {
        told.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((settled.token, settled.fate));
    });
    (ledger, fates)
}

fn goes_on<T>(result: Result<T>) -> Checked<T> {
    result.map_err(|error| {
        broken(
            "it takes every frame of a batch, in order, emits only the frame in hand and only to declared outputs, and never gives up",
            error,
        )
    })
}

/// Delivers what left, and looks at its order.
fn settle(emitted: Vec<(usize, Batch)>, last: &mut [u64]) -> Checked {
    for (output, batch) in emitted {
        for frame in batch.frames() {
            keeps(
                "frames leave in the order they came",
                frame.number() >= last[output],
                || format!("frame {} leaves behind frame {}", frame.number(), last[output]),
            )?;
            last[output] = frame.number();
        }
        batch.receipt.settle(Fate::Delivered);
    }
    Ok(())
}

fn settled_once(fates: &Fates, batches: u64) -> Checked {
    let fates = fates.lock().unwrap_or_else(PoisonError::into_inner);
    let mut tokens: Vec<u64> = fates.iter().map(|(token, _)| *token).collect();
    tokens.sort_unstable();
    keeps(
        "every batch is settled exactly once",
        tokens.iter().copied().eq(0..batches),
        || format!("of {batches} batches these were settled: {tokens:?}"),
    )
}
