//! Ends of connections that we write.

use super::{Case, Verdict, idle, size, time, turned_away};
use crate::flight::{Cause, Event, Recorder, Sureness};

/// A destination that took nothing for this long before the end had stopped reading; shorter waits are its pace.
const STOPPED_MS: u64 = 1_000;

pub(super) fn judge(recorder: &Recorder, event: &Event, case: &Case<'_>) -> Verdict {
    let (who, errno) = match event {
        Event::Failed { errno, .. } => (case.who, Some(errno)),
        Event::Finished { .. } | Event::Stalled | Event::Ours(_) => (case.who, None),
    };
    let end = errno.map_or_else(
        || "closed".to_owned(),
        |errno| format!("reset the connection ({errno})"),
    );
    let silence = recorder.silence_ms(case.now_ms);
    let newest = recorder.ring().last_minute(case.now_ms).next_back();
    let (unacknowledged, window) = newest.map_or((0, 0), |slot| (slot.waiting, slot.window));
    let stall = recorder.stall(case.now_ms).filter(|_| silence >= STOPPED_MS);
    if let Some(stall) = stall {
        let sentence = format!(
            "{who} {end} after it had taken nothing for {}; {} stood unacknowledged and its window was {}",
            time(silence),
            size(stall.bytes.into()),
            size(window.into())
        );
        return Verdict::new(Cause::StoppedReading, Sureness::Certain, sentence);
    }
    if turned_away(recorder, case) {
        let sentence = format!(
            "{who} accepted the connection and {end} after {}, before we sent anything",
            time(case.now_ms)
        );
        return Verdict::new(Cause::TurnedAway, Sureness::Likely, sentence);
    }
    if errno.is_none() {
        return idle(recorder, &end, case).unwrap_or_else(|| {
            let sentence = if recorder.bytes == 0 {
                let age = time(case.now_ms);
                format!("{who} closed the connection after {age}, before we sent anything")
            } else {
                format!("{who} closed the connection {} after our last bytes", time(silence))
            };
            Verdict::new(Cause::PeerFinished, Sureness::Certain, sentence)
        });
    }
    let sentence = format!(
        "{who} {end} {} after our last bytes; {} stood unacknowledged",
        time(silence),
        size(unacknowledged.into())
    );
    Verdict::new(Cause::PeerReset, Sureness::Likely, sentence)
        .with("a destination that crashes, or closes with bytes of ours unread, sends an RST")
}
