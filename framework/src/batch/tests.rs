use super::*;
use crate::receipt::Receipt;

fn lines(text: &str) -> Batch {
    let numbers = Numbers::new("s".into(), 1, 10, 0);
    let layout = Layout {
        head: 0,
        tail: 1,
        wire: Some("delimited:0a".into()),
    };
    let mut builder = BatchBuilder::with_layout(&numbers, layout);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        builder.push_span(line.as_bytes(), 10 + index as u64);
    }
    builder.finish(0, None, Receipt::none())
}

#[test]
fn frames_leave_the_delimiter_in_the_payload() {
    let batch = lines("one\ntwo\n\n");
    let frames: Vec<_> = batch.frames().map(|frame| frame.bytes().to_vec()).collect();
    assert_eq!(frames, [b"one".to_vec(), b"two".to_vec(), b"".to_vec()]);
    assert_eq!(batch.frame(2).number(), 12);
}

#[test]
fn a_filtered_batch_keeps_its_gap_as_two_runs() {
    let batch = lines("a\nb\nc\nd\n");
    let mut kept = BatchBuilder::with_layout(&batch.numbers, batch.layout.clone());
    kept.push_range(&batch, 0, 1);
    kept.push_range(&batch, 2, 4);
    let kept = kept.finish(0, None, Receipt::none());
    assert_eq!(&kept.payload[..], b"a\nc\nd\n");
    assert_eq!(
        kept.numbers.runs(),
        [Run { first: 10, count: 1 }, Run { first: 12, count: 2 }]
    );
    assert_eq!(kept.frame(1).bytes(), b"c");
}

#[test]
fn a_buffer_returns_to_its_pool_when_the_last_share_is_gone() {
    let pool = Pool::new(16, 1);
    let mut buffer = pool.take();
    buffer.as_mut_slice()[0] = 7;
    let shared = buffer.into_shared();
    let slice = shared.slice(0..1);
    drop(shared);
    assert_eq!(pool.take().as_ref()[0], 0, "still shared: a fresh buffer");
    drop(slice);
    assert_eq!(
        pool.take().as_ref()[0],
        0,
        "one spare only: the fresh one came back first"
    );
}
