use std::io;
use std::rc::Rc;

use aqueduct_framework::plugin::Context;

use super::super::{Plan, ReplyConfig};
use super::{Brought, Replies};

fn replies(template: &str) -> (Replies, Context) {
    let config = serde_json::json!({ "per": "frame", "template": template });
    let config: ReplyConfig = serde_json::from_value(config).expect("a table");
    let context = Context::new("p", "a", "");
    let plan = Plan::new(&config).expect("a good template");
    (Replies::new(Rc::new(plan), &context), context)
}

fn brought(bytes: usize, frames: usize, total: u64) -> Brought {
    Brought { bytes, frames, total }
}

/// A peer that takes `room` bytes and then nothing.
fn peer(taken: &mut Vec<u8>, mut room: usize) -> impl FnMut(&[u8]) -> io::Result<usize> {
    move |bytes| {
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = bytes.len().min(room);
        room -= count;
        taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

#[test]
fn a_reply_begun_is_finished_before_the_next() {
    let (mut replies, context) = replies("<{bytes}>");
    let mut taken = Vec::new();
    replies.answer(brought(7, 3, 7), peer(&mut taken, 4));
    assert_eq!(taken, b"<7><");
    assert_eq!(
        (
            context.counter("replies").get(),
            context.counter("replies_untaken").get()
        ),
        (2, 1)
    );
    replies.answer(brought(8, 1, 15), peer(&mut taken, 100));
    assert_eq!(taken, b"<7><7><8>");
    assert_eq!(
        (
            context.counter("replies").get(),
            context.counter("replies_untaken").get()
        ),
        (3, 1)
    );
}

#[test]
fn the_rest_of_a_reply_may_take_several_attempts() {
    let (mut replies, context) = replies("abcdef");
    let mut taken = Vec::new();
    for _ in 0..6 {
        replies.answer(brought(1, 1, 1), peer(&mut taken, 1));
    }
    assert_eq!(taken, b"abcdef");
    assert_eq!(
        (
            context.counter("replies").get(),
            context.counter("replies_untaken").get()
        ),
        (1, 5)
    );
}

#[test]
fn an_error_is_kept_for_the_reader_and_ends_the_replies() {
    let (mut replies, context) = replies("{total}");
    replies.answer(brought(1, 2, 1), |_| Err(io::ErrorKind::ConnectionReset.into()));
    assert_eq!(context.counter("replies_untaken").get(), 2);
    assert_eq!(
        replies.failure().map(|error| error.kind()),
        Some(io::ErrorKind::ConnectionReset)
    );
}

#[test]
fn braces_that_are_no_words_stand_for_themselves() {
    let (mut replies, _) = replies("{\"n\":{frames}} {} {");
    let mut taken = Vec::new();
    replies.answer(brought(1, 1, 1), peer(&mut taken, 100));
    assert_eq!(taken, b"{\"n\":1} {} {");
}
