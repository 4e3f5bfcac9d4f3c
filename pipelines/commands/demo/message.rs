//! What the legacy server sends: ten digits, a space, filler of one letter, a newline.

/// The smallest message in bytes, newline included.
const MIN_BYTES: u64 = 13;
/// The largest.
const MAX_BYTES: u64 = 10_240;
/// The number and the space behind it.
const HEAD_BYTES: usize = 11;
/// The server's default seed.
const SEED: u64 = 1;

/// The size of message `number` in bytes, newline included: splitmix64, as in `legacy_server.c`.
fn size_of(number: u64) -> usize {
    let mut z = SEED.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (MIN_BYTES + z % (MAX_BYTES - MIN_BYTES + 1)) as usize
}

fn filler_of(number: u64) -> u8 {
    b'a' + (number % 26) as u8
}

/// Puts message `number` into `buffer`, which is emptied first.
pub(super) fn write(number: u64, buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.extend_from_slice(format!("{number:010} ").as_bytes());
    buffer.resize(size_of(number) - 1, filler_of(number));
    buffer.push(b'\n');
}

/// The number of a message that came without its newline; none unless every byte is what the server sent.
pub(super) fn number_of(message: &[u8]) -> Option<u64> {
    let (head, filler) = message.split_at_checked(HEAD_BYTES)?;
    let digits = head.strip_suffix(b" ")?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let whole = message.len() + 1 == size_of(number) && filler.iter().all(|byte| *byte == filler_of(number));
    whole.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_recognised_by_its_number() {
        let mut buffer = Vec::new();
        for number in [1, 2, 26, 775, 9_999_999_999] {
            write(number, &mut buffer);
            assert_eq!(buffer.pop(), Some(b'\n'));
            assert_eq!(number_of(&buffer), Some(number));
        }
    }

    #[test]
    fn a_message_with_a_wrong_cut_or_foreign_byte_is_none_of_ours() {
        let mut buffer = Vec::new();
        write(4, &mut buffer);
        buffer.pop();
        assert_eq!(number_of(&buffer[..buffer.len() - 1]), None);
        assert_eq!(number_of(&buffer[..5]), None);
        let last = buffer.len() - 1;
        buffer[last] = b'!';
        assert_eq!(number_of(&buffer), None);
    }
}
