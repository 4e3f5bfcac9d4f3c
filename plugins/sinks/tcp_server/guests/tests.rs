use super::*;

fn tokens(tokens: &[(&str, &str)]) -> Result<Guests> {
    let tokens = tokens
        .iter()
        .map(|(name, token)| ((*name).to_owned(), Secret((*token).to_owned())));
    Guests::new(tokens.collect(), false)
}

fn mistake(guests: Result<Guests>) -> String {
    guests.expect_err("a mistake").to_string()
}

#[test]
fn a_token_stands_for_its_name_and_nothing_like_it_does() {
    let guests = tokens(&[("audit", "s3cret"), ("billing", "other")]).expect("they fit");
    assert_eq!(guests.name(b"s3cret").expect("known"), "audit");
    assert_eq!(guests.name(b"other").expect("known"), "billing");
    for wrong in ["", "s3cre", "s3creT", "s3cret ", "audit", "s3cretother"] {
        let refused = guests.name(wrong.as_bytes()).expect_err("nobody");
        assert_eq!(refused, "its first line is none of the tokens", "{wrong:?}");
    }
}

#[test]
fn where_everybody_is_trusted_the_line_is_the_name() {
    let guests = Guests::new(BTreeMap::new(), true).expect("they fit");
    assert_eq!(guests.name(b"billing-2.eu").expect("a name"), "billing-2.eu");
    for wrong in ["", "-x", "../x", "a b", "a\u{e4}", &"x".repeat(65)] {
        assert!(guests.name(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
    assert!(guests.name(b"\xff").is_err());
}

#[test]
fn what_nobody_could_use_is_a_mistake() {
    assert!(mistake(Guests::new(BTreeMap::new(), false)).contains("needs `tokens`"));
    assert!(mistake(tokens(&[("a/b", "x")])).contains("\"a/b\" is no name"));
    assert!(mistake(tokens(&[("a", "x"), ("b", "x")])).contains("a and b have the same one"));
    for wrong in ["", " x", "a\nb", &"x".repeat(MOST_BYTES + 1)] {
        assert!(
            mistake(tokens(&[("a", wrong)])).contains("the token of a must be"),
            "{wrong:?}"
        );
    }
    let both = BTreeMap::from([("a".to_owned(), Secret("x".to_owned()))]);
    assert!(mistake(Guests::new(both, true)).contains("leave one of them out"));
}

#[test]
fn a_token_is_shown_to_nobody() {
    let guests = tokens(&[("audit", "s3cret")]).expect("they fit");
    assert!(!format!("{guests:?}").contains("s3cret"));
}
