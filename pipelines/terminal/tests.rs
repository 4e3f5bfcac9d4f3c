use super::*;

#[test]
fn a_line_is_cut_between_characters_and_by_the_cells_they_take() {
    assert_eq!(cut("größer", 6), "größer");
    assert_eq!(cut("größer", 4), "grö…");
    assert_eq!(cut("größer", 0), "…");
    // Two cells each, so that two and the ellipsis take five.
    assert_eq!(cut("数据管道", 8), "数据管道");
    assert_eq!(cut("数据管道", 7), "数据管…");
    assert_eq!(cut("数据管道", 6), "数据…");
    // A combining accent takes none.
    assert_eq!(cut("e\u{301}e\u{301}", 2), "e\u{301}e\u{301}");
    assert_eq!(cut("a word", 3), "a…");
}

#[test]
fn a_line_is_wrapped_between_words_and_only_a_word_that_fits_no_line_is_parted() {
    assert_eq!(wrapped("as long as it fits", 18, 2), "as long as it fits");
    assert_eq!(wrapped("as long as it fits", 17, 2), "as long as it\n  fits");
    assert_eq!(
        wrapped("  in     5 B/s  and more", 14, 2),
        "  in     5 B/s\n    and more"
    );
    assert_eq!(wrapped("go /a/very/long/path on", 10, 0), "go\n/a/very/lo\nng/path on");
    assert_eq!(wrapped("数据 管道 数据", 10, 0), "数据 管道\n数据");
    assert_eq!(wrapped("", 10, 4), "");
}

#[test]
fn no_wrapped_line_is_wider_than_the_terminal() {
    let line = "  a_sink: blocked for 3 s by 数据管道数据管道数据管道数据管道, which takes 0 B/s, /of/a/long/path/without/a/space/in/it";
    // Narrower than that the indent and one wide sign have no room.
    for columns in 4..130 {
        for part in wrapped(line, columns, 4).lines() {
            assert!(width(part) <= columns, "{columns}: {part}");
        }
    }
}

#[test]
fn a_row_that_was_drawn_takes_several_when_the_terminal_is_narrower() {
    assert_eq!([rows("", 60), rows("abc", 3), rows("abcd", 3)], [1, 1, 2]);
    // A sign of two cells is not parted.
    assert_eq!(rows("数据数", 3), 3);
}

#[test]
fn columns_line_up_by_cells() {
    let row = |cells: [&str; 3]| cells.map(str::to_owned);
    let lines = table(
        &[
            row(["name", "frames", "state"]),
            row(["数据", "12", "waits"]),
            row(["c", "1234567", ""]),
        ],
        [false, true, false],
        2,
    );
    assert_eq!(lines, ["name   frames  state", "数据       12  waits", "c     1234567"]);
}
