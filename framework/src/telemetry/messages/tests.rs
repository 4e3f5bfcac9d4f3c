//! What is found in frames, and which patterns are refused.

use super::*;

fn matcher(table: &str) -> MessageMatcher {
    MessageMatcher::new(&toml::from_str(table).unwrap())
}

fn id(pattern: &str, frame: &str) -> Option<String> {
    let config = format!("id = {pattern:?}");
    matcher(&config).id(frame.as_bytes()).map(Cow::into_owned)
}

#[test]
fn a_regex_gives_its_group() {
    assert_eq!(id(r"id=(\w+)", "level=info id=a17 x"), Some("a17".into()));
    assert_eq!(id(r"id=(\w+)", "level=info"), None);
    assert_eq!(id(r"(?:id|nr)=(\d+)", "nr=4711"), Some("4711".into()));
    assert_eq!(id(r"id=(\d*)", "id=x"), None, "an empty text is no id");
}

#[test]
fn a_path_gives_the_string_or_number_there() {
    let order = r#"{"a":[1,{"b":2}],"order":{"x":null,"id":"o-17","nr":4711,"sum":1.5,"ok":true}}"#;
    assert_eq!(id("$.order.id", order), Some("o-17".into()));
    assert_eq!(id("$.order.nr", order), Some("4711".into()));
    assert_eq!(id("$.order.sum", order), Some("1.5".into()));
    assert_eq!(id("$.a[1].b", order), Some("2".into()));
    assert_eq!(id("$['order'][\"id\"]", order), Some("o-17".into()));
    for nothing in [
        "$.order",
        "$.order.ok",
        "$.order.x",
        "$.order.id.more",
        "$.a[2]",
        "$.id",
    ] {
        assert_eq!(id(nothing, order), None, "{nothing}");
    }
    assert_eq!(id("$.id", r#"{"id":"a\"b"}"#), Some("a\"b".into()));
    assert_eq!(
        id("$.id", r#"{"id":18446744073709551615}"#),
        Some("18446744073709551615".into())
    );
    assert_eq!(
        id("$.id", r#"{"id":18446744073709551617}"#),
        None,
        "it does not fit 64 bits"
    );
    assert_eq!(id("$.id", "no JSON"), None);
    assert_eq!(id("$.id", r#"{"id":"cut o"#), None);
}

#[test]
fn only_frames_that_match_are_followed() {
    let matcher = matcher("id = 'id=(\\d+)'\nmatch = '^ERROR'");
    assert_eq!(matcher.id(b"ERROR id=1").as_deref(), Some("1"));
    assert_eq!(matcher.id(b"INFO id=2 after an ERROR"), None);
}

#[test]
fn what_is_too_long_is_no_id() {
    let frame = |length| format!("id={}", "7".repeat(length));
    assert!(id(r"id=(\d+)", &frame(ID_BYTES_MAX)).is_some());
    assert_eq!(id(r"id=(\d+)", &frame(ID_BYTES_MAX + 1)), None);
}

#[test]
fn a_frame_says_which_trace_it_belongs_to() {
    let matcher = matcher("id = '(x)'\ncontext = '$.tp'");
    let frame = |value: &str| format!(r#"{{"tp":"{value}"}}"#);
    let context = |value| matcher.context(frame(value).as_bytes());
    let found = context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
    assert_eq!(found.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    assert_eq!(found.span_id.get(), 0xb7ad_6b71_6920_3331);
    assert!(found.sampled);
    assert!(
        !context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
            .unwrap()
            .sampled
    );
    assert_eq!(context("garbage"), None);
}

#[test]
fn a_pattern_that_cannot_work_is_refused_with_its_reason() {
    let refused = |text: &str| text.parse::<FieldPattern>().unwrap_err();
    assert!(refused("id=\\d+").contains("0 capture groups where one is needed"));
    assert!(refused("(a)(b)").contains("2 capture groups"));
    assert!(refused("(a").contains("is no regex: unclosed group"));
    for path in ["$.", "$..id", "$.a[", "$.a[x]", "$.a.*", "$['a", "$[-1]"] {
        assert!(refused(path).contains("is no JSON path"), "{path}");
    }
}
