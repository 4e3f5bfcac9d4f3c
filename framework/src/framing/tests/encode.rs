//! Batches on the way out.

use super::*;
use crate::batch::{Batch, BatchBuilder, Layout, Numbers};
use crate::receipt::Receipt;

fn bare(frames: &[&[u8]]) -> Batch {
    laid_out(frames, Layout::default())
}

fn laid_out(spans: &[&[u8]], layout: Layout) -> Batch {
    let numbers = Numbers::new("s".into(), 1, 0, 0);
    let mut builder = BatchBuilder::with_layout(&numbers, layout);
    for (number, span) in spans.iter().enumerate() {
        builder.push_span(span, number as u64);
    }
    builder.finish(0, None, Receipt::none())
}

#[test]
fn numbers_stand_on_the_wire_as_the_options_say() {
    for (endian, included, wire) in [
        ("big", false, b"\x00\x03abc"),
        ("big", true, b"\x00\x05abc"),
        ("little", false, b"\x03\x00abc"),
        ("little", true, b"\x05\x00abc"),
    ] {
        let settings = json!({ "header_bytes": 2, "endian": endian, "header_included": included });
        assert_eq!(
            written(build("length_delimited", settings).unwrap().as_ref(), &[b"abc"]),
            wire
        );
    }
}

#[test]
fn a_kept_delimiter_is_written_once() {
    let framing = build("delimited", json!({ "keep": true })).unwrap();
    assert_eq!(written(framing.as_ref(), &["one\n", "two"]), b"one\ntwo\n");
}

#[test]
fn every_frame_of_a_batch_has_its_end_on_the_wire() {
    let framing = build("delimited", json!({ "delimiter": "\r\n" })).unwrap();
    let (mut out, mut ends) = (b"before".to_vec(), Vec::new());
    encode_batch(
        framing.as_ref(),
        &bare(&[b"one", b"", b"three"]),
        0..3,
        &mut out,
        &mut ends,
    )
    .unwrap();
    assert_eq!(out, b"beforeone\r\n\r\nthree\r\n");
    assert_eq!(ends, [11, 13, 20]);
}

#[test]
fn a_frame_that_cannot_be_written_is_named_and_the_next_ones_go_on() {
    let framing = build("delimited", json!({})).unwrap();
    let batch = bare(&[b"one", b"tw\no", b"three"]);
    let (mut out, mut ends) = (Vec::new(), Vec::new());
    let (index, error) = encode_batch(framing.as_ref(), &batch, 0..3, &mut out, &mut ends).unwrap_err();
    assert_eq!(index, 1);
    assert!(error.to_string().contains("delimited:0a"), "{error}");
    encode_batch(framing.as_ref(), &batch, 2..3, &mut out, &mut ends).unwrap();
    assert_eq!(out, b"one\nthree\n");
    assert_eq!(ends, [4, 10]);
}

#[test]
fn frames_that_their_reader_could_not_tell_apart_are_rejected() {
    let rejects = |name, settings, frame: &[u8]| {
        let mut out = Vec::new();
        let result = build(name, settings).unwrap().encode(frame, &mut out);
        result.is_err() && out.is_empty()
    };
    assert!(rejects("delimited", json!({ "delimiter": "aa" }), b"xa"));
    assert!(rejects("delimited", json!({ "keep": true }), b"one\ntwo\n"));
    assert!(rejects("fixed", json!({ "bytes": 4 }), b"abc"));
    assert!(rejects("length_delimited", json!({ "header_bytes": 1 }), &[0; 256]));
    assert!(!rejects("length_delimited", json!({ "header_bytes": 1 }), &[0; 255]));
    assert!(rejects(
        "length_delimited",
        json!({ "header_bytes": 1, "header_included": true }),
        &[0; 255]
    ));
}

#[test]
fn a_payload_is_in_wire_form_only_for_the_framing_that_cut_it() {
    let lines = || build("delimited", json!({})).unwrap();
    let layout = Cutter::new(lines(), Limits::default()).unwrap().layout();
    let batch = laid_out(&[b"one\n", b"two\n"], layout);
    assert_eq!(batch.frame(1).bytes(), b"two");
    assert!(is_wire_form(lines().as_ref(), &batch));
    assert!(!is_wire_form(lines().as_ref(), &bare(&[b"one"])));
    for (name, settings) in [
        ("delimited", json!({ "delimiter": "\0" })),
        ("delimited", json!({ "keep": true })),
        ("length_delimited", json!({})),
        ("none", json!({})),
    ] {
        assert!(!is_wire_form(build(name, settings).unwrap().as_ref(), &batch), "{name}");
    }
}
