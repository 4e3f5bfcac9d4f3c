//! The record: what one key of a segment holds. Consecutive batches ("pieces") packed together, checked by a CRC.
//!
//! ```text
//! | version u8 | header, bincode 2 standard: position, pieces | piece bodies ... | CRC32C of all before, u32 LE |
//!                                                             /                  \
//!                               | frame lengths as LEB128 varints | payload of the frames |
//! ```
//! The key is the position of the first frame. It is repeated in the header, so that a value under a wrong key is noticed.
//! A value is at most [`RECORD_BYTES`] long, because redb rounds a value and its 16 bytes of overhead up to a power of two pages;
//! a single frame that does not fit gets a record of its own.

mod pack;
#[cfg(test)]
mod tests;
mod varint;

use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{Attributes, Batch, FrameAttribute, Layout, Numbers, Run};
use crate::receipt::Receipt;
use crate::telemetry::{TraceContext, Wait};

pub use pack::Packer;
pub(crate) use pack::slice;

/// The longest value that packs several frames, in bytes.
pub const RECORD_BYTES: usize = 262_144 - OVERHEAD_BYTES;

/// What redb adds to a value of a `u64 -> bytes` table before it rounds up to 4096 * 2^n.
const OVERHEAD_BYTES: usize = 16;
const VERSION: u8 = 1;
const CRC_BYTES: usize = 4;
/// Bounds what a header can make us allocate.
const HEADER_LIMIT: usize = 1 << 30;

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RecordError {
    /// Its checksum does not match: bits have changed on disk.
    #[error("its checksum does not match")]
    Checksum,
    /// It is shorter than the smallest record.
    #[error("it is truncated")]
    Truncated,
    /// A newer version of this program wrote it.
    #[error("its version is {0}, this program reads up to {VERSION}")]
    Version(u8),
    /// The checksum is right, the content makes no sense.
    #[error("its {0} is malformed")]
    Malformed(&'static str),
}

#[derive(Debug, bincode::Encode, bincode::Decode)]
struct Header {
    position: u64,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, bincode::Encode, bincode::Decode)]
struct Piece {
    source: String,
    epoch: u64,
    runs: Vec<Run>,
    frames: u32,
    lengths_bytes: u32,
    payload_bytes: u32,
    head: u32,
    tail: u32,
    wire: Option<String>,
    batch_attributes: Vec<(String, String)>,
    frame_attributes: Vec<FrameAttribute>,
    standing: Option<Standing>,
    received_ns: u64,
}

/// The trace of a batch, and since when it has waited.
#[derive(Debug, Clone, Copy, bincode::Encode, bincode::Decode)]
struct Standing {
    /// 0 when the batch is not traced.
    trace_id: u128,
    span_id: u64,
    since_ns: u64,
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<HEADER_LIMIT>()
}

/// Checks a record and cuts it into its batches, each with the position of its first frame. The payloads share `value`.
///
/// # Errors
/// When anything in it is not as it was written, under this very `key`.
pub fn decode(key: u64, value: &Bytes) -> Result<Vec<(u64, Batch)>, RecordError> {
    let body_end = value
        .len()
        .checked_sub(CRC_BYTES)
        .filter(|end| *end > 0)
        .ok_or(RecordError::Truncated)?;
    let (checked, crc) = value.split_at(body_end);
    if crc32c::crc32c(checked).to_le_bytes() != crc {
        return Err(RecordError::Checksum);
    }
    if checked[0] != VERSION {
        return Err(RecordError::Version(checked[0]));
    }
    let (header, length): (Header, usize) =
        bincode::decode_from_slice(&checked[1..], config()).map_err(|_| RecordError::Malformed("header"))?;
    if header.position != key {
        return Err(RecordError::Malformed("position"));
    }
    let (mut at, mut position) = (1 + length, key);
    let mut batches = Vec::with_capacity(header.pieces.len());
    for piece in header.pieces {
        let lengths_end = at + piece.lengths_bytes as usize;
        let payload_end = lengths_end + piece.payload_bytes as usize;
        if payload_end > body_end {
            return Err(RecordError::Malformed("piece length"));
        }
        let frames = u64::from(piece.frames);
        let batch = piece.into_batch(&value[at..lengths_end], value.slice(lengths_end..payload_end))?;
        batches.push((position, batch));
        (at, position) = (payload_end, position + frames);
    }
    Ok(batches)
}

impl Standing {
    fn trace(self) -> Option<TraceContext> {
        (self.trace_id != 0).then_some(TraceContext {
            trace_id: self.trace_id,
            span_id: NonZeroU64::new(self.span_id)?,
        })
    }
}

impl Piece {
    fn of(batch: &Batch, lengths_bytes: usize) -> Self {
        Self {
            source: batch.numbers.source.to_string(),
            epoch: batch.numbers.epoch,
            runs: batch.numbers.runs().to_vec(),
            frames: batch.len() as u32,
            lengths_bytes: lengths_bytes as u32,
            payload_bytes: batch.payload.len() as u32,
            head: batch.layout.head,
            tail: batch.layout.tail,
            wire: batch.layout.wire.as_deref().map(str::to_owned),
            batch_attributes: batch
                .attributes
                .batch_attributes()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            frame_attributes: batch.attributes.frame_attributes().to_vec(),
            standing: Some(Standing {
                trace_id: batch.trace.map_or(0, |trace| trace.trace_id),
                span_id: batch.trace.map_or(0, |trace| trace.span_id.get()),
                since_ns: batch.wait.since_ns,
            }),
            received_ns: batch.received_ns,
        }
    }

    fn into_batch(self, lengths: &[u8], payload: Bytes) -> Result<Batch, RecordError> {
        let framing_bytes = self.head.saturating_add(self.tail);
        let ends = varint::ends(lengths, self.frames as usize, framing_bytes)
            .filter(|ends| ends.last().copied().unwrap_or(0) as usize == payload.len())
            .ok_or(RecordError::Malformed("frame lengths"))?;
        let numbers = Numbers::from_runs(self.source.into(), self.epoch, &self.runs);
        if numbers.len() != ends.len() {
            return Err(RecordError::Malformed("frame numbers"));
        }
        let mut attributes = Attributes::of_batch(self.batch_attributes);
        for own in self.frame_attributes {
            attributes.push_frame(own);
        }
        Ok(Batch {
            pinned: payload.len() + ends.capacity() * size_of::<u32>(),
            payload,
            ends: Arc::new(ends),
            layout: Layout {
                head: self.head,
                tail: self.tail,
                wire: self.wire.map(Into::into),
            },
            numbers,
            attributes,
            trace: self.standing.and_then(Standing::trace),
            received_ns: self.received_ns,
            wait: Wait {
                since_ns: self.standing.map_or(0, |standing| standing.since_ns),
                until_ns: 0,
            },
            receipt: Receipt::none(),
        })
    }
}
