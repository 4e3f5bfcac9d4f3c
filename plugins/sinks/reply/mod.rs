//! `acknowledge = "reply"`: a frame counts as delivered when the application on the other side has answered.
//!
//! `config` is the table `reply`; `answers` cuts what the peer sends into answers; `unanswered` decides which frames an answer is about, how many
//! more may be written and since when an answer is owed; `window` how many may be unanswered after a refusal. An [`Exchange`] is all of that for one connection.

mod answers;
mod config;
mod unanswered;
mod window;

use std::cell::RefCell;
use std::rc::Rc;

use answers::{Answers, TooLong};
pub(super) use config::ReplyConfig;
use config::{Per, Terms, Then};
use tokio::sync::Notify;
use tokio::time::Instant;
use unanswered::Unanswered;
use window::Window;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::failure::Failure;
use aqueduct_framework::plugin::{Context, Delivery, Refusal};
use aqueduct_framework::seeded::{self, Bug};
use aqueduct_framework::telemetry::{Counter, Gauge};

use super::connection::{Acknowledge, OnPeerFin};

/// So much of an answer stands in a sentence about it, in bytes.
const SHOWN_BYTES: usize = 100;

/// What all connections of a sink share.
pub(super) struct Reply {
    terms: Terms,
    /// Of the one peer there is at a time; none where several are served, each of which has its own.
    window: Option<Rc<RefCell<Window>>>,
    /// Rung at every answer.
    heard: Rc<Notify>,
    replies: Counter,
    unanswered_frames: Gauge,
}

impl Reply {
    /// Made of the sink's options; none where nobody waits for answers. `several`: more than one peer is there at a time.
    ///
    /// # Errors
    /// When `reply` and `acknowledge = "reply"` do not stand together, or the table contradicts itself.
    pub(super) fn new(
        acknowledge: Acknowledge,
        config: Option<&ReplyConfig>,
        on_fin: OnPeerFin,
        several: bool,
        context: &Context,
    ) -> Result<Option<Rc<Self>>> {
        match (acknowledge, config) {
            (Acknowledge::Reply, None) => Err(Error::fatal(
                "`acknowledge = \"reply\"` needs a table `reply` that says what the application answers, such as reply = { pattern = \"^OK\" }",
            )),
            (Acknowledge::Reply, Some(_)) if on_fin == OnPeerFin::Continue => Err(Error::fatal(
                "`on_peer_fin = \"continue\"` and `acknowledge = \"reply\"` exclude each other: a peer that sends nothing more answers nothing more",
            )),
            (Acknowledge::Reply, Some(config)) if several && config.rejects() => Err(Error::fatal(
                "`reply.refuse` with `then = \"reject\"` is for one client: what a named client refuses is no dead letter; leave `refuse` out, or set `then = \"retry\"`",
            )),
            (Acknowledge::Reply, Some(config)) => {
                let terms = config.terms()?;
                let window = (!several).then(|| Rc::new(RefCell::new(Window::new(terms.window_frames))));
                Ok(Some(Rc::new(Self {
                    terms,
                    window,
                    heard: Rc::default(),
                    replies: context.counter("replies"),
                    unanswered_frames: context.gauge("unanswered_frames"),
                })))
            }
            (_, Some(_)) => Err(Error::fatal(
                "`reply` needs `acknowledge = \"reply\"`: otherwise the peer's bytes are thrown away",
            )),
            (_, None) => Ok(None),
        }
    }

    /// Rung at every answer.
    pub(super) fn heard(&self) -> Rc<Notify> {
        self.heard.clone()
    }
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Taken,
    /// Not taken, and never to be sent again.
    Refused,
    /// Not taken, for this reason.
    Wrong(String),
}

impl Terms {
    fn verdict(&self, answer: &[u8]) -> Verdict {
        if let Some((refusal, then)) = self.refuse.as_ref().filter(|(refusal, _)| refusal.is_match(answer)) {
            return match then {
                Then::Reject => Verdict::Refused,
                Then::Retry => Verdict::Wrong(format!("which matches `{refusal}`: a refusal")),
            };
        }
        match &self.pattern {
            Some(pattern) if !pattern.is_match(answer) && !seeded::has(Bug::WrongAnswerCounts) => {
                Verdict::Wrong(format!("which does not match `{pattern}`"))
            }
            _ => Verdict::Taken,
        }
    }
}

/// The frames and answers of one connection.
pub(super) struct Exchange {
    reply: Rc<Reply>,
    answers: Answers,
    unanswered: Unanswered,
    window: Rc<RefCell<Window>>,
    /// What was refused for good and not told yet.
    refusals: Vec<Refusal>,
    began: Instant,
    /// Something came that is no answer: what follows cannot be told apart.
    broken: bool,
}

/// Why an answer does not count, to be read behind the peer's name.
struct Wrong(String);

impl From<TooLong> for Wrong {
    fn from(_: TooLong) -> Self {
        Self("answers with more than `reply.max_reply_bytes`".to_owned())
    }
}

impl Exchange {
    pub(super) fn new(reply: Rc<Reply>) -> Self {
        let terms = &reply.terms;
        reply.unanswered_frames.set(0);
        Self {
            answers: Answers::new(terms.end.clone(), terms.most_bytes),
            unanswered: Unanswered::new(terms.per),
            window: match &reply.window {
                Some(window) => window.clone(),
                None => Rc::new(RefCell::new(Window::new(terms.window_frames))),
            },
            refusals: Vec::new(),
            began: Instant::now(),
            broken: false,
            reply,
        }
    }

    /// How many of the next `bytes` of a delivery may be written now.
    pub(super) fn allowed(&self, delivery: &Delivery, bytes: usize) -> usize {
        let Some(last) = self.room().checked_sub(1) else {
            return 0;
        };
        let last = usize::try_from(last).unwrap_or(usize::MAX);
        delivery.ends_within(bytes).nth(last).unwrap_or(bytes)
    }

    /// Notes that the next `bytes` of a delivery were written, the first of them at byte `at` of the connection.
    pub(super) fn wrote(&mut self, delivery: &Delivery, bytes: usize, at: u64) {
        let now = self.began.elapsed();
        for end in delivery.ends_within(bytes) {
            self.unanswered.wrote(at + end as u64, now);
        }
        self.show();
    }

    /// Notes that a delivery was written whole.
    pub(super) fn batch_ended(&mut self) {
        self.unanswered.batch_ended(self.began.elapsed());
    }

    /// Nothing may be written before an answer comes.
    pub(super) fn is_full(&self) -> bool {
        self.room() == 0
    }

    fn room(&self) -> u64 {
        self.unanswered.room(self.window.borrow().frames())
    }

    /// Something came that is no answer: nothing can be heard any more.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Takes what the peer has sent.
    ///
    /// # Errors
    /// What the peer did wrong, to be read behind its name.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Result<(), String> {
        let Self {
            reply,
            answers,
            unanswered,
            window,
            refusals,
            began,
            ..
        } = self;
        let now = began.elapsed();
        answers.push(bytes);
        let heard = answers.each(|answer| {
            let verdict = reply.terms.verdict(answer);
            if let Verdict::Wrong(why) = &verdict
                && unanswered.is_due()
            {
                return Err(Wrong(format!("answered {}, {why}", shown(answer))));
            }
            let Some(about) = unanswered.answered(now) else {
                let what = shown(answer);
                return Err(Wrong(format!(
                    "answered {what} when no answer was due; compare `reply.per` with what it does"
                )));
            };
            if verdict == Verdict::Refused {
                refusals.push(Refusal {
                    bytes: about.bytes,
                    reason: format!("refused with {}", shown(answer)),
                });
            }
            window.borrow_mut().answered(about.frames);
            reply.replies.add(1);
            Ok(())
        });
        self.reply.heard.notify_one();
        self.show();
        heard.map_err(|Wrong(why)| {
            self.broken = true;
            self.refused();
            why
        })
    }

    /// The next answer has not come in time.
    pub(super) fn timed_out(&self) {
        self.window.borrow_mut().overdue();
    }

    /// The next answer is not what it should be: less is sent in vain from now on.
    pub(super) fn refused(&self) {
        self.window.borrow_mut().refused(self.unanswered.asked_frames());
    }

    /// What was refused for good since it was asked last.
    pub(super) fn take_refusals(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.refusals)
    }

    /// Resolves when an answer has been owed for too long, with the sentence, to be read behind the peer's name. Cancel-safe.
    pub(super) async fn overdue(&self) -> String {
        let timeout = self.reply.terms.timeout;
        let due = timeout.and_then(|timeout| Some((timeout, self.unanswered.overdue_at(timeout)?)));
        let Some((timeout, due)) = due else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(self.began + due).await;
        format!(
            "has owed an answer for {}; {} frames are unanswered",
            humantime::format_duration(timeout),
            self.unanswered.frames()
        )
    }

    /// Bytes of the connection that are answered.
    pub(super) fn answered_bytes(&self) -> u64 {
        self.unanswered.answered_bytes()
    }

    /// Where the frames end that the next answer would have been about.
    pub(super) fn asked_bytes(&self) -> u64 {
        self.unanswered.asked_bytes()
    }

    fn show(&self) {
        self.reply.unanswered_frames.set(self.unanswered.frames());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.reply.unanswered_frames.set(0);
    }
}

/// The error of a sink whose peer did something wrong.
pub(super) fn wrong(sentence: String, failure: Failure) -> Error {
    Error::unavailable(sentence).failing(failure)
}

/// An answer as it stands in a sentence.
fn shown(answer: &[u8]) -> String {
    let cut = &answer[..answer.len().min(SHOWN_BYTES)];
    let more = if cut.len() < answer.len() { "…" } else { "" };
    format!("`{}{more}`", String::from_utf8_lossy(cut).escape_debug())
}
