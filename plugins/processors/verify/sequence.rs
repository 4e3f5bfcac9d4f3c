//! Follows a sequence of numbers: what is missing, what comes twice, what comes late. A pure state machine with bounded memory.

use std::collections::BTreeMap;

/// What a number is, seen against those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The one that was due.
    Next,
    /// Above the one that was due: this many are missing before it, so far.
    Gap(u64),
    /// A missing one that comes after higher ones.
    Late,
    /// One that was there before.
    Duplicate,
}

/// The numbers seen so far: the highest, and the ranges below it that are missing.
///
/// The first number is where the sequence begins; lower ones that follow are late, but were never missing. When there are more
/// missing ranges than it may remember, the lowest is forgotten: a number out of it is then taken for a duplicate.
#[derive(Debug)]
pub(super) struct Sequence {
    remember: usize,
    first: u64,
    highest: Option<u64>,
    /// Missing numbers: first of a range, and the one behind its last.
    holes: BTreeMap<u64, u64>,
    missing: u64,
}

impl Sequence {
    /// Nothing seen yet; remembers at most `remember` missing ranges.
    pub(super) fn new(remember: usize) -> Self {
        Self {
            remember,
            first: 0,
            highest: None,
            holes: BTreeMap::new(),
            missing: 0,
        }
    }

    /// Numbers missing now: a late one that comes is not missing any more.
    pub(super) fn missing(&self) -> u64 {
        self.missing
    }

    /// Takes the next number that was seen.
    pub(super) fn see(&mut self, number: u64) -> Verdict {
        let Some(highest) = self.highest else {
            self.first = number;
            self.highest = Some(number);
            self.miss(0, number);
            return Verdict::Next;
        };
        if number <= highest {
            return self.see_again(number);
        }
        self.highest = Some(number);
        let due = highest + 1;
        if number == due {
            return Verdict::Next;
        }
        self.miss(due, number);
        self.missing += number - due;
        Verdict::Gap(number - due)
    }

    fn see_again(&mut self, number: u64) -> Verdict {
        let hole = self.holes.range(..=number).next_back();
        let Some((start, end)) = hole.map(|(start, end)| (*start, *end)).filter(|(_, end)| number < *end) else {
            return Verdict::Duplicate;
        };
        self.holes.remove(&start);
        self.miss(start, number);
        self.miss(number + 1, end);
        if number > self.first {
            self.missing -= 1;
        }
        Verdict::Late
    }

    fn miss(&mut self, start: u64, end: u64) {
        if start < end {
            self.holes.insert(start, end);
        }
        while self.holes.len() > self.remember {
            self.holes.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Duplicate, Gap, Late, Next};
    use super::*;

    fn verdicts(sequence: &mut Sequence, numbers: &[u64]) -> Vec<Verdict> {
        numbers.iter().map(|number| sequence.see(*number)).collect()
    }

    #[test]
    fn it_begins_anywhere() {
        let mut sequence = Sequence::new(9);
        assert_eq!(verdicts(&mut sequence, &[41, 42, 43]), [Next, Next, Next]);
        assert_eq!(sequence.missing(), 0);
    }

    #[test]
    fn a_late_number_fills_its_gap_and_comes_twice_only_the_second_time() {
        let mut sequence = Sequence::new(9);
        assert_eq!(
            verdicts(&mut sequence, &[1, 5, 3, 3, 2, 4, 4]),
            [Next, Gap(3), Late, Duplicate, Late, Late, Duplicate]
        );
        assert_eq!(sequence.missing(), 0);
    }

    #[test]
    fn a_batch_delivered_again_is_all_duplicates() {
        let mut sequence = Sequence::new(9);
        assert_eq!(
            verdicts(&mut sequence, &[1, 2, 3, 1, 2, 3, 4]),
            [Next, Next, Next, Duplicate, Duplicate, Duplicate, Next]
        );
    }

    #[test]
    fn a_number_before_the_first_is_late_but_was_never_missing() {
        let mut sequence = Sequence::new(9);
        assert_eq!(verdicts(&mut sequence, &[10, 4, 4, 11]), [Next, Late, Duplicate, Next]);
        assert_eq!(sequence.missing(), 0);
    }

    #[test]
    fn the_whole_range_of_numbers_fits() {
        let mut sequence = Sequence::new(9);
        assert_eq!(
            verdicts(&mut sequence, &[0, u64::MAX, 7, 0, u64::MAX]),
            [Next, Gap(u64::MAX - 1), Late, Duplicate, Duplicate]
        );
        assert_eq!(sequence.missing(), u64::MAX - 2);
    }

    #[test]
    fn it_remembers_no_more_ranges_than_it_may_and_forgets_the_lowest() {
        let mut sequence = Sequence::new(2);
        verdicts(&mut sequence, &[0, 2, 4, 6, 8]);
        assert_eq!(sequence.holes.len(), 2);
        assert_eq!(verdicts(&mut sequence, &[7, 5, 3]), [Late, Late, Duplicate]);
        assert_eq!(sequence.missing(), 2, "what was forgotten stays missing");
    }
}
