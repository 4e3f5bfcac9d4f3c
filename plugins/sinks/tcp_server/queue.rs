//! Those who wait for the only seat: who has it may be a health check that is about to leave.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::door::Newcomer;

/// Who may wait at the same time.
const PLACES: usize = 16;

/// In the order in which they came.
pub(super) struct Queue<T = Newcomer> {
    timeout: Duration,
    waiting: VecDeque<(T, Instant)>,
}

impl<T> Queue<T> {
    /// Of those who may wait for so long.
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes one more, who came `now`; gives back whoever then has to go because there are too many: the one that has waited longest.
    pub(super) fn push(&mut self, newcomer: T, now: Instant) -> Option<T> {
        self.waiting.push_back((newcomer, now));
        if self.waiting.len() > PLACES { self.next() } else { None }
    }

    /// The next whose turn it is.
    pub(super) fn next(&mut self) -> Option<T> {
        self.waiting.pop_front().map(|(next, _)| next)
    }

    /// Keeps those who are still there.
    pub(super) fn retain(&mut self, stays: impl Fn(&T) -> bool) {
        self.waiting.retain(|(one, _)| stays(one));
    }

    /// One who has waited for too long.
    pub(super) fn late(&mut self, now: Instant) -> Option<T> {
        let (_, since) = self.waiting.front()?;
        if now.duration_since(*since) < self.timeout {
            return None;
        }
        self.next()
    }

    /// Resolves when somebody has waited for too long; never while nobody waits. Cancel-safe.
    pub(super) async fn due(&self) {
        match self.waiting.front() {
            Some((_, since)) => tokio::time::sleep_until((*since + self.timeout).into()).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{PLACES, Queue};

    #[test]
    fn they_are_served_in_turn_and_go_when_they_have_waited_too_long() {
        let (began, second) = (Instant::now(), Duration::from_secs(1));
        let mut queue = Queue::new(second * 3);
        for number in 0..4 {
            assert_eq!(queue.push(number, began + second * number), None);
        }
        queue.retain(|number| *number != 1);
        assert_eq!(queue.late(began + second * 2), None);
        assert_eq!(queue.late(began + second * 3), Some(0));
        assert_eq!(queue.late(began + second * 3), None);
        assert_eq!(queue.next(), Some(2));
        assert_eq!(queue.next(), Some(3));
        assert!(queue.is_empty() && queue.next().is_none());
    }

    #[test]
    fn only_so_many_wait_and_the_newest_of_them() {
        let mut queue = Queue::new(Duration::ZERO);
        for number in 0..PLACES {
            assert_eq!(queue.push(number, Instant::now()), None);
        }
        assert_eq!(queue.push(PLACES, Instant::now()), Some(0));
    }
}
