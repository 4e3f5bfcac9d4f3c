//! The store's answer to whoever looks for a message: first its memory, in turns, then the disk, by the thread that owns the files.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::Spill;
use crate::find::{Answer, Find, Found, Query, State, TURN_BYTES, look};
use crate::spill::search::{Search, Searched};
use crate::spill::thread::StorageCommand;

/// One turn in memory.
#[derive(Message)]
#[rtype(result = "Turn")]
struct LookInMemory {
    query: Arc<Query>,
    from: u64,
}

#[derive(MessageResponse)]
struct Turn {
    found: Vec<(u64, Found)>,
    /// Where the next turn goes on.
    next: Option<u64>,
}

/// What memory does not hold.
#[derive(Message)]
#[rtype(result = "oneshot::Receiver<Searched>")]
struct LookOnDisk(Arc<Query>);

/// Gives messages at these positions their states.
#[derive(Message)]
#[rtype(result = "Vec<Found>")]
struct Describe(Vec<(u64, Found)>);

impl Handler<Find> for Spill {
    type Result = ResponseFuture<Answer>;

    fn handle(&mut self, Find(query): Find, ctx: &mut Self::Context) -> Self::Result {
        let (waiting, store) = (self.inbox.find(&query), ctx.address());
        Box::pin(async move {
            let mut answer = Answer::from(waiting);
            // A store that ends meanwhile has nothing to tell any more.
            let _ = look_everywhere(&store, query, &mut answer).await;
            answer
        })
    }
}

async fn look_everywhere(store: &Addr<Spill>, query: Arc<Query>, answer: &mut Answer) -> Result<(), MailboxError> {
    let (mut found, mut from) = (Vec::new(), Some(0));
    while let Some(position) = from {
        let turn = LookInMemory {
            query: query.clone(),
            from: position,
        };
        let turn = store.send(turn).await?;
        found.extend(turn.found);
        from = turn.next;
    }
    // Without an answer the thread has ended, and the store with it.
    let searched = store.send(LookOnDisk(query)).await?.await.unwrap_or_default();
    found.extend(searched.found);
    found.sort_by_key(|(position, _)| *position);
    found.dedup_by_key(|(position, _)| *position);
    store
        .send(Describe(found))
        .await?
        .into_iter()
        .for_each(|one| answer.add(one));
    answer.incomplete = searched.ended_at.is_some() || searched.damaged > 0;
    if let Some(position) = searched.ended_at {
        let note = format!("the search ended before it had seen all on disk; it came to position {position}");
        answer.notes.push(note);
    }
    if searched.damaged > 0 {
        let note = format!(
            "{} records on disk cannot be read and were passed over",
            searched.damaged
        );
        answer.notes.push(note);
    }
    Ok(())
}

impl Handler<LookInMemory> for Spill {
    type Result = Turn;

    fn handle(&mut self, LookInMemory { query, from }: LookInMemory, _: &mut Self::Context) -> Turn {
        let mut found = Vec::new();
        let next = self.fifo.show(from, TURN_BYTES, |first, batch| {
            let seen = look(batch, &query, &State::Unsent, Some(batch.wait.since_ns));
            found.extend(seen.into_iter().map(|(index, one)| (first + index as u64, one)));
        });
        Turn { found, next }
    }
}

impl Handler<LookOnDisk> for Spill {
    type Result = MessageResult<LookOnDisk>;

    fn handle(&mut self, LookOnDisk(query): LookOnDisk, _: &mut Self::Context) -> Self::Result {
        let (answer, searched) = oneshot::channel();
        let search = Search::new(query, self.fifo.on_disk_only(), !self.behind_store);
        self.thread.send(StorageCommand::Find { search, answer });
        MessageResult(searched)
    }
}

impl Handler<Describe> for Spill {
    type Result = MessageResult<Describe>;

    fn handle(&mut self, Describe(found): Describe, _: &mut Self::Context) -> Self::Result {
        let described = found.into_iter().filter_map(|(position, mut one)| {
            // None: settled since it was seen.
            let place = self.fifo.place(position)?;
            let (memory, disk) = (place.memory, place.disk);
            one.state = if place.handed {
                State::HandedDown { memory, disk }
            } else {
                let frames_ahead = place.ahead;
                State::Stored {
                    memory,
                    disk,
                    frames_ahead,
                }
            };
            one.remark = self.serving.as_ref().map(|serving| serving.remark(position));
            Some(one)
        });
        MessageResult(described.collect())
    }
}
