//! The first line of a connection, in which a client says who it is.
//!
//! ```text
//! client: TOKEN \n            before anything else; a `\r` before the `\n` is taken off; what follows it is read and ignored
//! server: frames ...          or the end of the connection, when the line introduces nobody
//! ```

#[cfg(test)]
mod tests;

/// Bytes that a first line may have, without its end.
pub(super) const MOST_BYTES: usize = 256;

/// As much of a first line as has come.
#[derive(Debug, Default)]
pub(super) struct Introduction {
    said: Vec<u8>,
}

/// What an introduction is after some more bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Not finished.
    More,
    /// Finished: this is the line.
    Said(Vec<u8>),
    /// Longer than any that introduces somebody.
    TooLong,
}

impl Introduction {
    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Step {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        self.said.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
        let line = self.said.strip_suffix(b"\r").unwrap_or(&self.said);
        match end {
            _ if line.len() > MOST_BYTES => Step::TooLong,
            Some(_) => Step::Said(line.to_vec()),
            None => Step::More,
        }
    }
}
