//! The check of what arrived: every message whole, each number once, in order.

use super::message;

/// Follows the numbers, which begin at 1. Pure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sequence {
    /// The highest number so far.
    last: u64,
    /// Numbers that were passed over, as first and last of each range.
    gaps: Vec<(u64, u64)>,
    /// Messages that were whole.
    pub(super) verified: u64,
    /// Numbers that came again.
    pub(super) duplicates: u64,
    /// Numbers that came behind a higher one.
    pub(super) disordered: u64,
    /// Messages whose bytes are not those that were sent.
    pub(super) damaged: u64,
}

impl Sequence {
    /// Takes the next message's number.
    pub(super) fn take(&mut self, number: u64) {
        self.verified += 1;
        if number > self.last {
            if number > self.last + 1 {
                self.gaps.push((self.last + 1, number - 1));
            }
            self.last = number;
        } else if self.fill(number) {
            self.disordered += 1;
        } else {
            self.duplicates += 1;
        }
    }

    /// The highest number so far; 0 before the first.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Numbers from 1 to `sent` that never came.
    pub(super) fn lost(&self, sent: u64) -> u64 {
        let inside: u64 = self.gaps.iter().map(|(first, last)| last - first + 1).sum();
        inside + sent.saturating_sub(self.last)
    }

    /// Takes a number out of its gap; false when it lies in none.
    fn fill(&mut self, number: u64) -> bool {
        let Some(at) = self
            .gaps
            .iter()
            .position(|(first, last)| (*first..=*last).contains(&number))
        else {
            return false;
        };
        let (first, last) = self.gaps.swap_remove(at);
        let parts = [(first, number - 1), (number + 1, last)];
        self.gaps
            .extend(parts.into_iter().filter(|(first, last)| first <= last));
        true
    }
}

/// Cuts a stream at its newlines and checks each message.
#[derive(Debug, Default)]
pub(super) struct Checker {
    rest: Vec<u8>,
    /// What came of it.
    pub(super) sequence: Sequence,
}

impl Checker {
    /// Takes the next bytes of the stream.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = (&bytes[..at], &bytes[at + 1..]);
            if self.rest.is_empty() {
                check(&mut self.sequence, head);
            } else {
                self.rest.extend_from_slice(head);
                check(&mut self.sequence, &self.rest);
                self.rest.clear();
            }
            bytes = tail;
        }
        self.rest.extend_from_slice(bytes);
    }

    /// The connection has ended: a message that was begun will come whole on the next one, or count as lost.
    pub(super) fn cut(&mut self) {
        self.rest.clear();
    }
}

fn check(sequence: &mut Sequence, message: &[u8]) {
    match message::number_of(message) {
        Some(number) => sequence.take(number),
        None => sequence.damaged += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(numbers: &[u64]) -> Sequence {
        let mut sequence = Sequence::default();
        numbers.iter().for_each(|number| sequence.take(*number));
        sequence
    }

    #[test]
    fn in_order_and_complete_is_clean() {
        let sequence = after(&[1, 2, 3]);
        let counts = (sequence.duplicates, sequence.disordered, sequence.lost(3));
        assert_eq!(counts, (0, 0, 0));
    }

    #[test]
    fn what_never_came_is_lost_at_the_start_in_the_middle_and_at_the_end() {
        assert_eq!(after(&[3, 4, 7]).lost(9), 2 + 2 + 2);
        assert_eq!(after(&[]).lost(5), 5);
    }

    #[test]
    fn what_comes_late_is_out_of_order_once_and_a_duplicate_after_that() {
        let sequence = after(&[1, 5, 3, 3, 5]);
        assert_eq!((sequence.disordered, sequence.duplicates), (1, 2));
        assert_eq!(sequence.lost(5), 2);
    }

    #[test]
    fn messages_are_checked_wherever_the_stream_is_cut() {
        let (mut stream, mut one) = (Vec::new(), Vec::new());
        for number in 1..=3 {
            message::write(number, &mut one);
            stream.extend_from_slice(&one);
        }
        for piece_bytes in [1, 2, 11, 12, 4096, stream.len()] {
            let mut checker = Checker::default();
            stream.chunks(piece_bytes).for_each(|piece| checker.feed(piece));
            assert_eq!(checker.sequence, after(&[1, 2, 3]));
        }
    }

    #[test]
    fn a_message_begun_before_the_cut_must_come_again_whole() {
        let mut one = Vec::new();
        message::write(1, &mut one);
        let mut checker = Checker::default();
        checker.feed(&one[..12]);
        checker.cut();
        checker.feed(&one);
        assert_eq!(checker.sequence, after(&[1]));
        checker.feed(b"strange\n");
        assert_eq!(checker.sequence.damaged, 1);
    }
}
