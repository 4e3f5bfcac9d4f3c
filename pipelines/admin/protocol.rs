//! What is said over the admin socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::framework::find::Wanted;

/// The version of the protocol that this program speaks.
pub(crate) const VERSION: u32 = 1;

/// The longest request, in bytes.
pub(super) const REQUEST_BYTES_MAX: u64 = 64 * 1024;

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The longest time that a search may ask for.
pub(crate) const WITHIN_MAX: Duration = Duration::from_secs(60);

/// A request: one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// [`VERSION`].
    pub(crate) version: u32,
    pub(crate) ask: Ask,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// The state of every actor and edge.
    Status,
    /// Where a message is.
    Find {
        wanted: Wanted,
        /// How long disks may be searched, in milliseconds.
        within_ms: u64,
    },
}

/// An answer in place of the one that was asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// Why, and what to do.
    pub(crate) error: String,
}

/// Reads a request: a line of JSON, a bare word, or nothing at all, which asks for the status.
pub(super) fn parse(line: &[u8]) -> Result<Ask, String> {
    let line = line.trim_ascii();
    if line.is_empty() || line == b"status" {
        return Ok(Ask::Status);
    }
    let request: Request = serde_json::from_slice(line).map_err(|error| {
        // A later version may ask for things this one has no words for.
        match serde_json::from_slice::<serde_json::Value>(line).map(|request| request["version"].as_u64()) {
            Ok(Some(version)) if version != u64::from(VERSION) => other_version(version),
            _ => format!("this is no request ({error}); ask for `status`, or see `aqueduct trace --help`"),
        }
    })?;
    match request.version {
        VERSION => Ok(request.ask),
        other => Err(other_version(other.into())),
    }
}

fn other_version(version: u64) -> String {
    format!("the request is of version {version}, this pipeline speaks {VERSION}; use the program that runs it")
}

/// Asks, and waits for the whole answer, for `patience` at most between two pieces of it (blocking).
pub(crate) fn ask(socket: &Path, ask: Ask, patience: Duration) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    let pid = super::place::believe_peer(&stream)?;
    stream.set_write_timeout(Some(patience))?;
    stream.set_read_timeout(Some(patience))?;
    let mut line = serde_json::to_vec(&Request { version: VERSION, ask })?;
    line.push(b'\n');
    let silent = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            let text = format!("process {pid} runs and does not answer within {} s", patience.as_secs());
            io::Error::new(io::ErrorKind::TimedOut, text)
        }
        _ => error,
    };
    stream.write_all(&line).map_err(silent)?;
    let mut text = String::new();
    // An answer is as long as its pipeline has actors and clients; somebody else's may be without end.
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(silent)?;
    match serde_json::from_str::<Refusal>(&text) {
        Ok(refusal) => Err(io::Error::other(refusal.error)),
        Err(_) => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_word_and_json_ask_for_the_status() {
        for line in [&b""[..], b"\n", b"status\n", br#"{"version":1,"ask":"status"}"#] {
            assert_eq!(parse(line), Ok(Ask::Status));
        }
    }

    #[test]
    fn what_is_asked_is_read_back() {
        let ask = Ask::Find {
            wanted: Wanted::Id("o-17".into()),
            within_ms: 5,
        };
        let request = Request {
            version: VERSION,
            ask: ask.clone(),
        };
        assert_eq!(parse(&serde_json::to_vec(&request).unwrap()), Ok(ask));
    }

    #[test]
    fn a_later_version_is_named_whatever_it_asks_for() {
        for line in [
            r#"{"version":2,"ask":"status"}"#,
            r#"{"version":2,"ask":{"replay":{}},"more":1}"#,
        ] {
            let error = parse(line.as_bytes()).unwrap_err();
            assert!(error.contains("version 2"), "{error}");
        }
        assert!(parse(b"hello").unwrap_err().contains("no request"));
    }
}
