//! Looking into a batch: which of its frames are meant.

use std::borrow::Cow;

use memchr::memmem;

use super::{FOUND_MAX, Found, Query, State, Wanted};
use crate::batch::Batch;
use crate::telemetry::{MESSAGE_ID, TraceContext};

/// The indexes of the frames that are meant, ascending.
fn indexes(batch: &Batch, query: &Query) -> Vec<usize> {
    match &query.wanted {
        Wanted::Number { source, seq } if **source == *batch.numbers.source => numbered(batch, *seq),
        Wanted::Number { .. } => Vec::new(),
        Wanted::Id(id) => identified(batch, query, id),
    }
}

/// An id stands in the frame's bytes, so a batch whose payload does not contain them costs one fast search. A frame that is followed carries its id
/// along, whatever became of its bytes. Where nobody knows how ids are read, every frame that contains the text is meant.
fn identified(batch: &Batch, query: &Query, id: &str) -> Vec<usize> {
    let carried = batch.attributes.frame_attributes().iter();
    let carried = carried.filter(|own| own.key == MESSAGE_ID && own.value == id);
    let mut indexes: Vec<_> = carried.map(|own| own.frame as usize).collect();
    let text = memmem::Finder::new(id);
    if text.find(&batch.payload).is_some() {
        let read = |bytes: &[u8]| {
            query
                .ids
                .as_ref()
                .is_none_or(|ids| ids.id(bytes).is_some_and(|own| own == id))
        };
        let meant = |bytes: &[u8]| text.find(bytes).is_some() && read(bytes);
        let frames = batch.frames().filter(|frame| meant(frame.bytes()));
        indexes.extend(frames.map(|frame| frame.index()).take(FOUND_MAX + 1));
        indexes.sort_unstable();
        indexes.dedup();
    }
    indexes.truncate(FOUND_MAX + 1);
    indexes
}

/// A processor may emit several frames under one number.
fn numbered(batch: &Batch, seq: u64) -> Vec<usize> {
    let (mut start, mut indexes) = (0, Vec::new());
    for run in batch.numbers.runs() {
        let inside = seq.checked_sub(run.first).filter(|at| *at < u64::from(run.count));
        indexes.extend(inside.map(|at| start + at as usize));
        start += run.count as usize;
    }
    indexes.truncate(FOUND_MAX + 1);
    indexes
}

/// The frames of a batch that are meant, with their indexes: at most one more than [`FOUND_MAX`].
///
/// `state` is what is being done with the batch, `since_ns` since when, in nanoseconds since 1970, where that is known.
pub fn look(batch: &Batch, query: &Query, state: &State, since_ns: Option<u64>) -> Vec<(usize, Found)> {
    let found = |index: usize| {
        let frame = batch.frame(index);
        let read = || query.ids.as_ref()?.id(frame.bytes()).map(Cow::into_owned);
        Found {
            source: frame.source().to_owned(),
            epoch: batch.numbers.epoch,
            seq: frame.number(),
            id: frame.attribute(MESSAGE_ID).map(str::to_owned).or_else(read),
            trace_id: batch.trace_id(),
            message_trace_id: frame.message_trace().map(TraceContext::id),
            received_ns: Some(batch.received_ns),
            since_ns,
            state: state.clone(),
            remark: None,
        }
    };
    let indexes = indexes(batch, query).into_iter();
    indexes.map(|index| (index, found(index))).collect()
}
