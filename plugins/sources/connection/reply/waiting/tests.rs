use aqueduct_framework::receipt::Fate;

use super::{Due, Loss, Waiting, Why};

fn waiting(batches: &[(u64, &str)]) -> (Waiting, Vec<u64>) {
    let mut waiting = Waiting::new(10);
    let tokens = batches.iter().map(|(frames, replies)| {
        let token = waiting.take(*frames);
        waiting.reply(token, replies.as_bytes().to_vec());
        token
    });
    let tokens = tokens.collect();
    (waiting, tokens)
}

#[test]
fn what_settles_first_waits_for_what_came_before_it() {
    let (mut waiting, tokens) = waiting(&[(1, "a"), (2, "bc")]);
    waiting.settled(tokens[1], Fate::Delivered);
    assert_eq!(waiting.due(), Due::Nothing);
    waiting.settled(tokens[0], Fate::Delivered);
    assert_eq!(waiting.due(), Due::Write(b"a"));
    assert_eq!(waiting.wrote(1), 1);
    assert_eq!(waiting.due(), Due::Write(b"bc"));
    assert_eq!(waiting.wrote(1), 0);
    assert_eq!(waiting.due(), Due::Write(b"c"));
    assert_eq!((waiting.frames(), waiting.wrote(1)), (2, 2));
    assert_eq!((waiting.frames(), waiting.due()), (0, Due::Nothing));
}

#[test]
fn a_frame_waits_until_its_reply_is_written() {
    let (mut waiting, tokens) = waiting(&[(10, "ten")]);
    assert!(!waiting.may_take());
    waiting.settled(tokens[0], Fate::Delivered);
    assert!(!waiting.may_take());
    waiting.wrote(3);
    assert!(waiting.may_take());
}

#[test]
fn a_reply_without_a_byte_is_written_at_once() {
    let (mut waiting, tokens) = waiting(&[(3, "")]);
    waiting.settled(tokens[0], Fate::Delivered);
    assert_eq!(waiting.due(), Due::Write(b""));
    assert_eq!(waiting.wrote(0), 3);
    assert!(waiting.is_empty());
}

#[test]
fn behind_a_loss_nothing_is_due() {
    for (fate, why) in [(Fate::Rejected, Why::Rejected), (Fate::Dropped, Why::Dropped)] {
        let (mut waiting, tokens) = waiting(&[(1, "a"), (2, "bc"), (1, "d")]);
        waiting.settled(tokens[2], Fate::Delivered);
        waiting.settled(tokens[1], fate);
        assert!(!waiting.may_take(), "nothing more is read that could have no reply");
        assert_eq!(waiting.due(), Due::Nothing);
        waiting.settled(tokens[0], Fate::Delivered);
        assert_eq!(waiting.due(), Due::Write(b"a"), "what came before has its reply");
        waiting.wrote(1);
        assert_eq!(waiting.due(), Due::Lost(Loss { frames: 3, why }));
        assert_eq!(waiting.frames(), 3);
    }
}

#[test]
fn what_came_with_a_frame_that_was_too_long_has_no_reply_and_what_came_before_has() {
    let (mut waiting, tokens) = waiting(&[(1, "a"), (2, "bc")]);
    waiting.cut(tokens[1]);
    assert!(!waiting.may_take());
    waiting.settled(tokens[1], Fate::Delivered);
    assert_eq!(waiting.due(), Due::Nothing);
    waiting.settled(tokens[0], Fate::Delivered);
    assert_eq!(waiting.wrote(1), 1);
    let why = Why::TooLong;
    assert_eq!(waiting.due(), Due::Lost(Loss { frames: 2, why }));
}

#[test]
fn a_frame_that_was_too_long_and_came_alone_is_lost_behind_the_others() {
    let (mut waiting, tokens) = waiting(&[(1, "a")]);
    waiting.cut(waiting.next_token());
    waiting.settled(tokens[0], Fate::Delivered);
    assert_eq!(waiting.due(), Due::Write(b"a"));
    waiting.wrote(1);
    let why = Why::TooLong;
    assert_eq!(waiting.due(), Due::Lost(Loss { frames: 0, why }));
}

#[test]
fn tokens_of_batches_that_are_answered_mean_nothing() {
    let (mut waiting, tokens) = waiting(&[(1, "a"), (1, "b")]);
    waiting.settled(tokens[0], Fate::Delivered);
    waiting.wrote(1);
    waiting.settled(tokens[0], Fate::Dropped);
    assert_eq!(waiting.due(), Due::Nothing);
    let next = waiting.take(1);
    assert_eq!(next, tokens[1] + 1);
}
