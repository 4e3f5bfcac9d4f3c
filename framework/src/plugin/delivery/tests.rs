use std::sync::Arc;

use super::Delivery;
use crate::receipt::Receipt;
use crate::testing;

/// Three frames of ten, none and five bytes: the second was refused by its framing.
fn delivery() -> Delivery {
    let batch = testing::batch(["a", "b", "c"], 0, Receipt::none());
    Delivery::new(batch, vec![b'x'; 15].into(), Arc::new(vec![10, 10, 15]))
}

fn ends(delivery: &Delivery, bytes: usize) -> Vec<usize> {
    delivery.ends_within(bytes).collect()
}

#[test]
fn frames_end_where_the_wire_says_and_one_without_bytes_nowhere() {
    let delivery = delivery();
    assert!(ends(&delivery, 9).is_empty());
    assert_eq!(ends(&delivery, 14), [10]);
    assert_eq!(ends(&delivery, usize::MAX), [10, 15]);
    assert_eq!(
        (0..4).map(|frame| delivery.is_on_wire(frame)).collect::<Vec<_>>(),
        [true, false, true, false]
    );
}

#[test]
fn what_is_written_in_pieces_ends_where_the_rest_of_it_does() {
    let mut delivery = delivery();
    delivery.advance(4);
    assert_eq!(ends(&delivery, 6), [6]);
    delivery.advance(8);
    assert!(ends(&delivery, 2).is_empty());
    assert_eq!(ends(&delivery, 3), [3]);
    delivery.advance(3);
    assert!(ends(&delivery, 9).is_empty());
}
