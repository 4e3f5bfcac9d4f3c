//! Packs batches into records: consecutive ones together, large ones split at frame boundaries.

use std::sync::Arc;

use super::{CRC_BYTES, Header, MARK, Piece, RECORD_BYTES, config, varint};
use crate::batch::{Batch, FrameAttribute, pinned_beside};
use crate::receipt::Receipt;

/// The header's bytes beside the pieces: mark, position, after, number of pieces, CRC; each at its longest.
const FIXED_BYTES: usize = MARK.len() + 3 * U64_BYTES + CRC_BYTES;
/// The longest encodings of the integers a header holds.
const U32_BYTES: usize = 5;
const U64_BYTES: usize = 9;
const U128_BYTES: usize = 17;

/// Collects pieces and cuts records. What is pushed comes out in the same order.
#[derive(Debug, Default)]
pub struct Packer {
    pieces: Vec<(Batch, Piece)>,
    position: u64,
    frames: u64,
    /// Where the last record ended.
    after: u64,
    bytes: usize,
    value: Vec<u8>,
}

impl Packer {
    /// Adds a batch; `emit` gets the key and value of every record that became full.
    /// A gap between its position and what was pushed before begins a new record. The batch's bytes are shared until then.
    ///
    /// # Errors
    /// Those of `emit`; what was not emitted yet is kept.
    pub fn push<E>(
        &mut self,
        position: u64,
        batch: &Batch,
        emit: &mut impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if position != self.position + self.frames {
            self.flush(emit)?;
        }
        let mut from = 0;
        while from < batch.len() {
            let (to, bytes) = self.fit(batch, from);
            if to == from && !self.pieces.is_empty() {
                self.flush(emit)?;
                continue;
            }
            // A frame too large for any shared record leaves no room behind it.
            let (to, bytes) = if to == from {
                (to + 1, RECORD_BYTES)
            } else {
                (to, bytes)
            };
            self.add(position + from as u64, batch, from, to, bytes);
            from = to;
        }
        Ok(())
    }

    /// Cuts a record from whatever there is.
    ///
    /// # Errors
    /// Those of `emit`; the record is then gone.
    pub fn flush<E>(&mut self, emit: &mut impl FnMut(u64, &[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.pieces.is_empty() {
            return Ok(());
        }
        let (batches, pieces): (Vec<_>, Vec<_>) = self.pieces.drain(..).unzip();
        let header = Header {
            position: self.position,
            after: self.after.min(self.position),
            pieces,
        };
        self.after = self.position + self.frames;
        (self.frames, self.bytes) = (0, 0);
        self.value.clear();
        self.value.extend_from_slice(&MARK);
        // Encoding these plain types into memory cannot fail; a record without its header would be found by its CRC.
        let _ = bincode::encode_into_std_write(&header, &mut self.value, config());
        for batch in &batches {
            write_body(&mut self.value, batch);
        }
        let crc = crc32c::crc32c(&self.value);
        self.value.extend_from_slice(&crc.to_le_bytes());
        emit(header.position, &self.value)
    }

    /// Forgets what was not cut yet; the next record follows one that ended at `after`.
    pub fn restart(&mut self, after: u64) {
        self.pieces.clear();
        (self.frames, self.bytes, self.after) = (0, 0, after);
    }

    fn add(&mut self, position: u64, batch: &Batch, from: usize, to: usize, bytes: usize) {
        if self.pieces.is_empty() {
            (self.position, self.bytes) = (position, FIXED_BYTES);
        }
        let part = slice(batch, from, to);
        let lengths = lengths(&part).map(varint::length).sum();
        let piece = Piece::of(&part, lengths);
        self.bytes += bytes;
        self.frames += part.len() as u64;
        self.pieces.push((part, piece));
    }

    /// Up to which frame, from `from` on, the batch fits into the record, and at most how many bytes that part takes.
    fn fit(&self, batch: &Batch, from: usize) -> (usize, usize) {
        let room = RECORD_BYTES.saturating_sub(self.bytes.max(FIXED_BYTES));
        let head = head_bytes(batch);
        let all = batch.attributes.frame_attributes();
        let mut own = all[all.partition_point(|own| (own.frame as usize) < from)..]
            .iter()
            .peekable();
        let (mut to, mut bytes) = (from, head);
        while to < batch.len() {
            let length = batch.span(to).len();
            let mut needed = bytes + length + varint::length(length as u32);
            while let Some(own) = own.next_if(|own| own.frame as usize == to) {
                needed += U32_BYTES + text_bytes(&own.key) + text_bytes(&own.value);
            }
            if needed > room {
                break;
            }
            (to, bytes) = (to + 1, needed);
        }
        (to, bytes)
    }
}

/// The most a piece of this batch takes beside its frames and their own attributes.
fn head_bytes(batch: &Batch) -> usize {
    let attributes: usize = batch
        .attributes
        .batch_attributes()
        .map(|(key, value)| text_bytes(key) + text_bytes(value))
        .sum();
    let wire = batch.layout.wire.as_deref().map_or(0, text_bytes);
    let runs = U64_BYTES + batch.numbers.runs().len() * (U64_BYTES + U32_BYTES);
    let numbers = text_bytes(&batch.numbers.source) + U64_BYTES + runs;
    let counts = 5 * U32_BYTES + 2 * U64_BYTES;
    let options = 2 + wire + U128_BYTES + U64_BYTES;
    numbers + counts + options + U64_BYTES + attributes
}

fn text_bytes(text: &str) -> usize {
    U64_BYTES + text.len()
}

/// The frames `from .. to` of a batch, sharing its bytes; its receipt is none.
pub(crate) fn slice(batch: &Batch, from: usize, to: usize) -> Batch {
    if from == 0 && to == batch.len() && batch.span(to - 1).end == batch.payload.len() {
        return batch.share(Receipt::none());
    }
    let mut part = batch.share(Receipt::none());
    let (start, end) = (batch.span(from).start, batch.span(to - 1).end);
    part.payload = batch.payload.slice(start..end);
    part.ends = Arc::new(batch.ends[from..to].iter().map(|at| at - start as u32).collect());
    part.position = batch.position.map(|position| position.behind(from));
    part.numbers = batch.numbers.empty();
    batch.numbers.cursor().copy_range(from, to, &mut part.numbers);
    part.attributes = batch.attributes.batch_only();
    for own in batch.attributes.frame_attributes() {
        if (from..to).contains(&(own.frame as usize)) {
            part.attributes.push_frame(FrameAttribute {
                frame: own.frame - from as u32,
                ..own.clone()
            });
        }
    }
    part.pinned = part.payload.len() + pinned_beside(&part.ends, &part.numbers, &part.attributes);
    part
}

fn lengths(batch: &Batch) -> impl Iterator<Item = u32> + '_ {
    let mut start = 0;
    batch.ends.iter().map(move |end| {
        let length = end - start;
        start = *end;
        length
    })
}

fn write_body(into: &mut Vec<u8>, batch: &Batch) {
    for length in lengths(batch) {
        varint::push(into, length);
    }
    into.extend_from_slice(&batch.payload);
}
