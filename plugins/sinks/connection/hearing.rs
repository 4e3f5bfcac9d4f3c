//! What the peer sends: answers, where those count, or bytes that nobody wants.

use std::io;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::failure::Failure;
use aqueduct_framework::flight::{Event, Ours};
use rustix::net::{RecvFlags, recv};

use super::super::reply::wrong;
use super::Connection;

/// Reads of the peer's bytes in one go: 256 KiB, so that a talking peer cannot hold up the writing.
const READS_AT_ONCE: usize = 16;

impl Connection {
    /// Takes what has come, as far as tokio knows of it.
    pub(super) fn hear(&mut self) -> Result<()> {
        for _ in 0..READS_AT_ONCE {
            match self.stream.try_read(&mut self.scratch) {
                Ok(0) => return self.peer_finished(),
                Ok(bytes) => self.heard(bytes)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(error)),
            }
        }
        Ok(())
    }

    /// Reads what stands before a FIN that the kernel has told of, past tokio: it answers `WouldBlock` until its reactor has had a turn, and
    /// a sender that always finds room in its socket writes a megabyte to nobody before that.
    pub(super) fn hear_to_fin(&mut self) -> Result<()> {
        for _ in 0..READS_AT_ONCE {
            match recv(&self.stream, self.scratch.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((0, _)) => return self.peer_finished(),
                Ok((bytes, _)) => self.heard(bytes)?,
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(self.lost(error.into())),
            }
        }
        Ok(())
    }

    /// Takes what had come before the end: after an RST too it is still handed out. Returns what was wrong with it, to be read behind the peer's name: that,
    /// and not the reset behind it, is why the connection ended.
    pub(super) fn hear_the_rest(&mut self) -> Option<String> {
        let exchange = self.exchange.as_mut()?;
        while !exchange.is_broken()
            && let Ok((bytes, _)) = recv(&self.stream, self.scratch.as_mut_slice(), RecvFlags::DONTWAIT)
            && bytes > 0
        {
            if let Err(why) = exchange.hear(&self.scratch[..bytes]) {
                self.refused_bytes = exchange.asked_bytes();
                return Some(why);
            }
        }
        None
    }

    /// Takes what was read into `scratch`.
    fn heard(&mut self, bytes: usize) -> Result<()> {
        let Some(exchange) = &mut self.exchange else {
            self.ignored.add(bytes as u64);
            return Ok(());
        };
        let heard = exchange.hear(&self.scratch[..bytes]);
        heard.map_err(|why| self.unanswered(why, Failure::UnexpectedReply))
    }

    /// The peer's application did not answer, or not as it should.
    pub(super) fn unanswered(&mut self, reason: String, failure: Failure) -> Error {
        if let Some(exchange) = &self.exchange {
            self.refused_bytes = exchange.asked_bytes();
            if failure == Failure::ReplyTimeout {
                exchange.timed_out();
            } else {
                exchange.refused();
            }
        }
        let event = Event::Ours(Ours::Unanswered { reason });
        let told = self.watch.ended(&self.stream, &self.peer, event);
        wrong(told.verdict.sentence, failure)
    }
}
