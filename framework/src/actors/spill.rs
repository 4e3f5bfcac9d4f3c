//! placeholder until the store lands
use crate::actors::{Ended, Order};
use crate::mailbox::{Arrival, Edge, EdgeId};
use crate::plugin::Context as PluginContext;
use actix::prelude::*;
/// x
pub struct SpillParts {
    /// x
    pub config: crate::config::SpillConfig,
    /// x
    pub upstream: Vec<EdgeId>,
    /// x
    pub edges: Vec<Edge>,
    /// x
    pub tracer: crate::telemetry::Tracer,
    /// x
    pub supervisor: Recipient<Ended>,
    /// x
    pub context: PluginContext,
}
/// x
pub struct Spill;
/// x
pub struct Store;
impl Spill {
    /// x
    pub fn open(_p: SpillParts) -> crate::error::Result<Store> {
        Ok(Store)
    }
}
impl Store {
    /// x
    pub fn into_actor(self) -> Spill {
        Spill
    }
}
impl Actor for Spill {
    type Context = Context<Self>;
}
impl Handler<Arrival> for Spill {
    type Result = ();
    fn handle(&mut self, _: Arrival, _: &mut Self::Context) {}
}
impl Handler<Order> for Spill {
    type Result = ();
    fn handle(&mut self, _: Order, _: &mut Self::Context) {}
}
