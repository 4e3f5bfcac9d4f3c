//! The numbered messages of the C server, made and recognised in Rust too, so that a test knows every byte that must arrive.

use std::ops::Range;

/// Ten digits and a space.
const NUMBER_BYTES: usize = 11;

/// Messages of `least` to `most` bytes, newline included. Sizes follow from the number alone, as the C server makes them with seed 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Messages {
    pub(crate) least: usize,
    pub(crate) most: usize,
}

impl Messages {
    /// What the C server sends unless it is told otherwise.
    pub(crate) const OF_ALL_SIZES: Self = Self {
        least: 13,
        most: 10_240,
    };
    /// Messages of 100 bytes.
    pub(crate) const SHORT: Self = Self { least: 100, most: 100 };

    /// Bytes of a message, newline included (splitmix64, as in legacy_server.c).
    pub(crate) fn size(self, number: u64) -> usize {
        let mut z = 1u64.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        self.least + (z % (self.most - self.least + 1) as u64) as usize
    }

    /// Bytes of these messages together.
    pub(crate) fn bytes(self, numbers: Range<u64>) -> u64 {
        numbers.map(|number| self.size(number) as u64).sum()
    }

    /// A message with its newline.
    pub(crate) fn line(self, number: u64) -> Vec<u8> {
        let mut line = format!("{number:010} ").into_bytes();
        line.resize(self.size(number) - 1, letter(number));
        line.push(b'\n');
        line
    }

    /// The number of a message without its newline.
    ///
    /// # Panics
    /// When it is not byte for byte the message of that number.
    pub(crate) fn number(self, message: &[u8]) -> u64 {
        let number = std::str::from_utf8(&message[..NUMBER_BYTES - 1])
            .ok()
            .and_then(|digits| digits.parse().ok());
        let number = number.unwrap_or_else(|| panic!("no number: {}", String::from_utf8_lossy(message)));
        let line = self.line(number);
        assert!(
            message == &line[..line.len() - 1],
            "message {number} is not what was sent: {}",
            String::from_utf8_lossy(message)
        );
        number
    }
}

fn letter(number: u64) -> u8 {
    b'a' + (number % 26) as u8
}
