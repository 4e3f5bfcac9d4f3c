//! The scan for processors with AVX2: 64 bytes per step, no branch per byte.
//!
//! `memchr` is made for finding the next occurrence and starts anew after each; in streams of short lines that
//! restart is most of its time. Here one comparison yields a 64-bit mask of all occurrences in a block.

use std::arch::x86_64::{__m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8};

/// Bytes per step: two registers, one `u64` of mask.
const BLOCK: usize = 64;

#[target_feature(enable = "avx2,bmi1")]
pub(super) fn positions(byte: u8, haystack: &[u8], base: u32, out: &mut Vec<u32>) {
    let wanted = _mm256_set1_epi8(byte.cast_signed());
    let (blocks, rest) = haystack.as_chunks::<BLOCK>();
    let mut block_base = base;
    for block in blocks {
        push(mask(block, wanted), block_base, out);
        block_base = block_base.wrapping_add(BLOCK as u32);
    }
    super::portable(byte, rest, block_base, out);
}

/// Bit `i` is set where `block[i]` is the wanted byte.
#[inline]
#[target_feature(enable = "avx2")]
fn mask(block: &[u8; BLOCK], wanted: __m256i) -> u64 {
    let start = block.as_ptr().cast::<__m256i>();
    // SAFETY: the block is 64 bytes long, so both unaligned loads of 32 bytes lie within it.
    let (low, high) = unsafe { (_mm256_loadu_si256(start), _mm256_loadu_si256(start.add(1))) };
    let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted)).cast_unsigned();
    let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted)).cast_unsigned();
    u64::from(high) << 32 | u64::from(low)
}

#[inline]
#[target_feature(enable = "bmi1")]
fn push(mut mask: u64, block_base: u32, out: &mut Vec<u32>) {
    let first_end = block_base.wrapping_add(1);
    while mask != 0 {
        out.push(first_end.wrapping_add(mask.trailing_zeros()));
        mask &= mask - 1;
    }
}
