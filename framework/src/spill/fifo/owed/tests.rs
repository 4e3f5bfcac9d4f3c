use super::Owed;
use crate::receipt::{Fate, Receipt};

fn owed() -> Owed {
    let mut owed = Owed::default();
    for range in [0..3, 3..5, 8..9] {
        owed.push(range, Receipt::none());
    }
    owed
}

/// The fates of those that are settled when everything below this position is.
fn settled_below(owed: &mut Owed, position: u64) -> Vec<Fate> {
    let unsettled = |range: std::ops::Range<u64>| range.end.saturating_sub(range.start.max(position));
    std::iter::from_fn(|| owed.take_settled(unsettled))
        .map(|(_, fate)| fate)
        .collect()
}

#[test]
fn a_batch_is_settled_when_its_last_position_is() {
    let mut owed = owed();
    assert_eq!(settled_below(&mut owed, 2), []);
    assert_eq!(settled_below(&mut owed, 4), [Fate::Delivered]);
    assert_eq!(settled_below(&mut owed, 9), [Fate::Delivered; 2]);
}

#[test]
fn the_worst_fate_of_its_positions_is_its_own() {
    let mut owed = owed();
    owed.note(&(2..4), Fate::Rejected);
    owed.note(&(2..4), Fate::Delivered);
    owed.note(&(5..8), Fate::Rejected);
    let fates = [Fate::Rejected, Fate::Rejected, Fate::Delivered];
    assert_eq!(settled_below(&mut owed, 9), fates);
}

#[test]
fn what_stays_on_disk_at_the_end_has_the_fate_so_far() {
    let mut owed = owed();
    owed.note(&(0..1), Fate::Rejected);
    let fates = std::iter::from_fn(|| owed.take_kept()).map(|(_, fate)| fate);
    assert_eq!(
        fates.collect::<Vec<_>>(),
        [Fate::Rejected, Fate::Delivered, Fate::Delivered]
    );
}
