//! Carries out what the [`Cursors`] decide, for a store whose readers have cursors of their own: between their requests and the thread that owns the files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::{Ending, Spill, SpillParts};
use crate::error::{Error, Result};
use crate::plugin::store_reader::{Fetched, Joined, Opened, Request, Requests, Shared};
use crate::plugin::{NamedCursor, Start, frame_bytes};
use crate::spill::cursors::{Cursors, Effect, Refused};
use crate::spill::thread::{Failure, NamedCommand, NamedEvent, StorageCommand};
use crate::spill::{Found, Recovered, SpillOptions, Usage, named};
use crate::telemetry::now_ns;

#[cfg(test)]
mod tests;
mod told;

use told::Told;

/// The readers of a store, and their cursors.
pub(super) struct Serving {
    cursors: Cursors,
    /// None once the actor listens to them.
    requests: Option<Requests>,
    joined: Joined,
    clients: BTreeMap<u64, Client>,
    /// Nobody reads any more: what is settled now is all.
    pub(super) gone: bool,
    told: Told,
    age: Option<Duration>,
}

/// An open cursor.
struct Client {
    shared: Arc<Shared>,
    opening: Option<oneshot::Sender<Result<Opened>>>,
    next: Option<oneshot::Sender<Result<Fetched>>>,
}

impl Serving {
    /// None for a store that hands its frames down.
    ///
    /// # Errors
    /// When such a store has cursors: what it delivered would be lost to them.
    pub(super) fn of(
        parts: &mut SpillParts,
        options: &SpillOptions,
        recovered: Recovered,
        named: &[named::Recovered],
    ) -> Result<Option<Self>> {
        let Some((retention, readers)) = options.retention.zip(parts.readers.take()) else {
            return match named.first() {
                Some(first) if options.retention.is_none() => Err(has_cursors(parts, first, named.len())),
                _ => Ok(None),
            };
        };
        let (floor, tail) = (recovered.settled, recovered.tail);
        readers.joined.committed(tail);
        let told = Told::new(&parts.context);
        told.found(named, floor, tail);
        Ok(Some(Self {
            cursors: Cursors::new(retention, floor, tail, named.to_vec(), now_ns()),
            requests: Some(readers.requests),
            joined: readers.joined,
            clients: BTreeMap::new(),
            gone: false,
            told,
            age: retention.age,
        }))
    }

    /// Everything below `tail` is durable.
    pub(super) fn committed(&mut self, tail: u64) {
        self.joined.committed(tail);
        self.cursors.committed(tail);
    }

    /// The pipeline ends: readers come to theirs, and nothing more is read.
    pub(super) fn stop(&mut self) {
        self.cursors.stop();
        self.joined.stop();
    }

    /// What cursors say without asking.
    pub(super) fn look(&mut self, now_ns: u64) {
        let cursors = &mut self.cursors;
        self.clients.retain(|ticket, client| {
            // The other end is gone: what it settled last is seen below. One that is being made has none yet.
            let closed = client.opening.is_none() && Arc::get_mut(&mut client.shared).is_some();
            cursors.settle(*ticket, client.shared.settled(), now_ns);
            if closed {
                cursors.close(*ticket, now_ns);
            }
            !closed
        });
    }

    /// About ten times a second.
    pub(super) fn tick(&mut self, now_ns: u64) {
        self.look(now_ns);
        self.cursors.tick(now_ns);
        self.told.update(&self.cursors, now_ns);
    }

    /// What is not durable yet, for the end.
    pub(super) fn rest(&mut self) -> StorageCommand {
        let now_ns = now_ns();
        self.look(now_ns);
        self.told.end(&self.cursors, now_ns);
        StorageCommand::Named(NamedCommand::Persist(self.cursors.unpersisted()))
    }

    /// Who has a position settled, for those who look for one frame.
    pub(super) fn remark(&self, position: u64) -> String {
        let behind: Vec<_> = self
            .cursors
            .all()
            .filter(|reached| reached.position <= position)
            .collect();
        let all = self.cursors.all().count();
        match behind.as_slice() {
            [] if all == 0 => "waiting for a first cursor".to_owned(),
            [] => format!("keeping it although all {all} cursors have it"),
            [first, ..] => {
                let (name, before) = (first.name, position - first.position);
                let count = behind.len();
                format!("keeping it for {count} of {all} cursors: {name} is {before} frames before it")
            }
        }
    }

    fn open(&mut self, name: &str, start: Start, answer: oneshot::Sender<Result<Opened>>) {
        let now_ns = now_ns();
        self.look(now_ns);
        let ticket = match self.cursors.open(name, start == Start::Newest, now_ns) {
            Ok(ticket) => ticket,
            Err(refused) => return drop(answer.send(Err(why_refused(refused, name)))),
        };
        let position = self.cursors.opened(ticket).map_or(0, |(_, position)| position);
        let client = Client {
            shared: Shared::new(position),
            opening: Some(answer),
            next: None,
        };
        self.clients.insert(ticket, client);
        self.settle_opens(None);
    }

    /// Answers whoever waits for a cursor that is durable, and whoever was replaced.
    fn settle_opens(&mut self, error: Option<&str>) {
        let cursors = &self.cursors;
        self.clients.retain(|ticket, client| {
            let Some((name, _)) = cursors.opened(*ticket) else {
                let why = || error.map_or_else(replaced, Error::unavailable);
                // Who has gone meanwhile needs no answer.
                let _ = client.opening.take().map(|answer| answer.send(Err(why())));
                let _ = client.next.take().map(|answer| answer.send(Err(why())));
                return false;
            };
            if let Some(answer) = client.opening.take_if(|_| cursors.is_made(*ticket)) {
                let (ticket, shared) = (*ticket, client.shared.clone());
                let _ = answer.send(Ok(Opened { name, ticket, shared }));
            }
            true
        });
    }

    fn next(&mut self, ticket: u64, bytes: u64, answer: oneshot::Sender<Result<Fetched>>) {
        match self.clients.get_mut(&ticket).filter(|_| self.cursors.is_open(ticket)) {
            Some(client) => {
                client.next = Some(answer);
                self.cursors.want(ticket, bytes);
            }
            None => drop(answer.send(Err(replaced()))),
        }
    }

    /// What is told to the cursor, once there is something.
    fn fetched(&mut self, ticket: u64, found: &Found) -> Option<(u64, oneshot::Sender<Result<Fetched>>)> {
        self.told.unreadable(found.unreadable);
        let passed_frames = self.cursors.fetched(ticket, found)?;
        let answer = self.clients.get_mut(&ticket)?.next.take()?;
        Some((passed_frames, answer))
    }
}

impl Spill {
    /// Carries out what the cursors want.
    pub(super) fn serve(&mut self) {
        let Some(serving) = &mut self.serving else { return };
        let (usage, needs_room) = (self.fifo.usage(), self.fifo.needs_room());
        serving.cursors.takes(usage.bytes, needs_room);
        while let Some(effect) = serving.cursors.next_effect() {
            let command = match effect {
                Effect::Release(position) => {
                    self.fifo.release(position);
                    continue;
                }
                Effect::Make { name, position } => NamedCommand::Make { name, position },
                Effect::Fetch(fetch) => NamedCommand::Fetch(fetch),
                Effect::Persist(positions) => NamedCommand::Persist(positions),
                Effect::DropOldest { to } => NamedCommand::DropOldest { to },
                Effect::Expire { to } => NamedCommand::Expire {
                    to,
                    age: serving.age.unwrap_or(Duration::MAX),
                },
            };
            self.thread.send(StorageCommand::Named(command));
        }
    }

    pub(super) fn named(&mut self, event: NamedEvent, usage: Usage) {
        let Some(serving) = &mut self.serving else { return };
        match event {
            NamedEvent::Made { name, error: None } => {
                serving.cursors.made(&name);
                serving.settle_opens(None);
            }
            NamedEvent::Made {
                name,
                error: Some(error),
            } => {
                self.report.trouble.failed(Failure::Cursor, &error);
                serving.cursors.not_made(&name);
                serving.settle_opens(Some(&error.to_string()));
            }
            NamedEvent::Fetched {
                ticket,
                found: Ok(found),
            } => {
                self.report.trouble.read();
                self.report.damage(usage);
                self.give(ticket, found);
            }
            NamedEvent::Fetched {
                ticket,
                found: Err(error),
            } => {
                self.report.trouble.failed(Failure::Read, &error);
                serving.cursors.fetch_failed(ticket);
                let client = serving.clients.get_mut(&ticket);
                let answer = client.and_then(|client| client.next.take());
                let _ = answer.map(|answer| answer.send(Err(Error::unavailable(error.to_string()))));
            }
            NamedEvent::Persisted { positions, error } => {
                serving.cursors.persisted(&positions);
                if let Some(error) = error {
                    self.report.trouble.failed(Failure::Cursor, &error);
                }
            }
            NamedEvent::Dropped(Ok(range)) => {
                serving.cursors.dropped(range.clone());
                self.fifo.retained(range, usage);
            }
            NamedEvent::Dropped(Err(error)) => {
                self.report.trouble.failed(Failure::Drop, &error);
                serving.cursors.drop_failed();
            }
        }
    }

    fn give(&mut self, ticket: u64, mut found: Found) {
        let Some(serving) = &mut self.serving else { return };
        let Some((passed_frames, answer)) = serving.fetched(ticket, &found) else {
            return;
        };
        for (_, batch) in &mut found.batches {
            self.context.meters.frames_out.add(batch.len() as u64);
            self.context.meters.bytes_out.add(frame_bytes(batch));
            self.tracer.waited(batch);
        }
        // A cursor that was closed meanwhile has not settled these: they come again.
        let _ = answer.send(Ok(Fetched {
            batches: found.batches,
            passed_frames,
        }));
    }

    /// Listens to the readers.
    pub(super) fn listen(&mut self, ctx: &mut Context<Self>) {
        if let Some(mut requests) = self.serving.as_mut().and_then(|serving| serving.requests.take()) {
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| requests.poll_recv(cx)));
        }
    }
}

impl StreamHandler<Request> for Spill {
    fn handle(&mut self, request: Request, _: &mut Context<Self>) {
        let Some(serving) = &mut self.serving else { return };
        match request {
            Request::List(answer) => {
                serving.look(now_ns());
                let all = serving.cursors.all().map(|reached| NamedCursor {
                    name: reached.name.to_owned(),
                    position: reached.position,
                    waiting_frames: reached.waiting_frames,
                    passed_frames: reached.passed_frames,
                });
                // Who has gone meanwhile needs no answer.
                let _ = answer.send(all.collect());
            }
            Request::Open { name, start, answer } => serving.open(&name, start, answer),
            Request::Next { ticket, bytes, answer } => serving.next(ticket, bytes, answer),
        }
        self.pump();
    }

    fn finished(&mut self, _: &mut Context<Self>) {
        if let Some(serving) = &mut self.serving {
            serving.gone = true;
        }
        if self.ending > Ending::No {
            self.pump();
        }
    }
}

fn why_refused(refused: Refused, name: &str) -> Error {
    Error::rejected(match refused {
        Refused::Name => format!(
            "{name:?} is no name for a cursor: 1 to {} letters, digits, `-`, `_` or `.`, the first no `.`",
            named::NAME_BYTES
        ),
        Refused::TooMany => {
            "the store keeps as many cursors as it may (max_cursors): raise that, or remove one with `aqueduct spill DIRECTORY forget NAME`".to_owned()
        }
    })
}

fn replaced() -> Error {
    Error::rejected("a newer reader has opened this cursor")
}

fn has_cursors(parts: &SpillParts, first: &named::Recovered, count: usize) -> Error {
    let others = match count {
        1 => String::new(),
        more => format!(" and {} more", more - 1),
    };
    Error::fatal(format!(
        "spill store `{}`: {} keeps frames for the cursor `{}`{others}, which would be lost to it here: put `retain_bytes` back into the table, or remove cursors with `aqueduct spill DIRECTORY forget NAME`",
        parts.context.actor,
        parts.config.directory.display(),
        first.name
    ))
}
