//! Asks the actors of a running pipeline, in flow order, for what they hold of one message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::Role;
use crate::find::{Find, Found, Query, Wanted};
use crate::telemetry::messages::MessageMatcher;
use crate::telemetry::now_ns;

/// How long an actor is waited for that does not answer, at least, and beyond the end of a search.
const GRACE: Duration = Duration::from_secs(1);

/// One actor, as the finder asks it.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) find: Recipient<Find>,
}

/// Finds messages in a running pipeline. Cloning is cheap; it may be used on any thread.
#[derive(Clone)]
pub struct Finder {
    pub(super) pipeline: Arc<str>,
    /// In flow order.
    pub(super) actors: Arc<Vec<Asked>>,
    pub(super) ids: Option<MessageMatcher>,
}

/// Everything that is known of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// The pipeline.
    pub pipeline: String,
    /// When it was asked, in nanoseconds since 1970.
    pub at_ns: u64,
    /// What was looked for.
    pub wanted: Wanted,
    /// Where it is, in flow order.
    pub found: Vec<Spot>,
    /// The sources, with the number that each will give next.
    pub sources: Vec<Counted>,
    /// Not everything was looked at: what was not found may be there all the same.
    pub incomplete: bool,
    /// What was not looked at, and why; and what else there is to say.
    pub notes: Vec<String>,
}

/// A message in an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// The actor.
    pub actor: String,
    /// `source`, `spill store`, `processor` or `sink`.
    pub role: String,
    /// What it has.
    #[serde(flatten)]
    pub found: Found,
}

/// How far a source has counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Its name.
    pub source: String,
    /// The number of its next frame.
    pub next_seq: u64,
}

impl Finder {
    /// Asks everybody. A search on disk ends after `within`; an actor that is busy for longer is named in the notes.
    pub async fn find(&self, wanted: Wanted, within: Duration) -> Trail {
        let deadline = Instant::now() + within;
        let mut trail = Trail {
            pipeline: self.pipeline.to_string(),
            at_ns: now_ns(),
            wanted: wanted.clone(),
            found: Vec::new(),
            sources: Vec::new(),
            incomplete: false,
            notes: Vec::new(),
        };
        if matches!(wanted, Wanted::Id(_)) && self.ids.is_none() {
            let note = "no `[telemetry.messages] id` says where ids stand, so every frame with this text in it counts";
            trail.notes.push(note.to_owned());
        }
        let query = Arc::new(Query {
            wanted,
            ids: self.ids.clone(),
            deadline,
        });
        for asked in self.actors.iter() {
            // Only stores have disks to search.
            let search = match asked.role {
                Role::Spill => deadline.saturating_duration_since(Instant::now()),
                _ => Duration::ZERO,
            };
            let patience = search + GRACE;
            let answer = tokio::time::timeout(patience, asked.find.send(Find(query.clone()))).await;
            trail.take(asked, answer);
        }
        trail
    }
}

impl Trail {
    fn take(
        &mut self,
        asked: &Asked,
        answer: Result<Result<crate::find::Answer, MailboxError>, tokio::time::error::Elapsed>,
    ) {
        let name = &asked.name;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            // It has ended, and holds nothing.
            Ok(Err(_)) => return,
            Err(_) => {
                self.incomplete = true;
                return self.notes.push(format!(
                    "{name} does not answer: it, or a plugin on its thread, is busy"
                ));
            }
        };
        self.incomplete |= answer.incomplete;
        self.found.extend(answer.found.into_iter().map(|found| Spot {
            actor: name.clone(),
            role: asked.role.to_string(),
            found,
        }));
        self.notes
            .extend(answer.notes.iter().map(|note| format!("{name}: {note}")));
        self.sources.extend(answer.next_seq.map(|next_seq| Counted {
            source: name.clone(),
            next_seq,
        }));
    }
}
