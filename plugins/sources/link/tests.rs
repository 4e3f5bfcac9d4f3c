use aqueduct_framework::testing::source;

use super::Link;

#[test]
fn a_hello_timeout_that_no_sender_can_keep_is_refused() {
    let link = source::<Link>("listen = \"127.0.0.1:0\"\nhello_timeout = \"0s\"");
    let why = link.try_start().map(|_| ()).expect_err("it is too short").to_string();
    assert!(why.contains("`hello_timeout` must be more than 0s"), "{why}");
}
