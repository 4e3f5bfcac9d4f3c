//! A buffer: where a byte occurs. The inner loop of delimited framing.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(test)]
mod tests;

/// Appends to `out`, in rising order, `base + i + 1` for every `i` with `haystack[i] == byte`: the end of each frame
/// that `byte` closes, counted from `base` bytes before the haystack.
///
/// `base + haystack.len()` must fit a `u32`, which the bound of a batch guarantees; past it positions wrap around.
/// Uses AVX2 where the processor has it and `memchr` elsewhere; the result is the same. Allocates only when `out`
/// has to grow.
pub fn positions(byte: u8, haystack: &[u8], base: u32, out: &mut Vec<u32>) {
    debug_assert!(
        haystack.len() <= (u32::MAX - base) as usize,
        "positions do not fit a u32"
    );
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") {
        // SAFETY: the processor has just been asked for both features.
        return unsafe { avx2::positions(byte, haystack, base, out) };
    }
    portable(byte, haystack, base, out);
}

fn portable(byte: u8, haystack: &[u8], base: u32, out: &mut Vec<u32>) {
    let first_end = base.wrapping_add(1);
    out.extend(memchr::memchr_iter(byte, haystack).map(|index| first_end.wrapping_add(index as u32)));
}
