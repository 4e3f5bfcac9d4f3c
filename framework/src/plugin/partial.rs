//! What a connection holds of a frame that has not come whole.

use std::rc::Rc;

use super::feed::Shared;
use crate::error::{Error, Result};

/// A connection's part of the source's `partial_bytes`. Dropping it gives that back.
pub struct Partial {
    shared: Rc<Shared>,
    bytes: usize,
}

impl Partial {
    pub(super) fn new(shared: Rc<Shared>) -> Self {
        Self { shared, bytes: 0 }
    }

    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes how many bytes are held now.
    ///
    /// # Errors
    /// `rejected` when that is more than before and all connections of the source together hold more than `partial_bytes`: the one that asked must end. Its bytes count until it
    /// is dropped.
    pub fn set(&mut self, bytes: usize) -> Result<()> {
        let before = std::mem::replace(&mut self.bytes, bytes);
        let (total, limit) = (
            self.shared.partial_bytes.get() - before + bytes,
            self.shared.partial_limit,
        );
        self.shared.partial_bytes.set(total);
        if bytes > before && total > limit {
            return Err(Error::rejected(format!(
                "unfinished frames hold {total} bytes over all connections, more than partial_bytes = {limit}; raise it, or allow only shorter frames"
            )));
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let total = self.shared.partial_bytes.get();
        self.shared.partial_bytes.set(total - self.bytes);
    }
}
