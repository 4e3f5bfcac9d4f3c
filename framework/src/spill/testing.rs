//! Batches for the tests of the store's parts.

use crate::batch::{Batch, BatchBuilder, Layout, Numbers};
use crate::receipt::Receipt;

/// A batch of newline-delimited frames, numbered from `first` on.
pub(crate) fn batch_of<'a>(first: u64, frames: impl IntoIterator<Item = &'a str>) -> Batch {
    let numbers = Numbers::new("source".into(), 42, 0, 0);
    let layout = Layout {
        head: 0,
        tail: 1,
        wire: Some("delimited:0a".into()),
    };
    let mut builder = BatchBuilder::with_layout(&numbers, layout);
    for (index, frame) in frames.into_iter().enumerate() {
        builder.push_span(format!("{frame}\n").as_bytes(), first + index as u64);
    }
    builder.finish(1_234, None, Receipt::none())
}

/// The frames of a batch as text.
pub(crate) fn text(batch: &Batch) -> Vec<String> {
    batch
        .frames()
        .map(|frame| String::from_utf8_lossy(frame.bytes()).into_owned())
        .collect()
}
