//! Finding one message in a running pipeline: the question that every actor answers, and the answer.
//!
//! Actors are asked one after the other, in flow order ([`crate::pipeline::Finder`]): what an actor let go of before it answered lies in the
//! mailbox of the next one, before the question, so nothing on its way down is missed. What is copied, by fan-out or because a store keeps what it
//! handed down until that is settled, is found in each place.
//!
//! An actor answers for what it holds at one moment: processors and senders for their window at once, stores in turns of [`TURN_BYTES`]. Disks are searched by the store's own thread, one record
//! between two of its other tasks, until the question's deadline.

mod look;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use serde::{Deserialize, Serialize};

use crate::telemetry::messages::MessageMatcher;

pub use look::look;

/// Payload bytes in which an actor looks for an id in one turn, before others of its thread get theirs.
pub const TURN_BYTES: u64 = 1024 * 1024;

/// Messages that one actor tells of, at most: an id should be the id of one.
pub const FOUND_MAX: usize = 32;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Wanted {
    /// The frame that an actor numbered so: `SOURCE:SEQ`.
    Number {
        /// The source actor.
        source: String,
        /// The counter it gave the frame.
        seq: u64,
    },
    /// The frame with this id, as its bytes stand in the frame.
    Id(String),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { source, seq } => write!(f, "{source}:{seq}"),
            Self::Id(id) => f.write_str(id),
        }
    }
}

/// A question, shared by all who are asked.
#[derive(Debug, Clone)]
pub struct Query {
    /// What is looked for.
    pub wanted: Wanted,
    /// How the ids of frames are read, where the pipeline is told; without it an id means every frame with that text in it.
    pub ids: Option<MessageMatcher>,
    /// When a search on disk ends, whether it has seen everything or not.
    pub deadline: Instant,
}

/// Asks an actor for what it holds of the message.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Answer")]
pub struct Find(pub Arc<Query>);

/// What an actor knows of the message.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Where it holds it; at most [`FOUND_MAX`].
    pub found: Vec<Found>,
    /// Not everything was looked at.
    pub incomplete: bool,
    /// What was not looked at, and why; a sentence each.
    pub notes: Vec<String>,
    /// The number the next frame will get, if the actor is a source.
    pub next_seq: Option<u64>,
}

impl Answer {
    /// Notes a message, unless there are [`FOUND_MAX`] already.
    pub fn add(&mut self, found: Found) {
        if self.found.len() < FOUND_MAX {
            self.found.push(found);
        } else if self.found.len() == FOUND_MAX && self.notes.is_empty() {
            self.notes.push(format!(
                "more than {FOUND_MAX} messages are like that; these are the first"
            ));
        }
    }
}

impl From<Vec<Found>> for Answer {
    fn from(found: Vec<Found>) -> Self {
        let mut answer = Self::default();
        found.into_iter().for_each(|one| answer.add(one));
        answer
    }
}

/// A message in an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The actor that read it.
    pub source: String,
    /// When that source began to count, in nanoseconds since 1970: after a restart numbers begin at 0 again.
    pub epoch: u64,
    /// Its number.
    pub seq: u64,
    /// Its id, where the pipeline is told where ids stand.
    pub id: Option<String>,
    /// The trace of its batch, 32 hexadecimal digits, when it is sampled.
    pub trace_id: Option<String>,
    /// The trace of its own that it has as a followed message (`[telemetry.messages]`), 32 hexadecimal digits.
    pub message_trace_id: Option<String>,
    /// When its first byte was read, in nanoseconds since 1970.
    pub received_ns: Option<u64>,
    /// Since when it has been in this state, in nanoseconds since 1970, where that is known.
    pub since_ns: Option<u64>,
    /// What is being done with it.
    pub state: State,
    /// What the actor says of itself, where that explains a wait.
    pub remark: Option<String>,
}

impl Found {
    /// A frame that its source has numbered, and keeps until its batch is full.
    pub(crate) fn unsent(source: &str, epoch: u64, seq: u64) -> Self {
        Self {
            source: source.to_owned(),
            epoch,
            seq,
            id: None,
            trace_id: None,
            message_trace_id: None,
            received_ns: None,
            since_ns: None,
            state: State::Unsent,
            remark: None,
        }
    }
}

/// What an actor does with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum State {
    /// Read, and not sent on yet.
    Unsent,
    /// In the actor's inbox.
    Queued {
        /// Frames in front of it there.
        frames_ahead: u64,
    },
    /// Taken up; the actor waits until those downstream take more.
    WaitingForDemand,
    /// In the plugin's hands.
    InHand,
    /// Processed; batches in front of it are not, and must leave first.
    WaitingForOrder,
    /// On its way to the destination.
    Sending {
        /// Attempts to reach the destination since it last took anything; 0 while it takes.
        attempts: u32,
        /// Why the last of them failed.
        error: Option<String>,
    },
    /// In a store, not handed down yet.
    Stored {
        /// A copy is in memory.
        memory: bool,
        /// A copy is on disk, and survives a crash.
        disk: bool,
        /// Frames that are handed down before it.
        frames_ahead: u64,
    },
    /// Handed down by a store, which keeps it until it is settled.
    HandedDown {
        /// A copy is in memory.
        memory: bool,
        /// A copy is on disk.
        disk: bool,
    },
}
