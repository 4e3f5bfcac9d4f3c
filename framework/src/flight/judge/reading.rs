//! Ends of connections that we read.

use super::super::recorder::Stall;
use super::{Case, SILENCE_MS, Verdict, idle, size, time, turned_away};
use crate::flight::{Blame, Cause, Event, Recorder, Sureness};

/// A wait without demand that was longer than this explains why nothing was read; shorter ones are the pace of every pipeline.
const WAIT_MS: u64 = 20;

pub(super) fn judge(recorder: &Recorder, event: &Event, case: &Case<'_>) -> Verdict {
    let (errno, partial_bytes) = match event {
        Event::Failed { errno, partial_bytes } => (Some(errno), *partial_bytes),
        Event::Finished { partial_bytes } => (None, *partial_bytes),
        Event::Ours(_) | Event::Stalled => (None, 0),
    };
    let stall = recorder.stall(case.now_ms);
    match (errno, stall) {
        (Some(errno), Some(stall)) => {
            let verdict = stalled(recorder, &stall, &format!("closed ({errno})"), Sureness::Certain, case);
            replies_note(verdict, recorder)
        }
        (Some(errno), None) => reset(recorder, &errno.0, partial_bytes, case),
        (None, Some(stall)) if partial_bytes > 0 => {
            let end = format!("closed in the middle of a frame ({} of it came)", size(partial_bytes));
            stalled(recorder, &stall, &end, Sureness::Likely, case)
                .with("the FIN came behind what was under way, without a pause since the buffer was full: it gave up while it could not send")
        }
        (None, stall) => finished(recorder, stall.as_ref(), partial_bytes, case),
    }
}

/// The peer broke off while our buffer was full.
fn stalled(recorder: &Recorder, stall: &Stall<'_>, end: &str, sureness: Sureness, case: &Case<'_>) -> Verdict {
    let (cause, why) = why_not_read(stall.blame, stall.waited_ms);
    let since = time(case.now_ms.saturating_sub(stall.since_ms));
    let full = stall.last_ms.saturating_sub(stall.since_ms);
    let held = stall.held_ms.max(full).max(recorder.silence_ms(case.now_ms));
    let sentence = format!(
        "{} {end} {since} after our unread bytes reached {} % of the buffer; we had not read for {} because {why}",
        case.who,
        stall.percent,
        time(held),
    );
    Verdict::new(cause, sureness, sentence)
        .advising(stall.blame.filter(|_| stall.waited_ms >= WAIT_MS))
        .with(held_bytes(stall))
}

/// The connection lives, and the peer cannot send.
pub(super) fn full(recorder: &Recorder, case: &Case<'_>) -> Verdict {
    let who = case.who;
    let Some(stall) = recorder.stall(case.now_ms) else {
        return Verdict::new(Cause::SlowReader, Sureness::Unsure, format!("{who} can send again"));
    };
    let (cause, why) = why_not_read(stall.blame, stall.waited_ms);
    let sentence = format!(
        "{who} cannot send: our unread bytes reached {} % of the buffer {} ago, and we do not read because {why}",
        stall.percent,
        time(case.now_ms.saturating_sub(stall.since_ms)),
    );
    Verdict::new(cause, Sureness::Certain, sentence)
        .advising(stall.blame.filter(|_| stall.waited_ms >= WAIT_MS))
        .with("a peer that will not wait closes now; what it had sent before still comes")
        .with(held_bytes(&stall))
}

fn held_bytes(stall: &Stall<'_>) -> String {
    format!(
        "{} stood unread in our receive buffer, {} % of what it could hold",
        size(stall.bytes.into()),
        stall.percent
    )
}

fn why_not_read(blame: Option<&Blame>, waited_ms: u64) -> (Cause, String) {
    match blame {
        Some(blame) if waited_ms >= WAIT_MS => {
            let cause = if blame.is_work {
                Cause::SlowReader
            } else {
                Cause::BlockedPipeline
            };
            (cause, blame.clause.clone())
        }
        _ if waited_ms >= WAIT_MS => (Cause::SlowReader, "the actor below took nothing".to_owned()),
        _ => (
            Cause::SlowReader,
            "our own thread was busy: nothing downstream refused to take more".to_owned(),
        ),
    }
}

/// How we read up to the end, when the buffer was not full: where something stood unread it may be that we held the peer up all the same, when it had more at
/// once than its own buffer takes.
fn reading(recorder: &Recorder) -> Option<String> {
    let unread = recorder.untouched().filter(|unread| unread.held_ms >= WAIT_MS)?;
    let (_, why) = why_not_read(unread.blame, unread.held_ms);
    Some(format!(
        "{} of what it had sent stood unread, and we had not read for {} because {why}",
        size(unread.bytes),
        time(unread.held_ms)
    ))
}

fn replies_note(verdict: Verdict, recorder: &Recorder) -> Verdict {
    let sent = recorder.reply_bytes;
    let unread = sent > 0 && recorder.peer_reads() != Some(true);
    verdict.with_if(unread, || {
        format!(
            "it was a reset and not a FIN because {} of our replies stood unread at the peer; what it had not got rid of is lost with it",
            size(sent)
        )
    })
}

/// A reset while our buffer had room.
fn reset(recorder: &Recorder, errno: &str, partial_bytes: u64, case: &Case<'_>) -> Verdict {
    let (who, sent) = (case.who, recorder.reply_bytes);
    let held = reading(recorder);
    let silence = recorder.silence_ms(case.now_ms);
    if sent > 0 && recorder.peer_reads() != Some(true) {
        let sureness = if recorder.peer_reads() == Some(false) && held.is_none() {
            Sureness::Certain
        } else {
            Sureness::Likely
        };
        let sentence = format!(
            "{who} closed with our replies unread ({} of them sent), which makes its kernel send {errno} instead of a FIN; {}",
            size(sent),
            held.unwrap_or_else(|| "we had kept up with reading".to_owned())
        );
        let untaken = recorder.last_untaken();
        let known = recorder.peer_reads().is_some();
        return Verdict::new(Cause::RepliesUnread, sureness, sentence)
            .with_if(recorder.peer_reads() == Some(false), || {
                "its window never moved on while replies arrived: its application reads none of them".to_owned()
            })
            .with_if(!known, || {
                "a peer that reads replies and crashes before it read the last one ends like this too".to_owned()
            })
            .with_if(untaken > 0, || {
                format!("{} of replies had not even reached it", size(untaken))
            });
    }
    if turned_away(recorder, case) {
        return Verdict::new(
            Cause::TurnedAway,
            Sureness::Likely,
            format!(
                "{who} accepted the connection and reset it ({errno}) after {}, before it sent anything",
                time(case.now_ms)
            ),
        );
    }
    if silence >= SILENCE_MS {
        let sentence = format!(
            "{who} answered with {errno} after {} of silence: its kernel does not know this connection any more",
            time(silence)
        );
        return Verdict::new(Cause::PeerRestarted, Sureness::Likely, sentence)
            .with("it restarted without a goodbye, or a firewall between forgot the connection");
    }
    let sentence = format!(
        "{who} reset the connection ({errno}) {} after its last bytes{}{}",
        time(silence),
        middle(partial_bytes),
        held.map_or_else(
            || ", while we kept up with reading".to_owned(),
            |held| format!("; {held}")
        )
    );
    let replied = recorder.since_reply_ms(case.now_ms);
    Verdict::new(Cause::PeerReset, Sureness::Unsure, sentence)
        .with("it crashed, closed on purpose without a goodbye (SO_LINGER 0), or something between cut the connection")
        .with_if(replied.is_some(), || {
            format!(
                "it read our replies; one from {} before the end may have stood unread, which would be a reset too",
                time(replied.unwrap_or(0))
            )
        })
}

fn middle(partial_bytes: u64) -> String {
    if partial_bytes == 0 {
        String::new()
    } else {
        format!(" and in the middle of a frame ({} of it came)", size(partial_bytes))
    }
}

/// A FIN without, or in spite of, a full buffer.
fn finished(recorder: &Recorder, stall: Option<&Stall<'_>>, partial_bytes: u64, case: &Case<'_>) -> Verdict {
    let who = case.who;
    if partial_bytes > 0 {
        let sentence = format!(
            "{who} closed in the middle of a frame ({} of it came), while we kept up with reading",
            size(partial_bytes)
        );
        return Verdict::new(Cause::CutOff, Sureness::Likely, sentence)
            .with("it crashed, was killed, gave the frame up, or ends without a last delimiter");
    }
    if let Some(stall) = stall {
        let (_, why) = why_not_read(stall.blame, stall.waited_ms);
        let sentence = format!(
            "{who} finished at a frame's end, {} after our buffer was {} % full because {why}",
            time(case.now_ms.saturating_sub(stall.last_ms)),
            stall.percent
        );
        return Verdict::new(Cause::PeerFinished, Sureness::Unsure, sentence)
            .with("a sender that waits for us ends like this; so does one that gave up while it could not send, if it happened between two frames");
    }
    if turned_away(recorder, case) {
        let sentence = format!(
            "{who} accepted the connection and closed it after {}, before it sent anything",
            time(case.now_ms)
        );
        return Verdict::new(Cause::TurnedAway, Sureness::Likely, sentence);
    }
    idle(recorder, "closed", case).unwrap_or_else(|| {
        let sentence = if recorder.bytes == 0 {
            format!("{who} finished after {}, before it sent anything", time(case.now_ms))
        } else {
            let silence = time(recorder.silence_ms(case.now_ms));
            format!("{who} finished at a frame's end, {silence} after its last bytes")
        };
        Verdict::new(Cause::PeerFinished, Sureness::Certain, sentence)
    })
}
