//! From a `framing` table to a framing: the four built-in ones and those that plugins bring.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::framing::{DynFraming, Limits};

/// Builds as many framings of one configuration as there are connections.
#[derive(Clone)]
pub struct FramingSpec {
    build: Arc<dyn Fn() -> Result<Box<dyn DynFraming>> + Send + Sync>,
    /// The largest frame, and what happens past it.
    pub limits: Limits,
}

impl FramingSpec {
    /// A specification that builds with `build`.
    pub fn new(limits: Limits, build: impl Fn() -> Result<Box<dyn DynFraming>> + Send + Sync + 'static) -> Self {
        Self {
            build: Arc::new(build),
            limits,
        }
    }

    /// A new framing, at the start of a stream.
    ///
    /// # Errors
    /// When the framing refuses its options.
    pub fn build(&self) -> Result<Box<dyn DynFraming>> {
        (self.build)()
    }
}

impl fmt::Debug for FramingSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramingSpec").field("limits", &self.limits).finish_non_exhaustive()
    }
}
