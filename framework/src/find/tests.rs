//! Which frames of a batch are meant.

use std::time::Instant;

use super::*;
use crate::batch::{Batch, BatchBuilder, FrameAttribute, Numbers};
use crate::receipt::Receipt;
use crate::telemetry::{MESSAGE_ID, MESSAGE_TRACEPARENT};

/// Frames `id=N;text` of `plant`, with gaps in their numbers.
fn batch() -> Batch {
    let mut builder = BatchBuilder::new(&Numbers::new("plant".into(), 7, 0, 0));
    for (seq, text) in [(3, "id=a1;x"), (4, "id=a2;a1"), (9, "id=a11;"), (9, "id=a3;")] {
        builder.push_span(text.as_bytes(), seq);
    }
    builder.finish(5, None, Receipt::none())
}

fn indexes(wanted: Wanted, ids: Option<MessageMatcher>) -> Vec<usize> {
    let query = Query {
        wanted,
        ids,
        deadline: Instant::now(),
    };
    let found = look(&batch(), &query, &State::InHand, None);
    found.into_iter().map(|(index, _)| index).collect()
}

fn number(source: &str, seq: u64) -> Wanted {
    Wanted::Number {
        source: source.into(),
        seq,
    }
}

fn ids() -> Option<MessageMatcher> {
    Some(MessageMatcher::new(&toml::from_str("id = '^id=([^;]*);'").unwrap()))
}

#[test]
fn a_number_means_the_frames_of_that_source_with_it() {
    assert_eq!(indexes(number("plant", 4), ids()), [1]);
    assert_eq!(
        indexes(number("plant", 9), ids()),
        [2, 3],
        "one frame in, two frames out"
    );
    assert_eq!(indexes(number("plant", 5), ids()), [0; 0], "it was filtered");
    assert_eq!(indexes(number("other", 4), ids()), [0; 0]);
}

#[test]
fn an_id_is_what_is_read_as_such_and_nothing_that_looks_like_it() {
    assert_eq!(indexes(Wanted::Id("a1".into()), ids()), [0]);
    assert_eq!(indexes(Wanted::Id("x".into()), ids()), [0; 0]);
}

#[test]
fn without_a_way_to_read_ids_a_frame_with_the_text_in_it_is_meant() {
    assert_eq!(indexes(Wanted::Id("a1".into()), None), [0, 1, 2]);
}

#[test]
fn a_followed_message_is_found_by_the_id_it_came_with_and_names_its_own_trace() {
    let mut batch = batch();
    let traceparent = "00-000000000000000000000000000000ab-00000000000000cd-01";
    for (key, value) in [(MESSAGE_ID, "a0"), (MESSAGE_TRACEPARENT, traceparent)] {
        batch.attributes.push_frame(FrameAttribute {
            frame: 1,
            key: key.into(),
            value: value.into(),
        });
    }
    let query = Query {
        wanted: Wanted::Id("a0".into()),
        ids: ids(),
        deadline: Instant::now(),
    };
    let found = look(&batch, &query, &State::InHand, Some(8));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].0, found[0].1.id.as_deref(), found[0].1.seq),
        (1, Some("a0"), 4)
    );
    let own = found[0].1.message_trace_id.as_deref();
    assert_eq!(own, Some("000000000000000000000000000000ab"));
    assert_eq!((found[0].1.received_ns, found[0].1.since_ns), (Some(5), Some(8)));
}
