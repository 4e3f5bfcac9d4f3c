//! Which numbers arrived, and in which order.

/// The numbers that arrived, as runs of consecutive ones: an undisturbed stream is one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sequence {
    runs: Vec<(u64, u64)>,
}

impl Sequence {
    pub(crate) fn of(numbers: impl IntoIterator<Item = u64>) -> Self {
        let mut sequence = Self::default();
        numbers.into_iter().for_each(|number| sequence.see(number));
        sequence
    }

    pub(crate) fn see(&mut self, number: u64) {
        match self.runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => self.runs.push((number, number)),
        }
    }

    /// The number that came last; 0 before any.
    pub(crate) fn last(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.1)
    }

    /// Every number from `first` to `last` once and in order: nothing lost, nothing twice.
    pub(crate) fn assert_is(&self, first: u64, last: u64) {
        assert_eq!(self.runs, [(first, last)], "runs of consecutive numbers that arrived");
    }

    /// In order and nothing twice; returns the gaps, first and last number of each.
    pub(crate) fn gaps(&self) -> Vec<(u64, u64)> {
        let pairs = self.runs.windows(2).map(|pair| (pair[0].1, pair[1].0));
        pairs
            .map(|(before, after)| {
                assert!(after > before, "{after} came after {before}: {:?}", self.runs);
                (before + 1, after - 1)
            })
            .collect()
    }

    /// Nothing lost: where the stream goes back it repeats what came before, and goes on from there without a gap. Returns how often a
    /// number came again.
    pub(crate) fn repeats(&self) -> u64 {
        let mut repeats = 0;
        for pair in self.runs.windows(2) {
            let (before, after) = (pair[0].1, pair[1].0);
            assert!(
                after <= before,
                "{} to {} are missing: {:?}",
                before + 1,
                after - 1,
                self.runs
            );
            repeats += before + 1 - after;
        }
        repeats
    }

    /// The number that came first; 0 before any.
    pub(crate) fn first(&self) -> u64 {
        self.runs.first().map_or(0, |run| run.0)
    }
}
