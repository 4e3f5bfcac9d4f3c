//! Options that do not fit together are told before anything starts.

use crate::testing::mistakes;

fn said(options: &str) -> String {
    mistakes(&format!(
        r#"
        flow = ["input -> output"]
        [sources.input]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        [sinks.output]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        {options}
        "#
    ))
}

#[test]
fn an_option_of_other_clients_is_a_mistake() {
    for (options, words) in [
        ("lag_limit = \"5s\"", "`lag_limit` needs `clients = \"all\"`"),
        (
            "max_clients = 2",
            "`max_clients` needs `clients = \"all\" or \"named\"`",
        ),
        ("any_name = true", "`any_name` needs `clients = \"named\"`"),
        (
            "clients = \"all\"\ntokens = { a = \"b\" }",
            "`tokens` needs `clients = \"named\"`",
        ),
        ("clients = \"all\"\nnew_clients = \"newest\"", "`new_clients` needs"),
        ("introduction_timeout = \"5s\"", "`introduction_timeout` needs"),
        (
            "clients = \"all\"\nacknowledge = \"kernel\"",
            "clients that must miss nothing need `clients = \"named\"`",
        ),
        ("clients = \"named\"", "needs `tokens`"),
    ] {
        let text = said(options);
        assert!(text.contains(words), "{options}: {text}");
    }
}

#[test]
fn named_clients_need_a_durable_store_in_front() {
    let text = said("clients = \"named\"\nany_name = true");
    assert!(
        text.contains("one arrow to `output`, from a spill store with persist = \"always\""),
        "{text}"
    );
}

#[test]
fn no_token_is_told() {
    let text = said("clients = \"named\"\ntokens = { a = \"s3cret\", b = \"s3cret\" }");
    assert!(text.contains("a and b have the same one"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}
