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

#[test]
fn what_comes_back_in_bulk_is_kept_while_as_much_is_on_loan() {
    let pool = Pool::new(16, 1);
    let marked = || {
        let mut buffer = pool.take();
        buffer.as_mut_slice()[0] = 7;
        buffer
    };
    let (first, second): (Vec<_>, Vec<_>) = ((0..3).map(|_| marked()).collect(), (0..3).map(|_| marked()).collect());
    drop(first);
    let kept: Vec<_> = (0..4).map(|_| pool.take()).collect();
    assert_eq!(kept.iter().filter(|buffer| buffer.as_ref()[0] == 7).count(), 3);
    drop((second, kept));
    let kept: Vec<_> = (0..4).map(|_| pool.take()).collect();
    assert_eq!(
        kept.iter().filter(|buffer| buffer.as_ref()[0] == 7).count(),
        1,
        "nothing is on loan"
    );
}

#[test]
fn numbers_with_gaps_are_read_forward_backward_and_past_the_end() {
    let runs = [
        Run { first: 10, count: 2 },
        Run { first: 20, count: 1 },
        Run { first: 5, count: 2 },
    ];
    let numbers = Numbers::from_runs("s".into(), 1, &runs);
    let mut cursor = numbers.cursor();
    let read: Vec<_> = [0, 1, 2, 3, 4, 5, 0, 4, 2].map(|index| cursor.get(index)).to_vec();
    let expected = [
        Some(10),
        Some(11),
        Some(20),
        Some(5),
        Some(6),
        None,
        Some(10),
        Some(6),
        Some(20),
    ];
    assert_eq!(read, expected);
    let mut copied = numbers.empty();
    cursor.copy_range(1, 4, &mut copied);
    assert_eq!(
        copied.runs(),
        [
            Run { first: 11, count: 1 },
            Run { first: 20, count: 1 },
            Run { first: 5, count: 1 }
        ]
    );
}

#[test]
fn a_newer_attribute_replaces_an_older_one_and_frame_order_stays() {
    let of = |frame, key: &str, value: &str| FrameAttribute {
        frame,
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let mut attributes = Attributes::default();
    attributes.push_frame(of(0, "id", "old"));
    attributes.push_frame(of(2, "peer", "p"));
    attributes.merge_frames(vec![of(0, "id", "new"), of(1, "id", "one"), of(2, "id", "two")]);
    let expected = [
        of(0, "id", "new"),
        of(1, "id", "one"),
        of(2, "peer", "p"),
        of(2, "id", "two"),
    ];
    assert_eq!(attributes.frame_attributes(), expected);
    assert_eq!(attributes.get(0, "id"), Some("new"));
    assert_eq!(attributes.range(1, 3).len(), 3);
}

#[test]
fn what_is_left_of_a_batch_is_told_by_its_least_number() {
    let runs = [(10, 3), (20, 2), (15, 1)].map(|(first, count)| super::Run { first, count });
    let numbers = Numbers::from_runs("s".into(), 1, &runs);
    let least: Vec<_> = (0..=6).map(|index| numbers.least_from(index)).collect();
    assert_eq!(
        least,
        [10, 11, 12, 15, 15, 15]
            .map(Some)
            .into_iter()
            .chain([None])
            .collect::<Vec<_>>()
    );
    for (number, count) in [(0, 0), (10, 0), (11, 1), (13, 3), (20, 3), (21, 4), (u64::MAX, 6)] {
        assert_eq!(numbers.count_below(number), count, "below {number}");
    }
}

#[test]
fn numbers_at_the_end_of_their_range_join_no_others() {
    let mut numbers = Numbers::new("s".into(), 1, 0, 0);
    for number in [u64::MAX - 1, u64::MAX, 0, 1] {
        numbers.push(number);
    }
    let (high, low) = (u64::MAX - 1, 0);
    assert_eq!(
        numbers.runs(),
        [Run { first: high, count: 2 }, Run { first: low, count: 2 }]
    );
    numbers.push_run(Run {
        first: 2,
        count: u32::MAX,
    });
    let read = [1, 2, 4].map(|index| numbers.get(index));
    assert_eq!(read, [Some(u64::MAX), Some(0), Some(2)]);
    assert_eq!(numbers.bounds(), Some((high, 1 + u64::from(u32::MAX))));
}

/// Frames of one byte with an attribute of 1,000 each.
fn described(frames: u64) -> Batch {
    let mut builder = BatchBuilder::new(&Numbers::new("s".into(), 1, 0, 0));
    for number in 0..frames {
        builder.push_span(b"x", number);
        builder.attribute("key", &"v".repeat(1000));
    }
    builder.finish(0, None, Receipt::none())
}

#[test]
fn attributes_cost_demand_however_they_came_to_a_batch() {
    let batch = described(100);
    assert!((100_000..130_000).contains(&batch.cost()), "{}", batch.cost());
    let part = batch.part(10..20);
    assert!((10_000..13_000).contains(&part.cost()), "{}", part.cost());
    let own = |frame| FrameAttribute {
        frame,
        key: "key".to_owned(),
        value: "w".repeat(2000),
    };
    let mut merged = batch.share(Receipt::none());
    merged.merge_attributes((0..50).map(own).collect());
    let grown = merged.cost() - batch.cost();
    assert!(
        (50_000..60_000).contains(&grown),
        "half of them are twice as long: {grown}"
    );
    let mut all = BatchBuilder::new(&batch.numbers);
    all.batch_attributes(Attributes::of_batch([("peer".to_owned(), "p".repeat(5000))]));
    all.push_range(&batch, 0, 50);
    all.push_span(b"y", 50);
    all.inherit(&batch.frame(50));
    let cost = all.finish(0, None, Receipt::none()).cost();
    assert!((56_000..65_000).contains(&cost), "{cost}");
}
