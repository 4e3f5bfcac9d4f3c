//! What the options may be.

use super::*;

fn refused(name: &str, settings: Value) -> String {
    build(name, settings).err().expect("refused").to_string()
}

#[test]
fn wrong_options_say_what_to_do() {
    let both = refused("delimited", json!({ "delimiter": "a", "delimiter_hex": "0a" }));
    assert!(both.contains("remove one"), "{both}");
    for hex in ["0", "0g", "+1", "é"] {
        let error = refused("delimited", json!({ "delimiter_hex": hex }));
        assert!(
            error.contains(hex) && error.contains("two hexadecimal digits"),
            "{error}"
        );
    }
    let empty = refused("delimited", json!({ "delimiter": "" }));
    assert!(empty.contains("1 to 257"), "{empty}");
    let header = refused("length_delimited", json!({ "header_bytes": 3 }));
    assert!(header.contains("1, 2, 4 or 8"), "{header}");
    let unknown = refused("newline", json!({}));
    assert!(
        unknown.contains("\"newline\"") && unknown.contains("length_delimited"),
        "{unknown}"
    );
}

#[test]
fn missing_and_unknown_options_are_refused() {
    assert!(refused("fixed", Value::Null).contains("bytes"));
    assert!(refused("fixed", json!({ "bytes": 0 })).contains("nonzero"));
    for name in BUILT_IN {
        assert!(refused(name, json!({ "colour": "red" })).contains("colour"));
    }
}

#[test]
fn a_delimiter_of_the_greatest_length_is_found_split_anywhere_behind_an_oversized_frame() {
    let delimiter = "-".repeat(LONGEST_DELIMITER_BYTES - 1) + ">";
    let bytes = format!("{}{delimiter}end{delimiter}", "x".repeat(1000));
    let limits = Limits {
        max_frame_bytes: 10,
        ..Limits::default()
    };
    for at in 0..bytes.len() {
        let mut stream = Stream::limited("delimited", json!({ "delimiter": delimiter }), limits);
        stream.read(&bytes.as_bytes()[..at]).unwrap();
        stream.read(&bytes.as_bytes()[at..]).unwrap();
        assert_eq!(stream.frames, [b"end".to_vec()], "split at {at}");
    }
    assert!(refused("delimited", json!({ "delimiter": delimiter + ">" })).contains("258 bytes"));
}

#[test]
fn limits_have_the_defaults_of_the_documentation() {
    let limits: Limits = serde_json::from_value(json!({})).unwrap();
    assert_eq!(limits.max_frame_bytes, 1024 * 1024);
    assert_eq!(limits.on_oversize, OnOversize::Discard);
    let close: Limits = serde_json::from_value(json!({ "on_oversize": "close" })).unwrap();
    assert_eq!(close.on_oversize, OnOversize::Close);
}
