//! The text of a reply, with what stands in it for the frame and the read.

use aqueduct_framework::batch::Frame;
use aqueduct_framework::error::{Error, Result};
use regex::bytes::Regex;

/// Attributes that the frames of a TCP source have when they are answered.
const ATTRIBUTES: [&str; 1] = ["peer.address"];

/// Words that stand for what was read.
const COUNTS: [&str; 3] = ["bytes", "frames", "total"];

/// What one read brought.
#[derive(Debug, Clone, Copy)]
pub(in crate::sources::connection) struct Brought {
    pub(in crate::sources::connection) bytes: usize,
    pub(in crate::sources::connection) frames: usize,
    /// Bytes of the connection so far.
    pub(in crate::sources::connection) total: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Bytes,
    Frames,
    Total,
    /// A group of `match`, by its number.
    Group(usize),
    Attribute(String),
}

impl Template {
    /// The template that stands at `key`, with the groups of `pattern`.
    ///
    /// # Errors
    /// When there is an unknown word in braces. Other braces stand for themselves, so that a reply may be JSON.
    pub(super) fn new(key: &str, template: &str, pattern: Option<&Regex>) -> Result<Self> {
        let (mut parts, mut text, mut rest) = (Vec::new(), String::new(), template);
        while let Some(at) = rest.find('{') {
            let (before, brace) = rest.split_at(at);
            text.push_str(before);
            let word = brace[1..].split_once('}').map_or("", |(word, _)| word);
            if !is_word(word) {
                text.push('{');
                rest = &brace[1..];
                continue;
            }
            let part = part(word, pattern).ok_or_else(|| unknown(key, word, pattern))?;
            parts.extend([Part::Text(std::mem::take(&mut text)), part]);
            rest = &brace[word.len() + 2..];
        }
        text.push_str(rest);
        parts.push(Part::Text(text));
        Ok(Self { parts })
    }

    /// True when it differs from frame to frame.
    pub(super) fn quotes(&self) -> bool {
        let quotes = |part: &Part| matches!(part, Part::Group(_) | Part::Attribute(_));
        self.parts.iter().any(quotes)
    }

    /// Bytes that it always has.
    pub(super) fn text_bytes(&self) -> usize {
        let text = |part: &Part| match part {
            Part::Text(text) => text.len(),
            _ => 0,
        };
        self.parts.iter().map(text).sum()
    }

    /// Appends a reply that quotes nothing.
    pub(super) fn render(&self, brought: Brought, into: &mut Vec<u8>) {
        self.render_with(brought, into, |_, _| {});
    }

    /// Appends the reply to a frame; `group` gives what the groups of `match` found.
    pub(super) fn render_frame<'f>(
        &self,
        brought: Brought,
        frame: Frame<'f>,
        group: impl Fn(usize) -> &'f [u8],
        into: &mut Vec<u8>,
    ) {
        self.render_with(brought, into, |part, into| match part {
            Part::Group(number) => into.extend_from_slice(group(*number)),
            Part::Attribute(key) => into.extend_from_slice(frame.attribute(key).unwrap_or("").as_bytes()),
            _ => {}
        });
    }

    fn render_with(&self, brought: Brought, into: &mut Vec<u8>, quote: impl Fn(&Part, &mut Vec<u8>)) {
        for part in &self.parts {
            match part {
                Part::Text(text) => into.extend_from_slice(text.as_bytes()),
                Part::Bytes => into.extend_from_slice(brought.bytes.to_string().as_bytes()),
                Part::Frames => into.extend_from_slice(brought.frames.to_string().as_bytes()),
                Part::Total => into.extend_from_slice(brought.total.to_string().as_bytes()),
                Part::Group(_) | Part::Attribute(_) => quote(part, into),
            }
        }
    }
}

/// # Errors
/// When a group of `match` is called like something else that can be quoted.
pub(super) fn check_groups(pattern: &Regex) -> Result<()> {
    let taken = |name: &&str| COUNTS.contains(name) || ATTRIBUTES.contains(name);
    match pattern.capture_names().flatten().find(taken) {
        Some(name) => Err(Error::fatal(format!(
            "`reply.match` has a group `{name}`, but {{{name}}} stands for something else in a reply; give it another name"
        ))),
        None => Ok(()),
    }
}

/// A name as groups of a regular expression and attributes have.
fn is_word(word: &str) -> bool {
    let begins = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    word.as_bytes().first().is_some_and(begins)
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.')
}

fn part(word: &str, pattern: Option<&Regex>) -> Option<Part> {
    match word {
        "bytes" => return Some(Part::Bytes),
        "frames" => return Some(Part::Frames),
        "total" => return Some(Part::Total),
        _ if ATTRIBUTES.contains(&word) => return Some(Part::Attribute(word.to_owned())),
        _ => {}
    }
    let number = pattern?.capture_names().position(|name| name == Some(word))?;
    Some(Part::Group(number))
}

fn unknown(key: &str, word: &str, pattern: Option<&Regex>) -> Error {
    let groups = pattern.into_iter().flat_map(Regex::capture_names).flatten();
    let known = COUNTS.into_iter().chain(ATTRIBUTES).chain(groups);
    let known: Vec<String> = known.map(|word| format!("{{{word}}}")).collect();
    Error::fatal(format!(
        "`reply.{key}` has {{{word}}}; the words it knows are {}; a group (?<{word}>...) of `match` would be one more",
        known.join(", ")
    ))
}
