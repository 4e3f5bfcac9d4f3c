//! Frames past `max_frame_bytes`: always finite, always counted.

use proptest::prelude::*;

use super::*;

fn limits(max_frame_bytes: u64, on_oversize: OnOversize) -> Limits {
    Limits {
        max_frame_bytes,
        on_oversize,
    }
}

fn discarding(name: &str, settings: Value, max_frame_bytes: u64) -> Stream {
    Stream::limited(name, settings, limits(max_frame_bytes, OnOversize::Discard))
}

#[test]
fn an_oversized_line_is_discarded_to_its_delimiter_wherever_the_reads_end() {
    for (delimiter, bytes) in [
        ("\n", b"ab\nabcd\nabcde\n\nabcdefghijkl\nend\n".as_slice()),
        ("\r\n", b"ab\r\nabcd\r\nabcde\r\n\r\nabcdefghijk\r\r\nend\r\n"),
    ] {
        let kept: [&[u8]; 4] = [b"ab", b"abcd", b"", b"end"];
        let gone = 5 + 12 + 2 * delimiter.len() as u64;
        for size in 1..=bytes.len() {
            let mut stream = discarding("delimited", json!({ "delimiter": delimiter }), 4);
            stream.read_in_pieces(bytes, size);
            assert_eq!(stream.frames, kept, "{delimiter:?} in reads of {size}");
            let counters = stream.counters();
            assert_eq!(
                (counters.discarded_frames, counters.discarded_bytes),
                (2, gone),
                "{delimiter:?} in reads of {size}"
            );
        }
    }
}

#[test]
fn long_lines_kept_aside_are_discarded_too() {
    let long = vec![b'x'; 200_000];
    let bytes = [b"one<>".as_slice(), &long, b"<>two<>", &long[..50_000], b"<>"].concat();
    for size in [13, 1000, LEAD_BYTES - 1, LEAD_BYTES, 70_000, 300_000] {
        let mut stream = discarding("delimited", json!({ "delimiter": "<>" }), 50_000);
        stream.read_in_pieces(&bytes, size);
        let lengths: Vec<_> = stream.frames.iter().map(Vec::len).collect();
        assert_eq!(lengths, [3, 3, 50_000], "in reads of {size}");
        assert_eq!(stream.counters().discarded_bytes, 200_002);
        assert!(stream.cutter.partial_bytes() == 0);
    }
}

#[test]
fn an_endless_line_takes_no_more_memory_than_the_limit_and_a_read() {
    let mut stream = discarding("delimited", json!({}), 100_000);
    let read = vec![b'x'; 10_000];
    for _ in 0..1000 {
        stream.read(&read).unwrap();
        assert!(stream.cutter.partial_bytes() <= 110_000);
    }
    stream.finish();
    assert_eq!(stream.frames.len(), 0);
    assert_eq!(stream.counters().discarded_frames, 1);
    assert_eq!(stream.counters().discarded_bytes, 10_000_000);
}

#[test]
fn an_oversized_frame_with_a_header_is_skipped_exactly() {
    let settings = json!({ "header_bytes": 1 });
    let bytes = b"\x02ab\x05\x01\x01\x01\x01\x01\x03end";
    for size in 1..=bytes.len() {
        let mut stream = discarding("length_delimited", settings.clone(), 4);
        stream.read_in_pieces(bytes, size);
        assert_eq!(stream.frames, [b"ab".to_vec(), b"end".to_vec()], "in reads of {size}");
        assert_eq!(stream.counters().discarded_frames, 1);
        assert_eq!(stream.counters().discarded_bytes, 6);
    }
}

#[test]
fn a_length_past_all_memory_is_discarded_without_keeping_anything() {
    for included in [false, true] {
        let mut stream = Stream::new(
            "length_delimited",
            json!({ "header_bytes": 8, "header_included": included }),
        );
        stream.read(&[0xff; 8]).unwrap();
        stream.read(&[0; 100_000]).unwrap();
        assert_eq!(stream.cutter.partial_bytes(), 0);
        assert_eq!(stream.counters().discarded_frames, 1);
        assert_eq!(stream.counters().discarded_bytes, 100_008);
        assert!(stream.frames.is_empty());
    }
}

#[test]
fn close_names_the_limit_and_keeps_the_frames_before() {
    for (name, settings, bytes) in [
        ("delimited", json!({}), b"one\ntwo\nthree\nfour\n".as_slice()),
        ("delimited", json!({}), b"one\ntwo\nthree"),
        (
            "length_delimited",
            json!({ "header_bytes": 1 }),
            b"\x03one\x03two\x05th",
        ),
    ] {
        let mut stream = Stream::limited(name, settings, limits(4, OnOversize::Close));
        let error = stream.read(bytes).unwrap_err().to_string();
        assert!(
            error.contains("`max_frame_bytes` = 4") && error.contains("on_oversize"),
            "{error}"
        );
        assert_eq!(stream.frames, [b"one".to_vec(), b"two".to_vec()]);
        stream.finish();
        let counters = stream.counters();
        assert_eq!(counters.discarded_frames, 1);
        assert_eq!(
            stream.spans as u64 + counters.discarded_bytes + counters.truncated_bytes,
            bytes.len() as u64
        );
    }
}

#[test]
fn a_header_shorter_than_itself_closes_with_the_frames_before() {
    let mut stream = Stream::new(
        "length_delimited",
        json!({ "header_bytes": 2, "header_included": true }),
    );
    let error = stream.read(b"\x00\x04ab\x00\x01rest").unwrap_err().to_string();
    assert!(error.contains("header_included"), "{error}");
    assert_eq!(stream.frames, [b"ab".to_vec()]);
    assert_eq!(stream.counters().truncated_bytes, 6);
}

#[test]
fn a_limit_below_every_frame_is_refused_at_once() {
    let fixed = || build("fixed", json!({ "bytes": 100 })).unwrap();
    assert!(Cutter::new(fixed(), limits(100, OnOversize::Discard)).is_ok());
    let error = Cutter::new(fixed(), limits(99, OnOversize::Discard))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("100 bytes") && error.contains("is 99"), "{error}");
    assert!(Cutter::new(fixed(), limits(0, OnOversize::Discard)).is_err());
    assert!(Cutter::new(fixed(), limits(MOST_FRAME_BYTES + 1, OnOversize::Discard)).is_err());
}

proptest! {
    #[test]
    fn every_byte_is_in_a_frame_or_counted_and_splits_do_not_matter(
        bytes in prop::collection::vec(prop::sample::select(b"ab\x00\x01\x02\x09".to_vec()), 0..400),
        size in 1usize..50,
        max in 1u64..12,
        which in 0..framings().len(),
    ) {
        let (name, settings, _) = framings().swap_remove(which);
        let framing = || build(name, settings.clone()).unwrap();
        if Cutter::new(framing(), limits(max, OnOversize::Discard)).is_err() {
            return Ok(());
        }
        let mut whole = discarding(name, settings.clone(), max);
        let mut split = discarding(name, settings.clone(), max);
        let end = whole.read(&bytes).map_err(|error| error.to_string());
        let split_end = bytes.chunks(size).try_for_each(|piece| split.read(piece)).map_err(|error| error.to_string());
        prop_assert_eq!(&whole.frames, &split.frames);
        prop_assert_eq!(&end, &split_end);
        if end.is_ok() {
            whole.cutter.abandon();
            split.cutter.abandon();
            prop_assert_eq!(whole.counters(), split.counters());
        }
        let counters = whole.counters();
        prop_assert_eq!(whole.spans as u64 + counters.discarded_bytes + counters.truncated_bytes, bytes.len() as u64);
        prop_assert!(whole.frames.iter().all(|frame| frame.len() as u64 <= max));
    }
}
