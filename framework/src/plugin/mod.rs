//! Plugins: what users write. Three roles, one trait each, and the registry that lists them by hand.
//!
//! A plugin is built on the thread it runs on and never leaves it, so it need not be `Send`. It keeps no reference to the pipeline: what it may
//! ask or tell goes through the [`Context`], the [`Feed`], the [`Output`] and the [`Delivery`] it is given.
//!
//! A whole processor, with its test: frames whose id was seen before leave by an output of their own.
//!
//! ```
//! use std::collections::VecDeque;
//! use std::num::NonZeroUsize;
//!
//! use aqueduct_framework::batch::Frame;
//! use aqueduct_framework::error::{Error, Result};
//! use aqueduct_framework::plugin::{Context, Output, Processor};
//! use aqueduct_framework::testing;
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// The column of the id, from 0.
//!     column: usize,
//!     /// How many ids to remember.
//!     remember: NonZeroUsize,
//! }
//!
//! struct Dedup {
//!     config: Config,
//!     seen: VecDeque<Vec<u8>>,
//! }
//!
//! impl Processor for Dedup {
//!     type Config = Config;
//!     const NAME: &'static str = "dedup";
//!     const OUTPUTS: &'static [&'static str] = &["repeat"];
//!
//!     fn new(config: Config, _: &Context) -> Result<Self> {
//!         Ok(Self { config, seen: VecDeque::new() })
//!     }
//!
//!     fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
//!         let id = frame.field(b',', self.config.column).ok_or(Error::rejected("no such column"))?;
//!         out.attribute("id", id);
//!         if self.seen.iter().any(|seen| seen == id) {
//!             out.send("repeat", frame);
//!             return Ok(());
//!         }
//!         self.seen.push_back(id.to_vec());
//!         if self.seen.len() > self.config.remember.get() {
//!             self.seen.pop_front();
//!         }
//!         out.keep(frame);
//!         Ok(())
//!     }
//! }
//!
//! let run = testing::processor::<Dedup>("column = 0\nremember = 9").frames(["a,1", "b,1", "a,2"]);
//! assert_eq!(run.output(""), ["a,1", "b,1"]);
//! assert_eq!(run.output("repeat"), ["a,2"]);
//! assert_eq!(run.attributes("repeat", 0)["id"], "a");
//!
//! let run = testing::processor::<Dedup>("column = 1\nremember = 9").frames(["a"]);
//! assert_eq!(run.rejected()[0].reason, "no such column");
//! ```

mod context;
mod delivery;
mod erased;
mod feed;
mod frames;
mod framings;
mod intake;
mod lane;
mod output;
mod registry;
pub mod rejection;

use std::future::Future;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub use context::Context;
pub use delivery::Delivery;
pub use erased::{DynProcessor, DynSink, DynSource};
pub(crate) use feed::frame_bytes;
pub use feed::{Feed, FeedParts};
pub use frames::Frames;
pub use framings::FramingSpec;
pub use intake::{Filled, FrameIntake, Intake};
pub use output::{Emitted, NEW_BYTES_MAX, Output, REJECTED};
pub use registry::{About, Blueprint, Registry};

use crate::batch::Frame;
use crate::error::{Error, Result};

/// Which thread an actor runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The pipeline's data thread, shared with the other actors of the path: for what is cheap and never blocks.
    Data,
    /// A thread of its own: for what may block or compute for long.
    Own,
}

/// Reads from somewhere. Hosted by a socket reader actor.
///
/// **Ordering**: frames leave in the order they are given to the feed. **Demand**: read only after [`Intake::ready`], so that
/// a pipeline without a spill store pushes back to the peer. **Shutdown**: when [`Feed::stopping`] resolves, finish the frame in hand
/// and return; after the shutdown deadline `run` is dropped wherever it waits.
pub trait Source: Sized + 'static {
    /// Its options: the keys of its table besides the framework's own. Doc comments become the help of `aqueduct plugins NAME`.
    type Config: DeserializeOwned + JsonSchema;
    /// Its `type` in the config.
    const NAME: &'static str;
    /// A table that works, shown by `aqueduct plugins NAME`.
    const SAMPLE: &'static str = "";
    /// Where it runs.
    const PLACEMENT: Placement = Placement::Data;
    /// Config keys that hold an address it listens on: two actors cannot share one.
    const LISTENS: &'static [&'static str] = &[];
    /// True when its peer closes if it is not read fast enough: `check` warns where a full store would block it.
    const WILL_NOT_WAIT: bool = false;

    /// Builds it. Opens nothing: connections and files are `run`'s.
    ///
    /// # Errors
    /// When options contradict each other, or a pattern does not compile.
    fn new(config: Self::Config, context: &Context) -> Result<Self>;

    /// Reads until the source is exhausted (a file's end) or [`Feed::stopping`] resolves.
    ///
    /// # Errors
    /// `unavailable`: the actor backs off and calls `run` again. `fatal`: the pipeline fails. A source that redials by itself returns neither.
    fn run(&mut self, feed: &Feed) -> impl Future<Output = Result<()>>;
}

/// Does something to frames. Hosted by a processor actor.
///
/// **Ordering**: frames arrive in order and leave in the order they were emitted; with `workers = n` each worker has an instance of its own, and output is put
/// back into input order. **Redelivery**: after a crash or a drop downstream frames may come again. **Panics** are caught: the plugin is
/// built anew, its state is lost, and the frame that panicked becomes a dead letter.
pub trait Processor: Sized + 'static {
    /// Its options.
    type Config: DeserializeOwned + JsonSchema;
    /// Its `type` in the config.
    const NAME: &'static str;
    /// A table that works.
    const SAMPLE: &'static str = "";
    /// Where it runs, unless the config says `own_thread`.
    const PLACEMENT: Placement = Placement::Own;
    /// Named outputs besides the main one and `rejected`.
    const OUTPUTS: &'static [&'static str] = &[];

    /// Builds it, on the thread it will run on.
    ///
    /// # Errors
    /// When options contradict each other, or a pattern does not compile.
    fn new(config: Self::Config, context: &Context) -> Result<Self>;

    /// Handles one frame: [`Output::keep`] it, [`Output::send`] it to a named output, [`Output::push`] a new one, or do nothing, which filters it out.
    ///
    /// # Errors
    /// An error concerns this frame: what it emitted is taken back, earlier frames stand. `unavailable`: back off, then this frame again.
    /// `rejected`: dead letter. `fatal`: the pipeline fails.
    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()>;

    /// Handles a batch: for speed, or to await something. Frames must be taken from `frames` in order, each finished before the next, and
    /// all of them before it returns `Ok`; what is emitted leaves when the whole batch is done.
    /// Not cancelled except at the shutdown deadline; then the whole batch counts as dropped.
    ///
    /// # Errors
    /// As for [`Processor::frame`], about the frame taken last.
    fn batch(&mut self, frames: &mut Frames<'_>, out: &mut Output) -> impl Future<Output = Result<()>> {
        async {
            while let Some(frame) = frames.next(out) {
                self.frame(frame, out)?;
            }
            Ok(())
        }
    }

    /// How often [`Processor::tick`] is called while the actor lives; none: never.
    fn tick_every(&self) -> Option<Duration> {
        None
    }

    /// Called between batches, about every [`Processor::tick_every`], for reports and counters.
    fn tick(&mut self) {}
}

/// Writes to somewhere. Hosted by a sender actor, which connects, retries, resumes and settles.
///
/// **Ordering**: one delivery at a time, in order. **Redelivery**: after `unavailable` the same delivery comes again, from the frame that failed.
pub trait Sink: Sized + 'static {
    /// Its options.
    type Config: DeserializeOwned + JsonSchema;
    /// Its `type` in the config.
    const NAME: &'static str;
    /// A table that works.
    const SAMPLE: &'static str = "";
    /// Where it runs.
    const PLACEMENT: Placement = Placement::Data;
    /// Config keys that hold an address it listens on.
    const LISTENS: &'static [&'static str] = &[];
    /// Config keys that hold a path it writes: two actors cannot share one.
    const PATHS: &'static [&'static str] = &[];

    /// Builds it. Opens nothing.
    ///
    /// # Errors
    /// When options contradict each other.
    fn new(config: Self::Config, context: &Context) -> Result<Self>;

    /// Gets ready: connects, waits for the client, opens the file. No demand is granted before. Cancel-safe: it may be dropped at shutdown.
    ///
    /// # Errors
    /// `unavailable`: the actor backs off and calls it again. `fatal`: the pipeline fails.
    fn open(&mut self) -> impl Future<Output = Result<()>>;

    /// Writes what the delivery holds, until nothing is left. Progress is told with [`Delivery::advance`] or by taking frames.
    /// When it returns, the batch counts as delivered: what the sink promises (written, synced) must be true by then.
    ///
    /// # Errors
    /// `unavailable`: `open` again, then the rest from the frame that failed. `rejected`: this frame is a dead letter, the next follows. `fatal`: the pipeline fails.
    fn write(&mut self, delivery: &mut Delivery) -> impl Future<Output = Result<()>>;

    /// Resolves when the other side goes away while nothing is written, with the reason. Cancel-safe: it is dropped whenever a batch comes.
    fn watch(&mut self) -> impl Future<Output = Error> {
        std::future::pending()
    }

    /// The end: flush, say goodbye. Called once, within the shutdown deadline.
    ///
    /// # Errors
    /// They are logged; nothing comes after.
    fn close(&mut self) -> impl Future<Output = Result<()>> {
        async { Ok(()) }
    }
}
