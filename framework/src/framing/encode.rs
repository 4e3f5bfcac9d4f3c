//! Whole batches in a sink's framing.

use std::ops::Range;

use super::DynFraming;
use crate::batch::Batch;
use crate::error::Error;

/// True when the batch's payload is already what `framing` would write: the sink writes it as it is.
pub fn is_wire_form(framing: &dyn DynFraming, batch: &Batch) -> bool {
    batch.layout.wire.is_some() && batch.layout.wire == framing.wire()
}

/// Appends `frames` of the batch to `out`, and to `ends` where each of them ends in `out`, in bytes, so that a
/// sender that was interrupted can resume at the frame that failed.
///
/// # Errors
/// The index in the batch of the first frame that cannot be written, with the reason. `out` and `ends` then hold
/// the frames before it, whole; go on behind it with `index + 1..batch.len()`.
///
/// # Panics
/// When `frames` reaches past the end of the batch.
pub fn encode_batch(
    framing: &dyn DynFraming,
    batch: &Batch,
    frames: Range<usize>,
    out: &mut Vec<u8>,
    ends: &mut Vec<u32>,
) -> Result<(), (usize, Error)> {
    for index in frames {
        let start = out.len();
        let frame = batch.frame(index).bytes();
        let end = framing.encode(frame, out).and_then(|()| {
            u32::try_from(out.len()).map_err(|_| {
                Error::rejected("a batch does not fit 4 GiB in this framing; send fewer frames in a batch")
            })
        });
        match end {
            Ok(end) => ends.push(end),
            Err(error) => {
                out.truncate(start);
                return Err((index, error));
            }
        }
    }
    Ok(())
}
