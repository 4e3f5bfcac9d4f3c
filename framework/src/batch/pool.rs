//! Pooled read buffers: a buffer goes back to its pool when the last batch that shares it is gone.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// A bounded stock of equal buffers, shared by the connections of one reader.
#[derive(Debug, Clone)]
pub struct Pool {
    stock: Arc<Mutex<Vec<Vec<u8>>>>,
    buffer_bytes: usize,
    spare: usize,
}

impl Pool {
    /// Buffers of `buffer_bytes`. Of unused ones `spare` are kept, or as many as are on loan where that is more: a sink that
    /// waits for its peer gives many back at once, and needs them again at once. The rest goes back to the allocator.
    pub fn new(buffer_bytes: usize, spare: usize) -> Self {
        Self {
            stock: Arc::default(),
            buffer_bytes,
            spare,
        }
    }

    /// The length of every buffer, in bytes.
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// A buffer of exactly [`Pool::buffer_bytes`]; its content is whatever it held before.
    pub fn take(&self) -> PooledBuffer {
        let used = self.stock.lock().unwrap_or_else(PoisonError::into_inner).pop();
        PooledBuffer {
            bytes: used.unwrap_or_else(|| vec![0; self.buffer_bytes]),
            pool: self.clone(),
        }
    }
}

/// A buffer on loan from a [`Pool`]; dropping it gives it back.
#[derive(Debug)]
pub struct PooledBuffer {
    bytes: Vec<u8>,
    pool: Pool,
}

impl PooledBuffer {
    /// Freezes it: the shares of the result keep the whole buffer alive.
    pub fn into_shared(self) -> Bytes {
        Bytes::from_owner(self)
    }

    /// Where to read into.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut stock = self.pool.stock.lock().unwrap_or_else(PoisonError::into_inner);
        stock.push(bytes);
        // Each buffer on loan shares the stock, and so do this one and the pool itself.
        let on_loan = Arc::strong_count(&self.pool.stock).saturating_sub(2);
        let kept = self.pool.spare.max(on_loan);
        stock.truncate(kept);
    }
}
