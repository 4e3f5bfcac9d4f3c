//! Replies to what was read, for peers that expect some. They never wait: what the peer does not take is counted and forgotten.

#[cfg(test)]
mod tests;

use std::io;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::Context;
use aqueduct_framework::telemetry::Counter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most bytes of equal replies that are written at once.
const BLOCK_BYTES: usize = 64_000;

/// What to answer, and how often.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::sources) struct ReplyConfig {
    /// One reply for each read that brought something, or one for each frame it completed.
    #[serde(default)]
    per: Per,
    /// The text. `{bytes}` and `{frames}` are those of the read, `{total}` the bytes of the connection so far.
    template: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Per {
    /// One for each read.
    #[default]
    Read,
    /// One for each frame.
    Frame,
}

/// A checked [`ReplyConfig`].
#[derive(Debug, Clone)]
pub(super) struct Template {
    per: Per,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Bytes,
    Frames,
    Total,
}

impl Template {
    /// # Errors
    /// When there is an unknown word in braces. Other braces stand for themselves, so that a reply may be JSON.
    pub(super) fn new(config: &ReplyConfig) -> Result<Self> {
        let (mut parts, mut text, mut rest) = (Vec::new(), String::new(), config.template.as_str());
        while let Some(at) = rest.find('{') {
            let (before, brace) = rest.split_at(at);
            text.push_str(before);
            let word = brace[1..].split_once('}').map_or("", |(word, _)| word);
            let part = match word {
                "bytes" => Part::Bytes,
                "frames" => Part::Frames,
                "total" => Part::Total,
                _ if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                    return Err(Error::fatal(format!(
                        "`reply.template` has {{{word}}}; the words it knows are {{bytes}}, {{frames}} and {{total}}"
                    )));
                }
                _ => {
                    text.push('{');
                    rest = &brace[1..];
                    continue;
                }
            };
            parts.extend([Part::Text(std::mem::take(&mut text)), part]);
            rest = &brace[word.len() + 2..];
        }
        text.push_str(rest);
        parts.push(Part::Text(text));
        let per = config.per;
        Ok(Self { per, parts })
    }

    fn render(&self, bytes: usize, frames: usize, total: u64, into: &mut Vec<u8>) {
        into.clear();
        for part in &self.parts {
            match part {
                Part::Text(text) => into.extend_from_slice(text.as_bytes()),
                Part::Bytes => into.extend_from_slice(bytes.to_string().as_bytes()),
                Part::Frames => into.extend_from_slice(frames.to_string().as_bytes()),
                Part::Total => into.extend_from_slice(total.to_string().as_bytes()),
            }
        }
    }
}

/// The replies on one connection.
pub(super) struct Replies {
    template: Template,
    reply: Vec<u8>,
    block: Vec<u8>,
    /// What is left of a reply that the peer took only in part; it goes out before any other.
    rest: Vec<u8>,
    failure: Option<io::Error>,
    sent: Counter,
    untaken: Counter,
}

impl Replies {
    pub(super) fn new(template: Template, context: &Context) -> Self {
        Self {
            template,
            reply: Vec::new(),
            block: Vec::new(),
            rest: Vec::new(),
            failure: None,
            sent: context.counter("replies"),
            untaken: context.counter("replies_untaken"),
        }
    }

    /// Answers a read with `write`, which must not wait.
    pub(super) fn answer(
        &mut self,
        bytes: usize,
        frames: usize,
        total: u64,
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) {
        let count = if self.template.per == Per::Read { 1 } else { frames };
        self.template.render(bytes, frames, total, &mut self.reply);
        let mut left = if self.reply.is_empty() { 0 } else { count };
        while left > 0 && self.finish_rest(&mut write) {
            let copies = (BLOCK_BYTES / self.reply.len()).clamp(1, left);
            self.block.clear();
            for _ in 0..copies {
                self.block.extend_from_slice(&self.reply);
            }
            let taken = self.write(&mut write);
            let (whole, part) = (taken / self.reply.len(), taken % self.reply.len());
            if part > 0 {
                self.rest.extend_from_slice(&self.reply[part..]);
            }
            let begun = whole + usize::from(part > 0);
            self.sent.add(begun as u64);
            left -= begun;
            if taken < self.block.len() {
                break;
            }
        }
        self.untaken.add(left as u64);
    }

    /// The error that a reply ran into, once.
    pub(super) fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// True when no part of an earlier reply is left.
    fn finish_rest(&mut self, write: &mut impl FnMut(&[u8]) -> io::Result<usize>) -> bool {
        if self.rest.is_empty() {
            return self.failure.is_none();
        }
        std::mem::swap(&mut self.rest, &mut self.block);
        let taken = self.write(write);
        std::mem::swap(&mut self.rest, &mut self.block);
        self.rest.drain(..taken);
        self.rest.is_empty()
    }

    /// Writes the block; 0 when nothing is taken now, or ever.
    fn write(&mut self, write: &mut impl FnMut(&[u8]) -> io::Result<usize>) -> usize {
        match write(&self.block) {
            Ok(taken) => taken,
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    self.failure.get_or_insert(error);
                }
                0
            }
        }
    }
}
