//! The record: what one key of a segment holds. Consecutive batches ("pieces") packed together, checked by a CRC.
//!
//! ```text
//! | "AQR" | version u8 | header, bincode 2 standard: position, after, pieces | piece bodies ... | CRC32C of all before, u32 LE |
//!                                                                          /                  \
//!                                            | frame lengths as LEB128 varints | payload of the frames |
//! ```
//! The key is the position of the first frame. It is repeated in the header, so that a value under a wrong key is noticed. `after` is where the
//! record before ended: positions in between were settled before they were written, and a record that is missing is noticed too. The
//! first bytes let records be found in a segment whose own structure is damaged. Version 1 had neither the mark nor `after`.
//!
//! A value is at most [`RECORD_BYTES`] long, because redb rounds a value and its 16 bytes of overhead up to a power of two pages;
//! a single frame that does not fit gets a record of its own.

mod pack;
#[cfg(test)]
mod tests;
mod varint;

use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{Attributes, Batch, FrameAttribute, Layout, Numbers, Run, pinned_beside};
use crate::receipt::Receipt;
use crate::telemetry::{TraceContext, Wait};

pub use pack::Packer;
pub(crate) use pack::slice;

/// The longest value that packs several frames, in bytes.
pub const RECORD_BYTES: usize = 262_144 - OVERHEAD_BYTES;

/// What redb adds to a value of a `u64 -> bytes` table before it rounds up to 4096 * 2^n.
const OVERHEAD_BYTES: usize = 16;
const VERSION: u8 = 2;
/// What a record begins with.
pub(super) const MARK: [u8; 4] = [b'A', b'Q', b'R', VERSION];
const CRC_BYTES: usize = 4;
/// Bounds what a header can make us allocate.
const HEADER_LIMIT: usize = 1 << 30;
/// The same where it comes over the network.
const FOREIGN_HEADER_LIMIT: usize = 64 << 20;

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
    after: u64,
    pieces: Vec<Piece>,
}

/// As version 1 wrote it.
#[derive(Debug, bincode::Encode, bincode::Decode)]
struct Header1 {
    position: u64,
    pieces: Vec<Piece>,
}

/// A record that was checked.
#[derive(Debug)]
pub struct Record {
    /// Where the record before ended; unknown of version 1.
    pub after: Option<u64>,
    /// Its batches, each with the position of its first frame, ascending.
    pub batches: Vec<(u64, Batch)>,
}

impl Record {
    /// The position behind its last frame.
    pub fn end(&self) -> u64 {
        self.batches
            .last()
            .map_or(0, |(position, batch)| position + batch.len() as u64)
    }
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

/// Checks a record and cuts it into its batches. The payloads share `value`.
///
/// # Errors
/// When anything in it is not as it was written, under this very `key`.
pub fn decode(key: u64, value: &Bytes) -> Result<Record, RecordError> {
    check(value)?;
    decode_checked(key, value)
}

/// [`decode`] of what somebody else sent: what it makes us allocate beside the value is at most 64 MiB. A record whose batches have more attributes is refused.
///
/// # Errors
/// As there.
pub fn decode_foreign(key: u64, value: &Bytes) -> Result<Record, RecordError> {
    check(value)?;
    let body = &value[..value.len() - CRC_BYTES];
    let header = body.strip_prefix(&MARK);
    let header = header.ok_or_else(|| RecordError::Version(body.get(3).copied().unwrap_or(0)))?;
    let config = bincode::config::standard().with_limit::<FOREIGN_HEADER_LIMIT>();
    let header = bincode::decode_from_slice(header, config);
    let (header, length) = header.map_err(|_| RecordError::Malformed("header"))?;
    cut(key, value, header, MARK.len() + length)
}

fn check(value: &[u8]) -> Result<(), RecordError> {
    let body_end = value.len().checked_sub(CRC_BYTES).filter(|end| *end > 0);
    let (checked, crc) = value.split_at(body_end.ok_or(RecordError::Truncated)?);
    if crc32c::crc32c(checked).to_le_bytes() != crc {
        return Err(RecordError::Checksum);
    }
    Ok(())
}

/// The rest of [`decode`], once the checksum has been found right.
pub(super) fn decode_checked(key: u64, value: &Bytes) -> Result<Record, RecordError> {
    let (header, bodies) = header(&value[..value.len().saturating_sub(CRC_BYTES)])?;
    cut(key, value, header, bodies)
}

/// Cuts the bodies, which begin at `at`, into the batches of the header.
fn cut(key: u64, value: &Bytes, header: Header, mut at: usize) -> Result<Record, RecordError> {
    let body_end = value.len().saturating_sub(CRC_BYTES);
    if header.position != key {
        return Err(RecordError::Malformed("position"));
    }
    let mut position = key;
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
        let end = position.checked_add(frames).ok_or(RecordError::Malformed("position"))?;
        (at, position) = (payload_end, end);
    }
    let after = (value[0] != 1).then_some(header.after);
    Ok(Record { after, batches })
}

/// The header of a record of any version, and how long it is with what stands before it.
fn header(value: &[u8]) -> Result<(Header, usize), RecordError> {
    let malformed = |_| RecordError::Malformed("header");
    if let Some(header) = value.strip_prefix(&MARK) {
        let (header, length) = bincode::decode_from_slice(header, config()).map_err(malformed)?;
        return Ok((header, MARK.len() + length));
    }
    match value {
        [1, header @ ..] => {
            let (header, length): (Header1, usize) = bincode::decode_from_slice(header, config()).map_err(malformed)?;
            let header = Header {
                after: header.position,
                position: header.position,
                pieces: header.pieces,
            };
            Ok((header, 1 + length))
        }
        [b'A', b'Q', b'R', version, ..] | [version, ..] => Err(RecordError::Version(*version)),
        [] => Err(RecordError::Truncated),
    }
}

/// The key and the length of a record that may begin with these bytes, going by its header alone; its checksum says whether it is one.
pub(super) fn extent(bytes: &[u8]) -> Option<(u64, u64)> {
    let (header, length) = header(bytes.starts_with(&MARK).then_some(bytes)?).ok()?;
    let pieces = header.pieces.iter();
    let bodies: u64 = pieces
        .map(|piece| u64::from(piece.lengths_bytes) + u64::from(piece.payload_bytes))
        .sum();
    Some((header.position, length as u64 + bodies + CRC_BYTES as u64))
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

    fn into_batch(mut self, lengths: &[u8], payload: Bytes) -> Result<Batch, RecordError> {
        let framing_bytes = self.head.checked_add(self.tail);
        let ends = framing_bytes
            .and_then(|least| varint::ends(lengths, self.frames as usize, least))
            .filter(|ends| ends.last().copied().unwrap_or(0) as usize == payload.len())
            .ok_or(RecordError::Malformed("frame lengths"))?;
        let named = self.source.len() + self.wire.as_ref().map_or(0, String::len);
        let numbers = Numbers::from_runs(self.source.into(), self.epoch, &self.runs);
        let mut runs = self.runs.iter();
        let overflows = runs.any(|run| run.first.checked_add(run.count.saturating_sub(1).into()).is_none());
        if overflows || numbers.len() != ends.len() {
            return Err(RecordError::Malformed("frame numbers"));
        }
        if self.frame_attributes.iter().any(|own| own.frame >= self.frames) {
            return Err(RecordError::Malformed("attributes"));
        }
        // They are looked up by halving. Ours are sorted already.
        self.frame_attributes.sort_by_key(|own| own.frame);
        let mut attributes = Attributes::of_batch(self.batch_attributes);
        for own in self.frame_attributes {
            attributes.push_frame(own);
        }
        Ok(Batch {
            pinned: payload.len() + named + pinned_beside(&ends, &numbers, &attributes),
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
            position: None,
            receipt: Receipt::none(),
        })
    }
}
