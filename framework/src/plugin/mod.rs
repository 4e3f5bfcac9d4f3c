//! Plugins: what users write. Three roles, one trait each, and the registry that lists them by hand.
//!
//! A plugin is built on the thread it runs on and never leaves it, so it need not be `Send`. It keeps no reference to the pipeline: what it may
//! ask or tell goes through the [`Context`], the [`Feed`], the [`Output`] and the [`Delivery`] it is given.
//!
//! A whole processor, with a span, a counter, an attribute and its test: frames whose id was seen before leave by an output of their own.
//!
//! ```
//! use std::collections::VecDeque;
//! use std::num::NonZeroUsize;
//!
//! use aqueduct_framework::batch::Frame;
//! use aqueduct_framework::error::{Error, Result};
//! use aqueduct_framework::plugin::{Context, Output, Processor};
//! use aqueduct_framework::telemetry::Counter;
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
//!     repeats: Counter,
//!     seen: VecDeque<Vec<u8>>,
//! }
//!
//! impl Processor for Dedup {
//!     type Config = Config;
//!     const NAME: &'static str = "dedup";
//!     const OUTPUTS: &'static [&'static str] = &["repeat"];
//!
//!     fn new(config: Config, context: &Context) -> Result<Self> {
//!         Ok(Self { config, repeats: context.counter("repeats"), seen: VecDeque::new() })
//!     }
//!
//!     fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
//!         let span = frame.child_span("lookup");
//!         let id = frame.field(b',', self.config.column).ok_or(Error::rejected("no such column"))?;
//!         out.attribute("id", id);
//!         span.attribute("id", String::from_utf8_lossy(id));
//!         if self.seen.iter().any(|seen| seen == id) {
//!             self.repeats.add(1);
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
//! assert_eq!(run.count("repeats"), 1);
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
mod hold;
mod intake;
mod lane;
mod output;
mod partial;
mod registry;
pub mod rejection;
pub(crate) mod store_reader;
mod unconfirmed;

use std::future::Future;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

pub use context::Context;
pub use delivery::Delivery;
pub use erased::{DynProcessor, DynSink, DynSource};
pub(crate) use feed::frame_bytes;
pub use feed::{Feed, FeedParts};
pub use frames::Frames;
pub use framings::FramingSpec;
pub use hold::HoldLimit;
pub use intake::{Filled, FrameIntake, Intake, PARTIAL};
pub use output::{Emitted, NEW_BYTES_MAX, Output, REJECTED};
pub use partial::Partial;
pub use registry::{About, Blueprint, Registry};
pub use store_reader::{NamedCursor, Read, ReadCursor, Start, StoreReader, StoreUse};
pub use unconfirmed::{MayBeLost, Unconfirmed};

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

/// Of a plugin that does not say: a connection, and another one while it is made anew.
const OPEN_FILES: u64 = 2;

/// What a source waits for before it tells its peer that a frame was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Awaits {
    /// Nothing.
    #[default]
    Nothing,
    /// Until the frame lies on disk, synced, in the first spill store on its way: each way to a sink must lead through one with `persist = "always"`, except
    /// those that leave by an output `rejected`.
    Durable,
    /// Until the sinks have settled it, told by receipts of [`Ledger::awaiting_delivery`](crate::receipt::Ledger::awaiting_delivery): one spill store at most may
    /// be on a way, and none that retains frames for cursors.
    Delivered,
}

/// When a batch counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acknowledgement {
    /// When [`Sink::write`] returned.
    #[default]
    Written,
    /// When [`Sink::acknowledged_bytes`] covers it.
    Later {
        /// After an end that was not orderly so many acknowledged bytes before the first that is not are written again too; frames are not parted. Their
        /// batches are settled all the same: copies are kept in memory, of so many bytes and one batch at most.
        resend_bytes: u64,
    },
    /// When [`Sink::confirmed`] says that it is settled. What was written gives its share of `window_bytes` back at once; how much waits is
    /// bounded here, in bytes that the batches pin. Past a bound the oldest batch counts as delivered early; where that was wrong, it is counted.
    Confirmed {
        /// What is read, as far as anybody can tell, and waits only for the connection to outlive it.
        settle_bytes: u64,
        /// What seems not to be read.
        unread_bytes: u64,
    },
}

/// How far the other side of a byte stream is, in wire bytes taken since `open`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confirmed {
    /// Settled: nothing speaks against it any more.
    pub settled: u64,
    /// Read by the other side, as far as anybody can tell; at least what is settled.
    pub read: u64,
    /// Acknowledged by its kernel; at least what is read.
    pub acknowledged: u64,
    /// Read for certain. When the connection breaks off, what is settled beyond it may be lost.
    pub proven: u64,
}

impl Confirmed {
    /// What holds for both.
    #[must_use]
    pub fn least(self, other: Self) -> Self {
        Self {
            settled: self.settled.min(other.settled),
            read: self.read.min(other.read),
            acknowledged: self.acknowledged.min(other.acknowledged),
            proven: self.proven.min(other.proven),
        }
    }
}

/// What the other side has refused for good, though it acknowledged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where on the connection the refused frames stand, in the count of [`Sink::acknowledged_bytes`].
    pub bytes: Range<u64>,
    /// Why, for the dead letters.
    pub reason: String,
}

/// What is known in the end of a connection that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastAcknowledged {
    /// As [`Sink::acknowledged_bytes`].
    pub bytes: u64,
    /// The other side took its leave with all that was acknowledged in its hands, so none of that need be written again.
    pub orderly: bool,
}

/// Reads from somewhere. Hosted by a socket reader actor. [`testing::source`](crate::testing::source) runs one in a test,
/// [`testing::conformance::source`](crate::testing::conformance::source) holds it to what follows.
///
/// - **Ordering**: frames leave in the order they are given to the feed, over all its streams.
/// - **Demand**: wait for [`Intake::ready`] (or [`FrameIntake::ready`]) before every read, so that a pipeline without a spill store pushes back to
///   the peer; [`Feed::forward`] waits by itself. What is sent without demand is a bug of the source.
/// - **Cancel-safety**: `run` may be dropped wherever it waits, at the shutdown deadline. Nothing of what was given to the feed is lost by that.
/// - **Errors**: see [`Source::run`].
/// - **Redelivery**: a source keeps no copy of what it gave to the feed. A spill store behind it sends again what was dropped; without one it is
///   counted as `lost`.
/// - **Shutdown**: when [`Feed::stopping`] resolves, finish the frame in hand and return, also while there is no demand.
/// - **Panics** are caught: the source is built anew and run again, its streams and their unfinished frames are gone. The fifth fails the pipeline.
/// - **Threads**: built and run on one thread, that of [`Source::PLACEMENT`]. On the data thread it must never block.
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
    /// Config keys that hold a path it reads: two actors cannot share one, so that no pipeline reads what it writes itself.
    const PATHS: &'static [&'static str] = &[];
    /// True when its peer closes if it is not read fast enough: `check` warns where a full store would block it.
    const WILL_NOT_WAIT: bool = false;
    /// True when it needs to know what is durable: `check` wants it to feed one spill store with `persist = "always"` directly, and nothing else.
    const FEEDS_STORE: bool = false;

    /// Builds it, on the thread it will run on. Opens nothing: connections and files are `run`'s. `check` builds it too, and drops it.
    ///
    /// # Errors
    /// When options contradict each other, or a pattern does not compile.
    fn new(config: Self::Config, context: &Context) -> Result<Self>;

    /// How many files and sockets it has open at once, at most: `check` and `run` warn when all of a process may have more open than it may.
    fn open_files(&self) -> u64 {
        OPEN_FILES
    }

    /// What it waits for, with its options, before it tells its peer that a frame was taken: `check` wants a pipeline that can tell. How it learns of it: by
    /// the receipts of [`Intake::fill_under`].
    fn awaits(&self) -> Awaits {
        Awaits::Nothing
    }

    /// Reads until the source is exhausted (a file's end) or [`Feed::stopping`] resolves. It is not called again then.
    ///
    /// # Errors
    /// `unavailable`: the actor backs off and calls `run` again, on the same instance. `fatal`, and `rejected` too: the pipeline fails. A source that redials
    /// by itself returns none.
    fn run(&mut self, feed: &Feed) -> impl Future<Output = Result<()>>;
}

/// Does something to frames. Hosted by a processor actor. [`testing::processor`](crate::testing::processor()) runs one in a test,
/// [`testing::conformance::processor`](crate::testing::conformance::processor) holds it to what follows.
///
/// - **Ordering**: frames of a source arrive in order, and frames leave each output in the order they were emitted. With `workers = n` each worker has an
///   instance of its own, which sees some of the batches; output is put back into input order.
/// - **Receipts**: a batch is settled when all that it became is settled, with the worst fate; frames filtered out count as delivered.
/// - **Holding back**: a processor that emits later what it made of frames says so with [`Processor::holds`] and [`Output::hold`]. Their batches are
///   settled when what [`Processor::tick`] (or a frame that calls [`Output::release`]) made of them is. What is held keeps its demand.
/// - **Cancel-safety**: [`Processor::batch`] may be dropped wherever it waits, at the shutdown deadline; the instance is dropped with it.
/// - **Errors** concern one frame: see [`Processor::frame`].
/// - **Redelivery**: after a crash or a drop downstream frames come again, those held back among them: state must bear seeing a frame twice. When
///   what is held was dropped downstream, the instance is built anew first, so that nothing in it is counted twice; frames that were held when
///   the pipeline was killed come again to a new instance.
/// - **Shutdown**: everything that came is still handled, then `tick` is called a last time, and the instance dropped. What is in hand or held back at
///   the deadline counts as dropped.
/// - **Panics** are caught: the plugin is built anew, its state is lost, and the batch is run again frame by frame, so that only the frame that panicked
///   becomes a dead letter. Frames held by the lost instance become dead letters too. More than 1,000 panics in a row fail the pipeline.
/// - **Threads**: built and run on one thread, that of [`Processor::PLACEMENT`] or a worker's. On the data thread it must never block.
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
    /// Why it must see all frames, as a sentence without a full stop; none: it need not. With a reason more than one of `workers` is a mistake,
    /// which `check` tells with it.
    const ALONE: Option<&'static str> = None;

    /// Builds it, on the thread it will run on. `check` builds it too, and drops it.
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

    /// How many of the frames that are left of the batch in hand [`Processor::batch`] is given next, at least one. What it emits for them goes downstream
    /// before it is given more, unless there are several `workers` (see [`Processor::ALONE`]). Asked before every call of `batch` for new frames; not asked of a plugin that
    /// [holds](Processor::holds) frames back. All that are left, unless a plugin says less: for those that must not let a whole batch pass at once.
    fn portion(&mut self, frames: &Frames<'_>) -> usize {
        frames.left()
    }

    /// How often [`Processor::tick`] is called while the actor lives; none: never.
    fn tick_every(&self) -> Option<Duration> {
        None
    }

    /// How much it holds back with [`Output::hold`] at most; none: it never does. Asked once, when it is built. It cannot have more than
    /// one of `workers` then.
    fn holds(&self) -> Option<HoldLimit> {
        None
    }

    /// Called between batches: about every [`Processor::tick_every`], when a limit of [`Processor::holds`] is reached, and a last time at the
    /// end of the input. It emits what was made of all frames held back, by [`Output::push`] and [`Output::push_to`]; what it emits has the number, source
    /// and attributes of the frame held last. When it returns nothing counts as held any more: those batches are settled when what it emitted is.
    ///
    /// # Errors
    /// What it emitted is taken back. `unavailable`: back off, then `tick` again, so state may be cleared only by what cannot fail any more. `rejected`: all
    /// frames held are dead letters, and must be forgotten. `fatal`: the pipeline fails.
    fn tick(&mut self, out: &mut Output) -> Result<()> {
        let _ = out;
        Ok(())
    }
}

/// Writes to somewhere. Hosted by a sender actor, which connects, retries, resumes and settles. [`testing::sink`](crate::testing::sink) runs one in
/// a test, [`testing::conformance::sink`](crate::testing::conformance::sink) holds it to what follows.
///
/// - **Ordering**: one call at a time: `open`, then one delivery after the other, in order, with `watch` in between; after an `unavailable`, `open` again.
/// - **Receipts**: a batch counts as delivered when `write` returns `Ok`: what the sink promises (written, synced) must be true by then. Unless
///   [`Sink::acknowledgement`] says that it learns later what has arrived: then the sender keeps the batch, and its share of `window_bytes`, until then.
/// - **Demand**: none is granted before the first `open` returns, nor between a failure and the next `open`; but once it is being given up
///   (`retry.give_up_after`), what is to be given up next may come.
/// - **Cancel-safety**: `open` and `watch` may be dropped wherever they wait; after `watch` was dropped it is called again. `write` is dropped at the
///   shutdown deadline only, and its batch counts as dropped.
/// - **Errors**: see [`Sink::write`] and [`Sink::open`].
/// - **Redelivery**: after `unavailable` the same delivery comes again, from the start of the frame that failed; before it come the frames that were written
///   and not acknowledged, where the sink learns that later. After a crash, or when another branch of a
///   fan-out dropped a batch, whole batches come again.
/// - **Shutdown**: what came is still written, then [`Sink::close`] is called. While the destination is away and a spill store stands upstream,
///   the sink is dropped without `close`, and what is left goes back to the store.
/// - **Panics** fail the pipeline, because nobody knows how much was written; the batch in hand counts as dropped.
/// - **Threads**: built and run on one thread, that of [`Sink::PLACEMENT`]. On the data thread it must never block.
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

    /// Builds it, on the thread it will run on. Opens nothing. `check` builds it too, and drops it.
    ///
    /// # Errors
    /// When options contradict each other.
    fn new(config: Self::Config, context: &Context) -> Result<Self>;

    /// Gets ready: connects, waits for the client, opens the file. Called again, on the same instance, after every `unavailable` and whenever
    /// `watch` has resolved: what was open before is to be forgotten.
    ///
    /// # Errors
    /// `unavailable`: the actor backs off and calls it again. `fatal`, and `rejected` too: the pipeline fails.
    fn open(&mut self) -> impl Future<Output = Result<()>>;

    /// Writes what the delivery holds, until nothing is left. Progress is told with [`Delivery::advance`] or by taking frames. To return `Ok`
    /// without any progress is a mistake, which fails the pipeline.
    ///
    /// # Errors
    /// `unavailable`: `open` again, then the rest from the frame that failed. `rejected`: this frame is a dead letter, the next follows. `fatal`: the pipeline fails.
    fn write(&mut self, delivery: &mut Delivery) -> impl Future<Output = Result<()>>;

    /// Resolves when the other side goes away while nothing is written, with the reason. Cancel-safe: it is dropped whenever a batch comes.
    fn watch(&mut self) -> impl Future<Output = Error> {
        std::future::pending()
    }

    /// How many files and sockets it has open at once, at most: `check` and `run` warn when all of a process may have more open than it may.
    fn open_files(&self) -> u64 {
        OPEN_FILES
    }

    /// What it asks of the spill store in front of it. Asked by `check` and when it is built.
    fn store_use(&self) -> StoreUse {
        StoreUse::Any
    }

    /// Delivers what it reads from the store itself, to clients that have cursors of their own, until [`StoreReader::stopping`] resolves. Called instead of `open`,
    /// `write`, `watch` and `close` when [`Sink::store_use`] says [`StoreUse::Cursors`]. Dropped at the shutdown deadline.
    ///
    /// # Errors
    /// `unavailable`: the actor backs off and calls it again, on the same instance. Otherwise the pipeline fails.
    fn serve(&mut self, store: &StoreReader) -> impl Future<Output = Result<()>> {
        let _ = store;
        async { Err(Error::fatal("this sink reads no store itself")) }
    }

    /// When a batch counts as delivered. Asked once, when it is built. A sink that learns it later takes wire bytes ([`Delivery::wire`]), and rejects no frame.
    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement::Written
    }

    /// How many of the wire bytes taken since `open` the other side has acknowledged, in the order in which they were taken. Asked when
    /// [`Sink::acknowledgement`] says [`Acknowledgement::Later`]: after each write, and, while something is not acknowledged, when [`Sink::acknowledged_signal`] rings, or else
    /// at growing intervals of 1 to 50 ms. A figure lower than
    /// one before is ignored.
    fn acknowledged_bytes(&self) -> u64 {
        0
    }

    /// Rung whenever [`Sink::acknowledged_bytes`] may have grown, by a sink that hears of it while it writes or watches: nobody need ask at intervals
    /// then. Asked once, when it is built; without one it is asked at intervals.
    fn acknowledged_signal(&self) -> Option<Rc<Notify>> {
        None
    }

    /// Up to where the other side has refused what was written, in the count of [`Sink::acknowledged_bytes`]; no more than that when it refused
    /// nothing. Asked after [`Sink::last_acknowledged`]: when the sender gives up (`retry.give_up_after`), only these frames become dead letters, and not
    /// the whole batch.
    fn refused_bytes(&self) -> u64 {
        0
    }

    /// What was refused for good since it was asked last: these frames become dead letters, and count as acknowledged as soon as
    /// [`Sink::acknowledged_bytes`] covers them, never before they were returned here. Asked after each look at that.
    fn take_refusals(&mut self) -> Vec<Refusal> {
        Vec::new()
    }

    /// The same after `unavailable` or when `watch` has resolved, before `open`: what is not covered is written again. It may wait, within bounds of its
    /// own, for acknowledgements still to come. Dropped at the shutdown deadline only.
    fn last_acknowledged(&mut self) -> impl Future<Output = LastAcknowledged> {
        async {
            LastAcknowledged {
                bytes: self.acknowledged_bytes(),
                orderly: false,
            }
        }
    }

    /// How far the other side is. Asked where [`Sink::acknowledgement`] says [`Acknowledgement::Confirmed`], as often as [`Sink::acknowledged_bytes`]
    /// elsewhere, and of every sink after its connection has ended, after [`Sink::last_acknowledged`]: what was settled and is not confirmed then is
    /// counted as `frames_unconfirmed`. None: nothing is known, and nothing counted.
    fn confirmed(&mut self) -> Option<Confirmed> {
        None
    }

    /// Everything was written and nothing more comes, but not all is settled: says goodbye and waits, within bounds of its own, until the other side has
    /// confirmed the rest. Called before [`Sink::close`] where [`Sink::acknowledgement`] says [`Acknowledgement::Confirmed`].
    ///
    /// # Errors
    /// `unavailable`: the other side has gone; what it has not confirmed is written again.
    fn finish(&mut self) -> impl Future<Output = Result<()>> {
        async { Ok(()) }
    }

    /// The end: flush, say goodbye. Called at the end of the input, within the shutdown deadline; not after a fatal error, nor when the pipeline is
    /// forced to end. It must bear being called without `open`, and twice.
    ///
    /// # Errors
    /// They are logged; nothing comes after.
    fn close(&mut self) -> impl Future<Output = Result<()>> {
        async { Ok(()) }
    }
}
