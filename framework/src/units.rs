//! Sizes and times as people write them: `"8 MiB"`, `"500ms"`.
//!
//! Both types are written back in the form they are read in, so that a printed config can be used as one.

mod mode;
mod moment;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use mode::FileMode;
pub use moment::{MOMENT_FORMS, moment};

/// A number of bytes. Text takes binary (`"8 MiB"`) and decimal (`"64 KB"`, `"1GB"`) units; a plain integer is bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The `format` of its schema, by which the config checker knows how to read the text.
    pub const FORMAT: &'static str = "byte-size";
    /// The most that a config may say, 1 EiB: more than any machine has, and sums of a few do not overflow.
    pub const MAX: Self = Self(1 << 60);

    /// `count` binary kilobytes (1,024 bytes).
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// `count` binary megabytes (1,048,576 bytes).
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// `count` binary gigabytes (1,073,741,824 bytes).
    pub const fn gib(count: u64) -> Self {
        Self(count << 30)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// Writes the largest binary unit that loses nothing: `8 MiB`, `1500 B`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 6] = [
            (60, "EiB"),
            (50, "PiB"),
            (40, "TiB"),
            (30, "GiB"),
            (20, "MiB"),
            (10, "KiB"),
        ];
        let exact = |shift: u32| self.0 != 0 && self.0.trailing_zeros() >= shift;
        match UNITS.iter().find(|(shift, _)| exact(*shift)) {
            Some((shift, unit)) => write!(f, "{} {unit}", self.0 >> shift),
            None => write!(f, "{} B", self.0),
        }
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<bytesize::ByteSize>()
            .map(|size| Self(size.as_u64()))
            .map_err(|_| format!("`{text}` is not a size such as \"8 MiB\""))
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a size such as \"8 MiB\", or a number of bytes")]
        enum Form {
            Bytes(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Bytes(bytes) => Ok(Self(bytes)),
            Form::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "format": Self::FORMAT, "minimum": 0 })
    }
}

/// A length of time, always with its unit: `"500ms"`, `"1m"`, `"2 h"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Period(pub Duration);

impl Period {
    /// The `format` of its schema, by which the config checker knows how to read the text. `minimum` and `maximum` of such a schema are in milliseconds.
    pub const FORMAT: &'static str = "period";
    /// The most that a config may say, 100 years (of 365.25 days): no sum with a clock overflows.
    pub const MAX: Self = Self(Duration::from_secs(100 * 31_557_600));

    /// `count` milliseconds.
    pub const fn milliseconds(count: u64) -> Self {
        Self(Duration::from_millis(count))
    }

    /// `count` seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    /// The same length as the standard library's type.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text)
            .map(Self)
            .map_err(|_| format!("`{text}` is not a time such as \"500ms\" or \"2 h\""))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Period {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": Self::FORMAT })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on should say so by a panic")]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_they_are_read() {
        for text in ["8 MiB", "10 GiB", "1500 B", "1 KiB", "0 B", "3 TiB", "5 PiB", "1 EiB"] {
            assert_eq!(
                text.parse::<ByteSize>().map(|size| size.to_string()),
                Ok(text.to_owned())
            );
        }
    }

    #[test]
    fn sizes_take_decimal_units_no_space_and_plain_numbers() {
        assert_eq!("64 KB".parse(), Ok(ByteSize(64_000)));
        assert_eq!("1GB".parse(), Ok(ByteSize(1_000_000_000)));
        assert_eq!(serde_json::from_str::<ByteSize>("4096").unwrap(), ByteSize::kib(4));
        assert_eq!(serde_json::from_str::<ByteSize>("\"4096\"").unwrap(), ByteSize::kib(4));
        assert!("eight".parse::<ByteSize>().is_err());
        assert!(serde_json::from_str::<ByteSize>("-1").is_err());
    }

    #[test]
    fn periods_are_written_as_they_are_read() {
        for text in ["500ms", "1m", "2h", "1m 30s", "100us"] {
            assert_eq!(text.parse::<Period>().map(|time| time.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("2 h".parse(), Ok(Period::seconds(7_200)));
    }

    #[test]
    fn a_period_without_a_unit_is_refused() {
        assert!("5".parse::<Period>().is_err());
        assert!(serde_json::from_str::<Period>("5").is_err());
    }
}
