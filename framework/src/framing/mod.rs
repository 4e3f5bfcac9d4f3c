//! Framing: how frames are cut from a byte stream, and written back into one.
//!
//! On the way in a [`Cutter`] stands between the reads of one connection and its batches: it keeps the unfinished frame,
//! enforces the [`Limits`] and asks the framing where frames end. On the way out [`encode_batch`] writes a batch in the
//! sink's framing, unless [`is_wire_form`] says that its payload already is.

mod cutter;
mod delimited;
mod encode;
mod erased;
mod fixed;
mod length;
mod limits;
mod none;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub use cutter::{Counters, Cut, Cutter, LEAD_BYTES, Payload};
pub use delimited::{Delimited, DelimitedConfig, LONGEST_DELIMITER_BYTES};
pub use encode::{encode_batch, is_wire_form};
pub use erased::{BUILT_IN, DynFraming, boxed, build, limits_schema, schemas};
pub use fixed::{Fixed, FixedConfig};
pub use length::{Endian, LengthDelimited, LengthDelimitedConfig};
pub use limits::{Limits, MOST_FRAME_BYTES, OnOversize};
pub use none::{NoneConfig, Unframed};

use crate::error::Result;

/// How many of the last discarded bytes [`Framing::resync`] sees again in front of new ones.
pub const RESYNC_BYTES: usize = 256;

/// What one call of [`Framing::decode`] found behind the last complete frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rest {
    /// How many bytes the unfinished frame will have in all, framing bytes included, when its header already says so.
    pub needs: Option<u64>,
}

/// Cuts a byte stream into frames and writes frames as one.
///
/// A framing decides only where frames end. The framework keeps the unfinished frame between two reads, enforces
/// `max_frame_bytes`, counts what is discarded, and never calls `decode` with the middle of a frame first.
/// [`testing::framing`](crate::testing::framing()) runs one in a test, [`testing::conformance::framing`](crate::testing::conformance::framing) holds it to
/// what follows.
///
/// - **Ordering**: a source builds an instance for each stream, which sees that stream's bytes in order; a sink builds one for all that it writes.
/// - **Reads do not matter**: which frames `decode` finds must not depend on how the stream was parted into reads.
/// - **Cancel-safety**: nothing waits here. A stream may end, or be reset, behind any byte; the instance is dropped then.
/// - **Errors**: of `decode` they end the stream, of `encode` they concern one frame.
/// - **Redelivery**: the same frame may be encoded again, and must give the same bytes.
/// - **Shutdown**: no stream ends regularly; the unfinished frame is counted as truncated.
/// - **Panics** are those of the source or sink it works for: no bytes, and no frame, may make it panic.
/// - **Threads**: it may be built on one thread and used on another, by one at a time. It has no clock and does no I/O.
pub trait Framing: Sized + Send + 'static {
    /// The framing's options: the keys beside `type` in a `framing` table.
    type Config: DeserializeOwned + JsonSchema;
    /// The framing's `type` in the config.
    const NAME: &'static str;

    /// Builds it from its options.
    ///
    /// # Errors
    /// When options contradict each other; what single options may be is the schema's business.
    fn new(config: Self::Config) -> Result<Self>;

    /// Appends to `ends` the end of every complete frame in `input`, framing bytes included, as offsets into `input`, ascending.
    /// `input` begins where a frame begins. Its first `scanned` bytes were already given, as the unfinished rest of the previous call.
    ///
    /// # Errors
    /// When the stream cannot be followed any further (a bad checksum, a forbidden length): the connection is closed, with this reason.
    /// The ends appended before stand.
    fn decode(&mut self, input: &[u8], scanned: usize, ends: &mut Vec<u32>) -> Result<Rest>;

    /// Appends `frame` and its framing bytes to `out`.
    ///
    /// # Errors
    /// [`Error::rejected`](crate::error::Error::rejected) when this frame cannot be written in this framing (too long for its header).
    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<()>;

    /// The framing's own bytes before and behind each frame that `decode` found.
    fn overhead(&self) -> (u32, u32) {
        (0, 0)
    }

    /// Where, in an oversized frame's bytes, the next frame begins; none when that is not in `input`. What is searched in vain is
    /// gone but for its last [`RESYNC_BYTES`], which are shown again with the next bytes.
    /// Framings whose header tells the length need not care: the framework skips exactly that many bytes.
    fn resync(&self, input: &[u8]) -> Option<usize> {
        let _ = input;
        None
    }

    /// A text that two framings share exactly when they encode frames the same, such as `delimited:0a`. With it, a sink
    /// that speaks the source's framing writes payloads as they are. None: always encode anew.
    fn wire(&self) -> Option<Arc<str>> {
        None
    }

    /// True when what is left at the end of the stream is a frame (a last line without its newline). It is encoded anew,
    /// so that all frames of the stream have the same layout.
    fn rest_is_frame(&self) -> bool {
        false
    }
}
