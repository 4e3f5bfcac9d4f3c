//! The text form of a trace context, version 00: <https://www.w3.org/TR/trace-context/#traceparent-header>.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// A span of some trace, as frames and attributes carry it: `00-TRACE-SPAN-FLAGS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traceparent {
    /// Not 0.
    pub trace_id: u128,
    /// Not 0 either.
    pub span_id: NonZeroU64,
    /// Whether whoever made that span recorded it.
    pub sampled: bool,
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id)
    }
}

impl FromStr for Traceparent {
    type Err = ();

    /// Later versions may append fields; what version 00 defines is read from them too, as the recommendation asks.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('-');
        let version = hex(parts.next(), 2)?;
        let trace_id = hex(parts.next(), 32)?;
        let span_id = NonZeroU64::new(hex(parts.next(), 16)? as u64).ok_or(())?;
        let flags = hex(parts.next(), 2)?;
        let more = parts.next().is_some();
        if version == 0xff || version == 0 && more || trace_id == 0 {
            return Err(());
        }
        Ok(Self {
            trace_id,
            span_id,
            sampled: flags & 1 == 1,
        })
    }
}

/// Lower-case digits only.
fn hex(part: Option<&str>, length: usize) -> Result<u128, ()> {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let part = part
        .filter(|part| part.len() == length && part.bytes().all(digit))
        .ok_or(())?;
    u128::from_str_radix(part, 16).map_err(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on should say so by a panic")]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_it_is_read() {
        for text in [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000001-0000000000000002-00",
        ] {
            assert_eq!(text.parse::<Traceparent>().unwrap().to_string(), text);
        }
        assert!(
            "01-00000000000000000000000000000001-0000000000000002-01-later"
                .parse::<Traceparent>()
                .is_ok()
        );
    }

    #[test]
    fn what_the_recommendation_forbids_is_refused() {
        for text in [
            "",
            "00-00000000000000000000000000000000-0000000000000002-01",
            "00-00000000000000000000000000000001-0000000000000000-01",
            "ff-00000000000000000000000000000001-0000000000000002-01",
            "00-00000000000000000000000000000001-0000000000000002-01-more",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-1-2-01",
        ] {
            assert_eq!(text.parse::<Traceparent>(), Err(()), "{text}");
        }
    }
}
