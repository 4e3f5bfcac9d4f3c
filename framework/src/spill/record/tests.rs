use super::*;
use crate::batch::BatchBuilder;
use crate::spill::testing::{batch_of, text};

fn pack(batches: &[(u64, Batch)]) -> Vec<(u64, Bytes)> {
    let mut packer = Packer::default();
    let mut records = Vec::new();
    let mut emit = |key, value: &[u8]| {
        records.push((key, Bytes::copy_from_slice(value)));
        Ok::<_, ()>(())
    };
    for (position, batch) in batches {
        packer.push(*position, batch, &mut emit).unwrap();
    }
    packer.flush(&mut emit).unwrap();
    records
}

fn unpack(records: &[(u64, Bytes)]) -> Vec<(u64, Batch)> {
    records
        .iter()
        .flat_map(|(key, value)| decode(*key, value).unwrap().batches)
        .collect()
}

#[test]
fn everything_a_batch_carries_comes_back() {
    let mut batch = batch_of(7, ["a", "", "ccc"]);
    batch.trace = Some(TraceContext {
        trace_id: u128::MAX - 1,
        span_id: NonZeroU64::MAX,
    });
    batch.wait.since_ns = 11;
    batch.attributes.set_batch("peer", "127.0.0.1:9");
    batch.attributes.push_frame(FrameAttribute {
        frame: 2,
        key: "id".into(),
        value: "x".into(),
    });
    let records = pack(&[(100, batch.share(Receipt::none()))]);
    let [(position, back)] = &unpack(&records)[..] else {
        panic!("one piece")
    };
    assert_eq!(*position, 100);
    assert_eq!(
        (&back.payload, &back.ends, &back.layout, &back.numbers),
        (&batch.payload, &batch.ends, &batch.layout, &batch.numbers)
    );
    assert_eq!(
        (back.trace, back.received_ns, back.wait, &back.attributes),
        (batch.trace, batch.received_ns, batch.wait, &batch.attributes)
    );
}

#[test]
fn small_batches_share_a_record_and_large_ones_are_split() {
    let line = "x".repeat(99);
    let large = batch_of(0, std::iter::repeat_n(line.as_str(), 10_000));
    let records = pack(&[
        (0, large),
        (10_000, batch_of(10_000, ["a"])),
        (10_001, batch_of(10_001, ["b"])),
    ]);
    assert!(records.iter().all(|(_, value)| value.len() <= RECORD_BYTES));
    assert_eq!(records.len(), 4);
    let full = records.iter().take(3).map(|(_, value)| value.len()).min().unwrap();
    assert!(full > RECORD_BYTES - 200, "records are filled: {full}");
    let back = unpack(&records);
    assert_eq!(text(&back[back.len() - 1].1), ["b"]);
    let frames: usize = back.iter().map(|(_, batch)| batch.len()).sum();
    assert_eq!(frames, 10_002);
    assert_eq!(back.last().unwrap().1.frame(0).number(), 10_001);
}

#[test]
fn a_frame_larger_than_a_record_gets_one_of_its_own() {
    let long = "y".repeat(1_000_000);
    let records = pack(&[(5, batch_of(5, ["a", &long, "b"]))]);
    let keys: Vec<_> = records.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, [5, 6, 7]);
    let back: Vec<String> = unpack(&records).iter().flat_map(|(_, batch)| text(batch)).collect();
    assert_eq!(back, ["a".to_owned(), long, "b".to_owned()]);
}

#[test]
fn a_gap_in_positions_begins_a_new_record() {
    let records = pack(&[(5, batch_of(5, ["a"])), (9, batch_of(9, ["b"]))]);
    let positions: Vec<_> = unpack(&records).iter().map(|(position, _)| *position).collect();
    assert_eq!((records.len(), positions), (2, vec![5, 9]));
}

#[test]
fn attributes_of_single_frames_stay_with_them_when_a_batch_is_split() {
    let numbers = Numbers::new("s".into(), 1, 0, 0);
    let mut builder = BatchBuilder::new(&numbers);
    for number in 0..3_000 {
        builder.push_span(&[b'z'; 60], number);
        builder.attribute("id", &format!("{number:060}"));
    }
    let records = pack(&[(0, builder.finish(0, None, Receipt::none()))]);
    assert!(records.len() > 1 && records.iter().all(|(_, value)| value.len() <= RECORD_BYTES));
    for (_, batch) in unpack(&records) {
        for frame in batch.frames() {
            assert_eq!(frame.attribute("id"), Some(format!("{:060}", frame.number()).as_str()));
        }
    }
}

#[test]
fn every_flipped_byte_and_every_truncation_is_noticed() {
    let (key, value) = pack(&[(3, batch_of(3, ["one", "two", "three"]))]).remove(0);
    for at in 0..value.len() {
        let mut bad = value.to_vec();
        bad[at] ^= 0x10;
        assert!(decode(key, &bad.into()).is_err(), "flip at {at}");
        assert!(decode(key, &value.slice(..at)).is_err(), "cut at {at}");
    }
    assert_eq!(decode(4, &value).unwrap_err(), RecordError::Malformed("position"));
}

#[test]
fn a_batch_that_is_not_traced_keeps_since_when_it_has_waited() {
    let mut batch = batch_of(7, ["a"]);
    batch.wait.since_ns = 11;
    let back = unpack(&pack(&[(0, batch)])).remove(0).1;
    assert_eq!((back.trace, back.wait.since_ns), (None, 11));
}

#[test]
fn any_numbers_of_frames_come_back_beside_any_others() {
    let numbers = [1, 2, u64::MAX - 1, u64::MAX, 0, 1];
    let mut builder = BatchBuilder::new(&Numbers::new("s".into(), u64::MAX, 0, 0));
    for number in numbers {
        builder.push_span(b"x", number);
    }
    let batch = builder.finish(u64::MAX, None, Receipt::none());
    let back = unpack(&pack(&[(0, batch_of(0, ["a"])), (1, batch), (7, batch_of(1, ["b"]))]));
    let read: Vec<_> = back[1].1.frames().map(|frame| frame.number()).collect();
    assert_eq!((back.len(), read), (3, numbers.to_vec()));
    assert_eq!((back[1].1.numbers.epoch, back[1].1.received_ns), (u64::MAX, u64::MAX));
}

#[test]
fn an_attribute_of_a_frame_that_is_not_there_is_refused() {
    let own = |frame| FrameAttribute {
        frame,
        key: "id".into(),
        value: "x".into(),
    };
    let packed = |frames: &[u32]| {
        let mut batch = batch_of(0, ["a", "b"]);
        frames.iter().for_each(|frame| batch.attributes.push_frame(own(*frame)));
        pack(&[(0, batch)]).remove(0).1
    };
    let refused = decode(0, &packed(&[0, 2])).unwrap_err();
    assert_eq!(refused, RecordError::Malformed("attributes"));
    let batch = decode(0, &packed(&[1, 0])).unwrap().batches.remove(0).1;
    assert_eq!(batch.attributes.frame_attributes(), [own(0), own(1)]);
}

#[test]
fn what_a_record_brings_costs_demand() {
    let line = |number: u64| (2 * number, [b'x'], "v".repeat(1000));
    let mut builder = BatchBuilder::new(&Numbers::new("s".into(), 1, 0, 0));
    for (number, bytes, value) in (0..200).map(line) {
        builder.push_span(&bytes, number);
        builder.attribute("key", &value);
    }
    let made = builder.finish(0, None, Receipt::none());
    let back = unpack(&pack(&[(0, made.share(Receipt::none()))])).remove(0).1;
    assert!(
        (200_000..made.cost()).contains(&back.cost()),
        "{} of {}",
        back.cost(),
        made.cost()
    );
}
