//! Spans of single messages: which frames get them, and how a frame carries its trace on.
//!
//! A followed frame has two attributes. They take the way of all attributes, so that they survive whatever the frame survives: mailboxes, workers,
//! processors that keep or replace it, spill records, fan-out, dead letters. Others cost nothing beside the look at whether any frame has attributes.

use opentelemetry::trace::{Link, Span as _};
use opentelemetry_sdk::trace::Span;

use super::actor_spans::{ActorSpans, Wanted};
use super::attributes::{self, Operation};
use super::messages::MessageMatcher;
use super::sampling::Bucket;
use super::{Counter, Meters, TraceContext, Traceparent, uptime_ns};
use crate::batch::{Batch, FrameAttribute};
use crate::config::MessagesConfig;

/// The attribute with the id of a followed message.
pub const MESSAGE_ID: &str = "aqueduct.message.id";

/// The attribute with the `traceparent` of a followed message's latest span.
pub const MESSAGE_TRACEPARENT: &str = "aqueduct.message.traceparent";

/// `[telemetry.messages]`, ready for use.
#[derive(Debug)]
pub(super) struct Following {
    matcher: MessageMatcher,
    max_per_second: u32,
    max_examined_per_second: u32,
}

impl Following {
    pub(super) fn new(config: &MessagesConfig) -> Self {
        Self {
            matcher: MessageMatcher::new(config),
            max_per_second: config.max_per_second,
            max_examined_per_second: config.max_examined_per_second,
        }
    }

    pub(super) fn chooser(&self, meters: &Meters) -> Chooser {
        Chooser {
            chosen: Bucket::new(self.max_per_second),
            examined: Bucket::new(self.max_examined_per_second),
            not_examined: meters.counter("messages_not_examined"),
        }
    }
}

/// What choosing may still cost in this second, for one source.
#[derive(Debug, Clone)]
pub(super) struct Chooser {
    chosen: Bucket,
    examined: Bucket,
    not_examined: Counter,
}

/// A followed message on its way through an actor.
struct Followed {
    frame: usize,
    id: String,
    parent: Option<TraceContext>,
}

impl ActorSpans {
    /// Chooses the messages of a batch that are followed, makes their spans `receive ACTOR`, and marks their frames.
    pub(super) fn choose_messages(&self, batch: &mut Batch, since_ns: u64) {
        let Some(following) = &self.making.following else {
            return;
        };
        let mut chooser = self.chooser.borrow_mut();
        let chooser = chooser.get_or_insert_with(|| following.chooser(&self.meters));
        let now_ns = uptime_ns();
        let wanted = chooser.chosen.available(now_ns);
        let looks = chooser.examined.available(now_ns).min(batch.len());
        let (mut found, mut examined) = (Vec::new(), 0);
        for frame in batch.frames().take(looks) {
            if found.len() == wanted {
                break;
            }
            examined += 1;
            let Some(id) = following.matcher.id(frame.bytes()) else {
                continue;
            };
            let sender = following.matcher.context(frame.bytes());
            // Who decided upstream that this trace is not recorded has decided for us too.
            if sender.is_none_or(|sender| sender.sampled) {
                found.push(Followed {
                    frame: frame.index(),
                    id: id.into_owned(),
                    parent: sender.map(TraceContext::from),
                });
            }
        }
        chooser.examined.spend(examined);
        chooser.chosen.spend(found.len());
        chooser.not_examined.add((batch.len() - examined) as u64);
        let ids = found
            .iter()
            .map(|followed| attribute(followed.frame, MESSAGE_ID, followed.id.clone()));
        let ids = ids.collect();
        self.spans_of(Operation::Receive, batch, found, since_ns, false);
        batch.attributes.merge_frames(ids);
    }

    /// Whether messages of a batch were chosen before.
    pub(super) fn follows(&self, batch: &Batch) -> bool {
        let own = batch.attributes.frame_attributes();
        own.iter().any(|own| own.key == MESSAGE_TRACEPARENT)
    }

    /// The spans of the followed messages of a batch at this actor, which their frames carry on. They are open; those of a wait have ended
    /// when they are dropped. One that `splits` begins a trace of its own, linked to the one before.
    pub(super) fn message_spans(
        &self,
        operation: Operation,
        batch: &mut Batch,
        since_ns: u64,
        splits: bool,
    ) -> Vec<(usize, Span)> {
        let own = batch.attributes.frame_attributes();
        if self.making.following.is_none() || own.is_empty() {
            return Vec::new();
        }
        let marked = own.iter().filter(|own| own.key == MESSAGE_TRACEPARENT);
        let followed = marked.filter_map(|own| {
            let frame = own.frame as usize;
            Some(Followed {
                frame,
                id: batch.attributes.get(frame, MESSAGE_ID)?.to_owned(),
                parent: Some(own.value.parse::<Traceparent>().ok()?.into()),
            })
        });
        let followed = followed.collect();
        self.spans_of(operation, batch, followed, since_ns, splits)
    }

    fn spans_of(
        &self,
        operation: Operation,
        batch: &mut Batch,
        followed: Vec<Followed>,
        since_ns: u64,
        splits: bool,
    ) -> Vec<(usize, Span)> {
        let mut carried = Vec::with_capacity(followed.len());
        let mut spans = Vec::with_capacity(followed.len());
        for Followed { frame, id, parent } in followed {
            let mut attributes = attributes::of_message(operation, &self.actor, batch, frame, &id);
            self.describe_peer(operation, batch, &mut attributes);
            let before = parent.filter(|_| splits);
            let links = batch.trace.into_iter().chain(before);
            let span = self.start(Wanted {
                operation,
                actor: self.actor.clone(),
                attributes,
                links: links.map(|link| Link::with_context(link.span())).collect(),
                since_ns,
                parent: parent.filter(|_| !splits),
            });
            if let Some(made) = TraceContext::of(span.span_context()) {
                carried.push(attribute(
                    frame,
                    MESSAGE_TRACEPARENT,
                    Traceparent::from(made).to_string(),
                ));
            }
            spans.push((frame, span));
        }
        batch.attributes.merge_frames(carried);
        spans
    }
}

fn attribute(frame: usize, key: &str, value: String) -> FrameAttribute {
    FrameAttribute {
        frame: frame as u32,
        key: key.to_owned(),
        value,
    }
}
