//! The flight recorders of an actor's connections: they are judged here, told to the journal, and said in the log.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use aqueduct_framework::error::Error;
use aqueduct_framework::flight::{
    Blame, Case, Cause, Endpoint, Errno, Event, Heard, Ours, Recorder, Repeats, Report, SLOT_MS, Side, Verdict, judge,
};
use aqueduct_framework::plugin::Context;
use aqueduct_framework::telemetry::now_ns;

/// How long an answer to the question of blame holds. A little less than a slot, so that a lone connection always hears the latest.
const BLAME_LASTS: Duration = Duration::from_millis(SLOT_MS * 9 / 10);

/// What all connections of one actor share.
pub(crate) struct Flight {
    context: Context,
    dials: bool,
    began: Instant,
    endpoint: RefCell<Endpoint>,
    /// By cause, and whether the connection lives.
    repeats: RefCell<Repeats<(Cause, bool)>>,
    /// Who took nothing when that was last asked, and when.
    blamed: RefCell<Option<(Instant, Option<Blame>)>>,
}

/// Whose connection it was, and what became of it.
pub(crate) struct Flown<'a> {
    /// The peer's name in the sentence.
    pub(crate) who: &'a str,
    pub(crate) address: &'a str,
    pub(crate) side: Side,
    pub(crate) recorder: &'a Recorder,
    /// The age of the connection when that was noticed, in milliseconds.
    pub(crate) age_ms: u64,
}

/// A verdict, and how often the like was heard.
pub(crate) struct Told {
    pub(crate) verdict: Verdict,
    heard: Heard,
}

impl Told {
    /// The line for the log; none when it was said often enough.
    pub(crate) fn line(&self) -> Option<String> {
        self.heard
            .aloud()
            .then(|| format!("{}{}", self.verdict.sentence, self.heard))
    }
}

impl Flight {
    /// Of connections to others.
    pub(crate) fn dialling(context: &Context) -> Self {
        Self::new(context, true)
    }

    /// Of connections that others made to us.
    pub(crate) fn accepting(context: &Context) -> Self {
        Self::new(context, false)
    }

    fn new(context: &Context, dials: bool) -> Self {
        Self {
            context: context.clone(),
            dials,
            began: Instant::now(),
            endpoint: RefCell::default(),
            repeats: RefCell::default(),
            blamed: RefCell::default(),
        }
    }

    /// Who downstream takes nothing. A thousand connections that wait for the same actor ask once in a slot's time.
    pub(crate) fn blame(&self) -> Option<Blame> {
        let mut blamed = self.blamed.borrow_mut();
        let fresh = blamed.as_ref().filter(|(asked, _)| asked.elapsed() < BLAME_LASTS);
        if fresh.is_none() {
            *blamed = Some((Instant::now(), self.context.blame()));
        }
        blamed.as_ref().and_then(|(_, blame)| blame.clone())
    }

    /// Judges the end of a connection, or that it has stalled.
    pub(crate) fn judged(&self, flown: &Flown<'_>, event: Event) -> Told {
        let case = Case {
            who: flown.who,
            side: flown.side,
            dialled: self.dials,
            now_ms: flown.age_ms,
            silence_before_ms: self.endpoint.borrow().silence_before_ms(),
        };
        let verdict = judge(flown.recorder, &event, &case);
        let alive = event == Event::Stalled;
        if !alive {
            let silence_ms = flown.recorder.silence_ms(flown.age_ms);
            self.endpoint.borrow_mut().closed(self.now_ms(), silence_ms, &verdict);
        }
        // The end of the pipeline explains itself.
        let ours = event == Event::Ours(Ours::Stopping);
        let report = |report: Report| (!ours).then(|| report.of(event, flown.recorder, flown.age_ms));
        self.tell(verdict, alive, flown.address, report)
    }

    /// The same of a connection that is read, by what its watch recorded until this age in milliseconds.
    pub(crate) fn judged_reading(
        &self,
        (who, address): (&str, &str),
        (recorder, age_ms): (&Recorder, u64),
        event: Event,
    ) -> Told {
        let flown = Flown {
            who,
            address,
            side: Side::Reading,
            recorder,
            age_ms,
        };
        self.judged(&flown, event)
    }

    /// An attempt to connect failed. Told at the first of an outage.
    pub(crate) fn failed(&self, address: &str, error: &Error) -> Option<Told> {
        let errno = error.io().map_or_else(|| Errno(error.to_string()), Errno::from);
        let (mut endpoint, actor) = (self.endpoint.borrow_mut(), &self.context.actor);
        let verdict = endpoint.failed(self.now_ms(), actor, address, &errno)?;
        Some(self.tell(verdict, false, address, Some))
    }

    /// A connection came about. Told when the peer was away before.
    pub(crate) fn connected(&self, address: &str) {
        let verdict = self.endpoint.borrow_mut().connected(self.now_ms(), &self.context.actor);
        let told = verdict.map(|verdict| self.tell(verdict, false, address, Some));
        if let Some(line) = told.and_then(|told| told.line()) {
            tracing::info!(actor = %self.context.actor, "{line}");
        }
    }

    fn tell(
        &self,
        verdict: Verdict,
        alive: bool,
        address: &str,
        finish: impl FnOnce(Report) -> Option<Report>,
    ) -> Told {
        let Context { pipeline, actor, .. } = &self.context;
        let heard = self.repeats.borrow_mut().note(self.now_ms(), (verdict.cause, alive));
        if heard.kept() {
            let report = Report::new(now_ns(), pipeline, actor, address, verdict.clone()).heard(heard);
            if let Some(report) = finish(report) {
                self.context.journal().write(report);
            }
        }
        Told { verdict, heard }
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}
