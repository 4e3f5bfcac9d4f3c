use super::*;

#[test]
fn what_is_not_proven_and_not_written_again_may_be_lost() {
    let mut unconfirmed = Unconfirmed::default();
    for _ in 0..4 {
        unconfirmed.wrote(100_000, 1_000);
    }
    unconfirmed.proven(150_000);
    assert_eq!(unconfirmed.written(), 400_000);
    let lost = unconfirmed.end(150_000..300_000);
    assert_eq!((lost.frames, lost.bytes), (1_500, 150_000));
}

#[test]
fn a_frame_of_which_a_part_may_be_lost_counts_whole() {
    let mut unconfirmed = Unconfirmed::default();
    unconfirmed.wrote(10, 1);
    let lost = unconfirmed.end(9..10);
    assert_eq!((lost.frames, lost.bytes), (1, 1));
}

#[test]
fn a_new_connection_counts_from_its_own_beginning() {
    let mut unconfirmed = Unconfirmed::default();
    unconfirmed.wrote(10, 1);
    unconfirmed.end(0..10);
    unconfirmed.wrote(20, 2);
    assert_eq!(unconfirmed.end(0..20), MayBeLost { frames: 2, bytes: 20 });
}
