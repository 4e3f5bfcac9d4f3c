//! What every Aqueduct pipeline runs on.
//!
//! Aqueduct stands between a source that will not wait and a destination that cannot keep up. It reads as fast as the network delivers, keeps
//! on disk what the destination cannot take yet, and delivers it later, in order, by itself.
//!
//! # The way of a batch
//! The files below are in the order in which a batch meets them.
//!
//! ```text
//!  socket --read--> framing --> Batch ---------> spill store ----------> processor --> sender --> socket
//!    ^                            | mailbox        | memory first           |            |
//!    |          demand            v (try_send)     v then segments          v            v
//!  reader <--------------------- Window <-------- Window <--------------- Window <---- Window
//!                        receipts: delivered, rejected, dropped  <----------------------'
//! ```
//!
//! | step | file | what happens |
//! |---|---|---|
//! | 1 | [`actors::reader`] | hosts a source plugin, which waits for demand and reads the socket |
//! | 2 | [`plugin::Feed`], [`plugin::Intake`] (`plugin/feed.rs`, `plugin/intake.rs`) | one read of at most 256,000 bytes into a pooled buffer ([`batch::Pool`]); what was a batch before, in a store or at another Aqueduct, enters whole |
//! | 3 | [`framing::Cutter`] | finds where frames end; keeps the unfinished one for the next read |
//! | 4 | [`batch::Batch`] | one shared payload, an offset table, numbers, attributes, trace, receipt |
//! | 5 | [`mailbox::Outlet`] | sends it along every edge of the output, under [`demand::DemandLedger`] |
//! | 6 | [`mailbox::Inbox`] | holds it for the actor downstream; a [`demand::Window`] decides when more may come |
//! | 7 | [`actors::spill`] | carries out what [`spill::fifo::Fifo`] decides: keep in memory, write, read back, hand down |
//! | 8 | [`spill::thread`], [`spill::Storage`], [`spill::disk`] | the thread that owns the files: group commit, segments, cursor, how far streams from other stores are ([`spill::streams`]); the file operations as a seam for tests |
//! | | [`spill::cursors`], [`plugin::StoreReader`] | where the clients of a sink have cursors of their own, nothing is handed down: each reads from the segments what is durable, in its own time; `serve.rs` of the store and `serving.rs` of the sender carry that out |
//! | 9 | [`actors::processor`] | runs a processor plugin inline or on workers; `runner.rs` contains errors and panics, `tick.rs` and `held.rs` keep what it holds back, `reorder.rs` restores order |
//! | 10 | [`plugin::Output`] | what the plugin emitted, frame by frame, becomes batches again, without copying when all is kept |
//! | 11 | [`actors::sender`] | hosts a sink plugin: connects, writes a [`plugin::Delivery`], resumes at the frame that failed; `unacknowledged.rs` keeps what a sink learns the arrival of only later; `work/giving_up.rs` makes dead letters of what fails for too long |
//! | 12 | [`receipt`] | whoever held the batch last has settled it: the fate travels back to the store, or to the source |
//!
//! Beside them: every connection notes its last minute in a [`flight::Recorder`], and [`flight::judge`] says in a sentence why it ended.
//!
//! Around them: [`config`] turns files into checked plain data, [`pipeline`] turns that into running actors, [`supervisor`] and [`shutdown`] end them
//! in order, [`telemetry`] and [`pipeline::PipelineStatus`] show them, [`find`] tells where one message is, [`spill::inspect`] what a store's directory holds, [`testing`] is for authors of plugins.
//! [`seeded`] holds bugs on purpose, in no build but that of the tests that must find them.
//!
//! # What holds everywhere
//! - **What decides does nothing.** Framing, demand, the store's FIFO, reordering, backoff and shutdown are plain state machines without
//!   clock, I/O, randomness or address. Actors translate between messages, sockets and these.
//! - **Demand is the permission to send.** A mailbox's capacity bounds nothing by itself in actix, so nobody sends without
//!   demand, and `window_bytes` plus one batch bounds every edge. No source reads without demand: without a store TCP itself pushes back.
//! - **A receipt settles exactly once.** Dropping one without a word counts as dropped, so no bug can look like a delivery. After the first drop
//!   all later batches of the same epoch are discarded by whoever holds them (go-back-N), and the store sends again, in order. What is made of several
//!   batches, by a plugin that holds frames back, has one receipt for all of them.
//! - **Order is per source**, through memory, disk, workers and reconnects.
//! - **What is tried again is counted by its reason** ([`failure`]), waits by one policy ([`backoff`]), and is given up only where that says so.
//! - **Every bound that somebody may want to move has a name in the config**: `window_bytes`, `partial_bytes`, `memory_bytes`, `memory_age`, `max_bytes`, `retain_bytes`, `retain_age`, `max_cursors`, `commit_bytes`,
//!   `in_flight_bytes`, `read_ahead_bytes`, `quarantine_bytes`, `resend_bytes`, `max_frame_bytes`, `max_message_bytes`, `max_connections`, `max_clients`, `max_streams`, `lag_limit`, `window_frames`, `max_reply_bytes`,
//!   the timeouts, `[shutdown] deadline`, `[log] queue_bytes`, those of [`telemetry`]. What is fixed, such as the 256 KiB that a named client reads at once, stands in the plugin's README.
//!
//! # Threads
//! Every pipeline has one data Arbiter: its reader, store actor, processor actors and senders, because a hop to a sleeping core costs more than the work. A
//! plugin that says [`plugin::Placement::Own`], and every worker, gets an Arbiter of its own. Each store has the thread `spill-NAME` for its files, and so has a source that reads those of one. The
//! supervisor, signals and `status` live on the system's own thread; the program writes its log on the thread `log`. The exporter of spans has the thread
//! `OpenTelemetry.Traces.BatchProcessor` while a collector is configured, on which its connection runs too, and `spans-lookup` for as long as a
//! collector's host name is looked up. There are no others.
//!
//! # What is deliberately absent
//! Global state; a registry filled by macros; `unsafe` (forbidden here; the crate `aqueduct-sys` has what little there is); retries without
//! backoff; an unbounded queue; redelivery of a single branch of a fan-out (all branches get the batch again).

pub mod actors;
mod atomic;
pub mod backoff;
pub mod batch;
pub mod config;
pub mod demand;
pub mod error;
pub mod failure;
pub mod find;
pub mod flight;
pub mod framing;
pub mod mailbox;
pub mod pipeline;
pub mod plugin;
pub mod receipt;
pub mod seeded;
pub mod shutdown;
pub mod spill;
pub mod supervisor;
pub mod telemetry;
pub mod testing;
pub mod units;
