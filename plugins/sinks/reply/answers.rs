//! Cuts what the peer's application sends into answers.

use memchr::memmem;

#[cfg(test)]
mod tests;

/// Where an answer ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Behind these bytes, which are none of its own.
    Delimiter(Vec<u8>),
    /// After so many bytes.
    Bytes(usize),
}

/// The stream of one peer's answers.
#[derive(Debug)]
pub(super) struct Answers {
    end: End,
    /// The longest answer, in bytes, the delimiter not counted.
    most_bytes: usize,
    /// The begin of one that is not whole.
    kept: Vec<u8>,
}

/// An answer longer than it may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Answers {
    pub(super) fn new(end: End, most_bytes: usize) -> Self {
        Self {
            end,
            most_bytes,
            kept: Vec::new(),
        }
    }

    /// Takes what has come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
    }

    /// Gives every whole answer to `each`, in order, until that fails; the others are kept.
    pub(super) fn each<E: From<TooLong>>(&mut self, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let (mut at, mut result) = (0, Ok(()));
        while result.is_ok() {
            let rest = &self.kept[at..];
            let (answer, taken) = match &self.end {
                End::Delimiter(delimiter) => match memmem::find(rest, delimiter) {
                    Some(end) => (&rest[..end], end + delimiter.len()),
                    // A part of the delimiter may stand behind the longest answer.
                    None if rest.len() >= self.most_bytes + delimiter.len() => return Err(TooLong.into()),
                    None => break,
                },
                End::Bytes(bytes) if rest.len() >= *bytes => (&rest[..*bytes], *bytes),
                End::Bytes(_) => break,
            };
            if answer.len() > self.most_bytes {
                return Err(TooLong.into());
            }
            result = each(answer);
            at += taken;
        }
        self.kept.drain(..at);
        result
    }
}
