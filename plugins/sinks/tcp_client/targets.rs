//! One address or several, and which of them is dialled.

use std::borrow::Cow;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::Context;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use crate::net::{Dial, Flight, checked};

/// One address, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "an address such as \"127.0.0.1:9000\", or a list of them")]
pub(super) enum Addresses {
    One(String),
    Several(Vec<String>),
}

impl JsonSchema for Addresses {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Addresses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "array"], "items": { "type": "string" } })
    }
}

/// Which of several addresses is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Pick {
    /// The first of the list: the others are for when it does not answer.
    #[default]
    First,
    /// The one behind that of the connection before: in turn.
    Rotate,
}

/// The addresses, of which there is one at least.
pub(super) struct Targets {
    dials: Vec<Dial>,
    pick: Pick,
    /// Where the next attempt begins.
    next: usize,
}

impl Targets {
    /// # Errors
    /// When there is none, or one of them can be none.
    pub(super) fn new(addresses: Addresses, pick: Pick, dial: impl Fn(String) -> Dial) -> Result<Self> {
        let addresses = match addresses {
            Addresses::One(address) => vec![address],
            Addresses::Several(addresses) => addresses,
        };
        if addresses.is_empty() {
            return Err(Error::fatal("`address` is an empty list; give one address or more"));
        }
        let checked = addresses.into_iter().map(|address| checked("address", address));
        let dials = checked.map(|address| address.map(&dial)).collect::<Result<_>>()?;
        Ok(Self { dials, pick, next: 0 })
    }

    /// Connects to the first that answers. Returns its address too. Each has the whole of `connect_timeout`.
    ///
    /// # Errors
    /// `unavailable`, that of the last one tried, when none answers.
    pub(super) async fn connect(&mut self, flight: &Flight, context: &Context) -> Result<(TcpStream, &str)> {
        let first = match self.pick {
            Pick::First => 0,
            Pick::Rotate => self.next,
        };
        let mut failed = Error::unavailable("no address");
        for tried in 0..self.dials.len() {
            let index = (first + tried) % self.dials.len();
            match self.dials[index].connect_noted(flight, context).await {
                Ok(stream) => {
                    self.next = index + 1;
                    return Ok((stream, &self.dials[index].address));
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}
