//! What is fuzzed: functions that take any bytes and panic when something does not hold. The fuzzer's binaries and the tests share them.

mod config;
mod framing;
mod link;
mod record;

pub(crate) use config::config;
pub(crate) use framing::framing;
pub(crate) use link::link;
pub(crate) use record::record;
