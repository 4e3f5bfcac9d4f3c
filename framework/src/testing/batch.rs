//! Batches made of text.

use crate::batch::{Batch, BatchBuilder, Layout, Numbers};
use crate::receipt::Receipt;

/// A batch of bare frames, numbered from `first` on, as the source `test` would make it.
pub fn batch<F: AsRef<[u8]>>(frames: impl IntoIterator<Item = F>, first: u64, receipt: Receipt) -> Batch {
    build(frames, Layout::default(), first, receipt)
}

/// The same as lines: each frame with the newline behind it that the framing `delimited` leaves in the payload.
pub fn lines<F: AsRef<[u8]>>(frames: impl IntoIterator<Item = F>, first: u64, receipt: Receipt) -> Batch {
    let layout = Layout {
        head: 0,
        tail: 1,
        wire: Some("delimited:0a".into()),
    };
    build(frames, layout, first, receipt)
}

fn build<F: AsRef<[u8]>>(frames: impl IntoIterator<Item = F>, layout: Layout, first: u64, receipt: Receipt) -> Batch {
    let tail: &[u8] = if layout.tail == 1 { b"\n" } else { b"" };
    let mut builder = BatchBuilder::with_layout(&Numbers::new("test".into(), 1, first, 0), layout);
    for (frame, number) in frames.into_iter().zip(first..) {
        builder.push_span(&[frame.as_ref(), tail].concat(), number);
    }
    builder.finish(0, None, receipt)
}
