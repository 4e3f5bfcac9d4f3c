//! What counts as delivered and was not confirmed: how many frames a broken connection may have cost.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use super::Context;

#[cfg(test)]
mod tests;

/// Batches smaller than this are counted together.
const GRAIN_BYTES: u64 = 64 * 1024;

/// Frames that may be lost, and their bytes on the wire: at most so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MayBeLost {
    /// Frames.
    pub frames: u64,
    /// Bytes of theirs on the wire.
    pub bytes: u64,
}

impl MayBeLost {
    /// Adds them to the actor's `frames_unconfirmed` and `bytes_unconfirmed`, which exit code 3 goes by. None where there are none.
    pub fn counted(self, context: &Context) -> Option<Self> {
        if self.frames == 0 {
            return None;
        }
        context.counter("frames_unconfirmed").add(self.frames);
        context.counter("bytes_unconfirmed").add(self.bytes);
        Some(self)
    }
}

impl fmt::Display for MayBeLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frames, bytes } = self;
        write!(
            f,
            "up to {frames} frames ({bytes} bytes) count as delivered and were not confirmed: they may be lost (option `acknowledge`)"
        )
    }
}

/// Where the frames end that were written on one connection and are not proven to be read.
#[derive(Debug, Default)]
pub struct Unconfirmed {
    pieces: VecDeque<Piece>,
    written: u64,
}

#[derive(Debug)]
struct Piece {
    bytes: Range<u64>,
    frames: u64,
}

impl Unconfirmed {
    /// Notes that frames were written behind everything before.
    pub fn wrote(&mut self, bytes: u64, frames: u64) {
        let end = self.written + bytes;
        match self.pieces.back_mut() {
            Some(last) if last.bytes.end - last.bytes.start < GRAIN_BYTES => {
                last.bytes.end = end;
                last.frames += frames;
            }
            _ => self.pieces.push_back(Piece {
                bytes: self.written..end,
                frames,
            }),
        }
        self.written = end;
    }

    /// Forgets what is proven to be read.
    pub fn proven(&mut self, bytes: u64) {
        while self.pieces.front().is_some_and(|piece| piece.bytes.end <= bytes) {
            self.pieces.pop_front();
        }
    }

    /// Bytes written since the connection began.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The connection is gone: what of `range` may be lost. Counting begins anew.
    pub fn end(&mut self, range: Range<u64>) -> MayBeLost {
        let pieces = std::mem::take(self).pieces;
        let mut lost = MayBeLost {
            bytes: range.end.saturating_sub(range.start),
            frames: 0,
        };
        for piece in pieces {
            let within = piece
                .bytes
                .end
                .min(range.end)
                .saturating_sub(piece.bytes.start.max(range.start));
            let all = piece.bytes.end - piece.bytes.start;
            if within > 0 && all > 0 {
                lost.frames += (piece.frames * within).div_ceil(all);
            }
        }
        lost
    }
}
