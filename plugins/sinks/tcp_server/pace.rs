//! How far each of several clients is in what is written to all of them, and who holds up the others for too long.

#[cfg(test)]
mod tests;

/// One client's place in the batch that is being written. Times are milliseconds since whenever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Wire bytes it has taken of the batch; none for one who came in the middle of it.
    done: Option<usize>,
    /// When it last took some, or the batch began.
    moved_ms: u64,
}

impl Place {
    /// Of somebody who takes part from the next batch on.
    pub(super) fn from_the_next(now_ms: u64) -> Self {
        Self {
            done: None,
            moved_ms: now_ms,
        }
    }

    /// At the start of a batch.
    pub(super) fn begin(&mut self, now_ms: u64) {
        *self = Self {
            done: Some(0),
            moved_ms: now_ms,
        };
    }

    /// It has taken so many bytes more.
    pub(super) fn took(&mut self, bytes: usize, now_ms: u64) {
        if bytes > 0 {
            self.done = self.done.map(|done| done + bytes);
            self.moved_ms = now_ms;
        }
    }

    /// Bytes it has taken; none when it does not take part.
    pub(super) fn done(&self) -> Option<usize> {
        self.done
    }
}

/// The place of the slowest; none when nobody takes part.
pub(super) fn slowest(places: impl Iterator<Item = Place>) -> Option<usize> {
    places.filter_map(|place| place.done).min()
}

/// When those who have taken nothing since are to be closed: `limit_ms` after their last bytes, or after the first of the others was done with the `total`
/// bytes of the batch, whichever is later. None while nobody waits for anybody.
pub(super) fn due_ms(places: impl Iterator<Item = Place> + Clone, total: usize, limit_ms: u64) -> Option<u64> {
    let is_done = |place: &Place| place.done == Some(total);
    let waits_since = places.clone().filter(is_done).map(|place| place.moved_ms).min()?;
    let behind = places.filter(|place| place.done.is_some_and(|done| done < total));
    behind
        .map(|place| place.moved_ms.max(waits_since).saturating_add(limit_ms))
        .min()
}

/// When those who have taken nothing since are to be closed, whoever waits: `limit_ms` after their last bytes, or after the batch began.
pub(super) fn stalls_at_ms(places: impl Iterator<Item = Place>, total: usize, limit_ms: u64) -> Option<u64> {
    let behind = places.filter(|place| place.done.is_some_and(|done| done < total));
    behind.map(|place| place.moved_ms.saturating_add(limit_ms)).min()
}

/// Whether this one is to be closed at `due`, as told by [`due_ms`] or [`stalls_at_ms`].
pub(super) fn holds_up(place: Place, total: usize, due_ms: u64, limit_ms: u64) -> bool {
    place.done.is_some_and(|done| done < total) && place.moved_ms.saturating_add(limit_ms) <= due_ms
}
