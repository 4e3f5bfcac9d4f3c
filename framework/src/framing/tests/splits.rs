//! Frames do not depend on how the stream was split into reads.

use proptest::prelude::*;

use super::*;

#[test]
fn a_stream_split_at_any_byte_gives_the_same_frames() {
    for (name, settings, frames) in framings() {
        let stream = written(build(name, settings.clone()).unwrap().as_ref(), &frames);
        for at in 0..=stream.len() {
            let mut split = Stream::new(name, settings.clone());
            split.read(&stream[..at]).unwrap();
            split.read(&stream[at..]).unwrap();
            assert_eq!(split.frames, frames, "{name} {settings} split at {at}");
            assert_eq!(split.cutter.partial_bytes(), 0);
        }
    }
}

#[test]
fn a_stream_that_comes_byte_by_byte_gives_the_same_frames() {
    for (name, settings, frames) in framings() {
        let stream = written(build(name, settings.clone()).unwrap().as_ref(), &frames);
        let mut bytes = Stream::new(name, settings.clone());
        bytes.read_in_pieces(&stream, 1);
        assert_eq!(bytes.frames, frames, "{name} {settings}");
    }
}

#[test]
fn none_makes_a_frame_of_every_read() {
    let mut stream = Stream::new("none", json!({}));
    stream.read(b"one\n").unwrap();
    stream.read(b"").unwrap();
    stream.read(b"two").unwrap();
    stream.finish();
    assert_eq!(stream.frames, [b"one\n".to_vec(), b"two".to_vec()]);
}

#[test]
fn long_frames_in_small_reads_come_whole_and_in_order() {
    let long = vec![b'x'; 300_000];
    let frames: [&[u8]; 5] = [b"first", &long, b"between", &long[..LEAD_BYTES], b"last"];
    for (name, settings) in [
        ("delimited", json!({})),
        ("delimited", json!({ "delimiter": "<end>" })),
        ("length_delimited", json!({})),
    ] {
        let bytes = written(build(name, settings.clone()).unwrap().as_ref(), &frames);
        for size in [13, 1000, LEAD_BYTES, 100_000] {
            let mut stream = Stream::new(name, settings.clone());
            stream.read_in_pieces(&bytes, size);
            assert!(stream.frames == frames, "{name} {settings} in reads of {size}");
        }
    }
}

#[test]
fn a_long_unfinished_frame_is_no_lead_but_counted_as_partial() {
    let mut stream = Stream::new("delimited", json!({}));
    stream.read(&[b'x'; LEAD_BYTES]).unwrap();
    assert_eq!(stream.cutter.lead().len(), LEAD_BYTES);
    stream.read(b"x").unwrap();
    assert_eq!(stream.cutter.lead(), b"");
    assert_eq!(stream.cutter.partial_bytes(), LEAD_BYTES + 1);
}

#[test]
fn a_last_line_without_its_newline_is_a_frame_with_the_same_layout() {
    let mut stream = Stream::new("delimited", json!({ "delimiter": "\r\n" }));
    stream.read(b"one\r\ntwo\r").unwrap();
    stream.finish();
    assert_eq!(stream.frames, [b"one".to_vec(), b"two\r".to_vec()]);
    stream.finish();
    assert_eq!(stream.frames.len(), 2);
    assert_eq!(stream.counters(), Counters::default());
}

#[test]
fn half_a_frame_at_the_end_is_counted_as_truncated() {
    for (name, settings) in [
        ("fixed", json!({ "bytes": 5 })),
        ("length_delimited", json!({ "header_bytes": 1 })),
    ] {
        let mut stream = Stream::new(name, settings);
        stream.read(b"\x04abcd\x04ab").unwrap();
        stream.finish();
        assert_eq!(stream.frames.len(), 1);
        assert_eq!(stream.counters().truncated_bytes, 3);
    }
}

#[test]
fn half_a_line_at_a_reset_is_no_frame() {
    let mut stream = Stream::new("delimited", json!({}));
    stream.read(b"one\nhal").unwrap();
    stream.cutter.abandon();
    stream.finish();
    assert_eq!(stream.frames, [b"one".to_vec()]);
    assert_eq!(stream.counters().truncated_bytes, 3);
}

#[test]
fn a_wrong_lead_is_an_error() {
    let mut cutter = Cutter::new(build("delimited", json!({})).unwrap(), Limits::default()).unwrap();
    cutter.cut(b"abc", 0, &mut Vec::new()).unwrap();
    assert!(cutter.cut(b"abcdef\n", 0, &mut Vec::new()).is_err());
}

/// Frames that end where the next one begins with `>`: its end is seen only later.
struct Lookahead;

impl Framing for Lookahead {
    type Config = NoneConfig;
    const NAME: &'static str = "lookahead";

    fn new(_: NoneConfig) -> Result<Self> {
        Ok(Self)
    }

    fn decode(&mut self, input: &[u8], _: usize, ends: &mut Vec<u32>) -> Result<Rest> {
        ends.extend(
            memchr::memchr_iter(b'>', input)
                .filter(|at| *at > 0)
                .map(|at| at as u32),
        );
        Ok(Rest::default())
    }

    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(frame);
        Ok(())
    }

    fn rest_is_frame(&self) -> bool {
        true
    }
}

#[test]
fn a_framing_that_looks_ahead_gets_its_frames_too() {
    let long = [b">".as_slice(), &[b'x'; 40_000]].concat();
    let frames: [&[u8]; 4] = [b">one", &long, b">", b">last"];
    for size in [1, 3, 20_000, 100_000] {
        let mut stream = Stream::over(boxed::<Lookahead>(Value::Null).unwrap(), Limits::default());
        stream.read_in_pieces(&frames.concat(), size);
        stream.finish();
        assert!(stream.frames == frames, "in reads of {size}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_however_it_is_split(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
        sizes in prop::collection::vec(1usize..300, 1..20),
        which in 0..framings().len(),
    ) {
        let (name, settings, _) = framings().swap_remove(which);
        let framing = build(name, settings.clone()).unwrap();
        let mut carried = Vec::new();
        let mut bytes = Vec::new();
        for frame in frames {
            let begin = bytes.len();
            if framing.encode(&frame, &mut bytes).is_ok() {
                let (head, tail) = framing.overhead();
                carried.push(bytes[begin + head as usize..bytes.len() - tail as usize].to_vec());
            } else {
                prop_assert_eq!(bytes.len(), begin, "a rejected frame leaves nothing behind");
            }
        }
        let mut stream = Stream::new(name, settings);
        let mut rest = bytes.as_slice();
        for size in sizes.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at(size.min(rest.len()));
            stream.read(piece).unwrap();
            rest = behind;
        }
        prop_assert_eq!(stream.frames, carried);
    }
}
