//! Who a first line introduces: the names there are, and the tokens that prove them.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use aqueduct_framework::error::{Error, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::introduction::MOST_BYTES;

/// Characters of a name.
const NAME_CHARS: usize = 64;

/// A token. It is shown to nobody.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// Everybody who may come.
#[derive(Debug)]
pub(super) enum Guests {
    /// Whoever has one of these tokens, with the names they stand for.
    Tokens(Vec<(String, Secret)>),
    /// Everybody, under the name they say.
    AnyName,
}

impl Guests {
    /// # Errors
    /// When nobody could come, or somebody's name or token cannot be one.
    pub(super) fn new(tokens: BTreeMap<String, Secret>, any_name: bool) -> Result<Self> {
        match (tokens.is_empty(), any_name) {
            (true, true) => return Ok(Self::AnyName),
            (false, false) => {}
            (true, false) => {
                return Err(Error::fatal(
                    "`clients = \"named\"` needs `tokens`, such as `tokens = { billing = \"${BILLING_TOKEN}\" }`, or `any_name = true` \
                     where everybody is trusted",
                ));
            }
            (false, true) => {
                return Err(Error::fatal(
                    "`any_name = true` lets everybody in under any name, so `tokens` prove nothing; leave one of them out",
                ));
            }
        }
        for (name, Secret(token)) in &tokens {
            if !is_name(name) {
                return Err(Error::fatal(format!(
                    "`tokens`: {name:?} is no name of a client: {NAME_RULE}"
                )));
            }
            if token.is_empty() || token.len() > MOST_BYTES || token.trim() != token || token.contains(['\n', '\r']) {
                return Err(Error::fatal(format!(
                    "`tokens`: the token of {name} must be of 1 to {MOST_BYTES} bytes in one line, without blanks around it"
                )));
            }
        }
        let tokens: Vec<_> = tokens.into_iter().collect();
        for (index, (name, Secret(token))) in tokens.iter().enumerate() {
            if let Some((other, _)) = tokens[..index].iter().find(|(_, other)| &other.0 == token) {
                return Err(Error::fatal(format!("`tokens`: {other} and {name} have the same one")));
            }
        }
        Ok(Self::Tokens(tokens))
    }

    /// Their names, where they are known beforehand.
    pub(super) fn names(&self) -> Option<impl Iterator<Item = &str> + Clone> {
        match self {
            Self::Tokens(tokens) => Some(tokens.iter().map(|(name, _)| name.as_str())),
            Self::AnyName => None,
        }
    }

    /// The name of the one who said this.
    ///
    /// # Errors
    /// Why there is none; never with what was said, which may be somebody's token with a slip in it.
    pub(super) fn name(&self, said: &[u8]) -> Result<String, &'static str> {
        match self {
            // All of them are compared, so that the time it takes tells nothing of how much of one was right.
            Self::Tokens(tokens) => tokens
                .iter()
                .fold(None, |found, (name, token)| {
                    let same = is_same(token.0.as_bytes(), said);
                    if same { Some(name) } else { found }
                })
                .cloned()
                .ok_or("its first line is none of the tokens"),
            Self::AnyName => std::str::from_utf8(said)
                .ok()
                .filter(|name| is_name(name))
                .map(str::to_owned)
                .ok_or("its first line is no name of a client"),
        }
    }
}

const NAME_RULE: &str = "1 to 64 letters, digits, `_`, `-` and `.`, a letter or digit first";

/// Names become names of cursors, and words in the log.
fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    name.len() <= NAME_CHARS && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_plain)
}

/// Compares in a time that depends on nothing but the lengths.
fn is_same(token: &[u8], said: &[u8]) -> bool {
    let differing = token
        .iter()
        .zip(said)
        .fold(0, |bits, (a, b)| bits | std::hint::black_box(a ^ b));
    token.len() == said.len() && differing == 0
}
