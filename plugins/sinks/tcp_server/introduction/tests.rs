use super::*;

#[test]
fn a_line_is_whole_at_its_newline_however_it_is_cut() {
    let whole = b"abc-123\r\nignored";
    for cut in 0..whole.len() {
        let mut introduction = Introduction::default();
        let first = introduction.take(&whole[..cut]);
        let said = match first {
            Step::More => introduction.take(&whole[cut..]),
            step => step,
        };
        assert_eq!(said, Step::Said(b"abc-123".to_vec()), "cut at {cut}");
    }
}

#[test]
fn an_empty_line_is_a_line() {
    assert_eq!(Introduction::default().take(b"\n"), Step::Said(Vec::new()));
}

#[test]
fn the_longest_line_is_taken_and_one_byte_more_is_not_waited_for() {
    let longest = [b'x'; MOST_BYTES];
    let mut introduction = Introduction::default();
    assert_eq!(introduction.take(&longest), Step::More);
    assert_eq!(introduction.take(b"\r\n"), Step::Said(longest.to_vec()));
    let mut introduction = Introduction::default();
    assert_eq!(introduction.take(&longest), Step::More);
    assert_eq!(introduction.take(b"x"), Step::TooLong);
    assert_eq!(Introduction::default().take(&[b'x'; 10 * MOST_BYTES]), Step::TooLong);
}
