//! Frame lengths as LEB128 varints: one byte up to 127, two up to 16,383.

/// How many bytes the varint of `value` takes.
pub(super) fn length(value: u32) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        0x20_0000..=0xfff_ffff => 4,
        _ => 5,
    }
}

/// Appends the varint of `value`.
pub(super) fn push(into: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// Reads `frames` lengths that fill `bytes` exactly, and sums them up to ends. None when they do not, when the sum
/// overflows, or when a frame is shorter than `least`.
pub(super) fn ends(bytes: &[u8], frames: usize, least: u32) -> Option<Vec<u32>> {
    if frames > bytes.len() {
        return None;
    }
    let mut ends = Vec::with_capacity(frames);
    let (mut at, mut end) = (0, 0_u32);
    for _ in 0..frames {
        let (length, used) = read(bytes.get(at..)?)?;
        if length < least {
            return None;
        }
        end = end.checked_add(length)?;
        ends.push(end);
        at += used;
    }
    (at == bytes.len()).then_some(ends)
}

fn read(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()?, index + 1));
        }
    }
    None
}
