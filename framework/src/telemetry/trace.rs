//! The trace context a batch carries from socket to socket.

/// A W3C trace context (<https://www.w3.org/TR/trace-context/>), as small as a batch can carry it.
/// It exists only on batches that the head of the pipeline chose to sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct TraceContext {
    /// 16 bytes, not all zero.
    pub trace_id: u128,
    /// The span the next actor's span is a child of.
    pub span_id: u64,
}
