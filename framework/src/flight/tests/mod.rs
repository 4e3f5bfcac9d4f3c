mod blames;
mod endpoints;
mod kept;
mod reading;
mod writing;

use super::{Blame, Case, Errno, Event, Recorder, Sample, Side, Verdict, judge};

const FIN: Event = Event::Finished { partial_bytes: 0 };
const FIN_IN_A_FRAME: Event = Event::Finished { partial_bytes: 7 };

fn failed(errno: &str) -> Event {
    Event::Failed {
        errno: Errno(errno.into()),
        partial_bytes: 0,
    }
}

fn verdict(side: Side, recorder: &Recorder, event: &Event, now_ms: u64) -> Verdict {
    let case = Case {
        who: "peer",
        side,
        dialled: true,
        now_ms,
        silence_before_ms: None,
    };
    judge(recorder, event, &case)
}

/// A peer that had connected to us, and ended that at once without a byte either way.
fn visitor(side: Side, event: &Event) -> Verdict {
    let case = Case {
        who: "peer",
        side,
        dialled: false,
        now_ms: 20,
        silence_before_ms: None,
    };
    judge(&Recorder::default(), event, &case)
}

fn blame(is_work: bool) -> Option<Blame> {
    Some(Blame {
        actor: "drain".into(),
        is_work,
        store: None,
        clause: "drain took nothing".into(),
    })
}

/// Unread, of so much that there is room for.
fn unread(waiting: u64, room: u64) -> Sample {
    Sample {
        waiting,
        room,
        ..Sample::default()
    }
}

/// A connection that is read without delay: 10 kB every 10 ms for two seconds.
fn healthy() -> Recorder {
    let mut recorder = Recorder::default();
    for at_ms in (10..=2_000).step_by(10) {
        recorder.read(at_ms, 10_000, 1, 0, 10);
    }
    recorder
}

/// The same, held from then on for half a second by somebody while its buffer is filled to `percent`.
fn held(percent: u64, by: Option<Blame>) -> Recorder {
    let mut recorder = healthy();
    for at_ms in (2_100..=2_500).step_by(100) {
        recorder.waited(at_ms, 100);
        recorder.sample(at_ms, &unread(percent * 1_000, 100_000), by.clone());
    }
    recorder
}
