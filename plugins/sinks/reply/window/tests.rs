use super::Window;

#[test]
fn a_refusal_shrinks_it_to_one_group_and_every_good_answer_lets_it_grow() {
    let mut window = Window::new(100);
    assert_eq!(window.frames(), 100);
    window.refused(1);
    assert_eq!(window.frames(), 1);
    window.refused(1);
    assert_eq!(window.frames(), 1);
    // One round trip: as many answers as the window had.
    window.answered(1);
    assert_eq!(window.frames(), 2);
    (0..2).for_each(|_| window.answered(1));
    assert_eq!(window.frames(), 4);
    (0..1_000).for_each(|_| window.answered(1));
    assert_eq!(window.frames(), 100);
}

#[test]
fn a_group_fits_into_it_whole_always() {
    let mut window = Window::new(30);
    window.refused(10);
    assert_eq!(window.frames(), 10);
    window.answered(10);
    assert_eq!(window.frames(), 20);
    window.answered(10);
    window.answered(10);
    assert_eq!(window.frames(), 30);
}

#[test]
fn a_peer_that_waits_for_more_frames_before_it_answers_gets_them_after_the_timeout() {
    let mut window = Window::new(30);
    window.refused(1);
    window.overdue();
    assert_eq!(window.frames(), 30);
}
