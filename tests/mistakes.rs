//! Wrong configs and command lines: exit code 2, a message that says where and what, and nothing created or opened.
//! The exact words of every class are tested where they are made, in framework/src/config/cases.

use crate::harness::Folder;

/// Runs this pipeline file and expects these texts on standard error.
fn refused(arguments: &[&str], config: &str, texts: &[&str]) {
    let folder = Folder::new();
    folder.write("p.toml", config);
    for command in ["run", "check", "graph"] {
        let output = folder.aqueduct(&[&[command, "p.toml"], arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command}: {errors}");
        for text in texts {
            assert!(errors.contains(text), "{command}: {text:?} is missing in:\n{errors}");
        }
        assert!(errors.contains("nothing was opened or created"), "{errors}");
        assert_eq!(folder.names(), ["p.toml"], "{command} left something behind");
    }
}

const GOOD: &str = r#"name = "p"
flow = ["source -> drain -> out"]
sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
spills.drain = { directory = "data" }
sinks.out = { type = "file", path = "made/out.txt" }
"#;

#[test]
fn a_good_file_is_fine_and_checking_it_creates_nothing() {
    let folder = Folder::new();
    folder.write("p.toml", GOOD);
    let output = folder.aqueduct(&["check", "p.toml"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "p.toml: pipeline `p` is fine: 3 actors, 2 edges\n");
    assert_eq!(folder.names(), ["p.toml"]);
}

#[test]
fn an_unknown_option_of_a_plugin_is_told_with_its_line_and_the_nearest_name() {
    let config = GOOD.replace("listen =", "lisen =");
    refused(
        &[],
        &config,
        &[
            "p.toml:3:41: sources.source.lisen: unknown key",
            "did you mean `listen`?",
        ],
    );
}

#[test]
fn an_unknown_plugin_is_told_with_its_line_and_the_nearest_name() {
    let config = GOOD.replace("\"file\"", "\"fil\"");
    refused(
        &[],
        &config,
        &[
            "p.toml:5:15: sinks.out.type: no sink is called `fil`",
            "did you mean `file`?",
        ],
    );
}

#[test]
fn an_actor_that_does_not_exist_is_told_with_the_place_in_the_flow() {
    let config = GOOD.replace("drain ->", "dran ->");
    refused(
        &[],
        &config,
        &[
            "p.toml:2:9: flow[0]: no actor is called `dran`",
            "did you mean `drain`?",
        ],
    );
}

#[test]
fn two_actors_on_one_port_are_told_before_either_listens() {
    let config = r#"name = "p"
flow = ["source -> out"]
[sources.source]
type = "tcp_server"
listen = "127.0.0.1:7123"
[sinks.out]
type = "tcp_server"
listen = "127.0.0.1:7123"
"#;
    refused(
        &[],
        config,
        &["p.toml:8:1: sinks.out.listen: 127.0.0.1:7123 is already listened on by sources.source.listen"],
    );
}

#[test]
fn an_address_among_all_those_of_another_is_told_before_either_listens() {
    for (all, one) in [("*", "127.0.0.1"), ("[::]", "0.0.0.0"), ("localhost", "[::1]")] {
        let config = format!(
            r#"name = "p"
flow = ["source -> out"]
[sources.source]
type = "tcp_server"
listen = "{all}:7123"
[sinks.out]
type = "tcp_server"
listen = "{one}:7123"
"#
        );
        let said = format!("{one}:7123 is already listened on by sources.source.listen, with {all}:7123");
        refused(&[], &config, &["p.toml:8:1: sinks.out.listen: ", &said]);
    }
}

#[test]
fn two_stores_in_one_folder_are_told() {
    let config = r#"name = "p"
flow = ["source -> one -> two -> out"]
sources.source = { type = "stdin" }
spills.one = { directory = "data" }
spills.two = { directory = "./data" }
sinks.out = { type = "stdout" }
"#;
    refused(
        &[],
        config,
        &["p.toml:5:16: spills.two.directory", "spills.one.directory"],
    );
}

#[test]
fn two_stores_that_share_a_folder_through_a_symbolic_link_are_told() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("data")).unwrap();
    std::os::unix::fs::symlink("data", folder.path("link")).unwrap();
    // Neither exists yet, and both would be the same.
    folder.write(
        "p.toml",
        r#"name = "p"
flow = ["source -> one -> two -> out"]
sources.source = { type = "stdin" }
spills.one = { directory = "data/deep/store" }
spills.two = { directory = "link/deep/store" }
sinks.out = { type = "stdout" }
"#,
    );
    for command in ["run", "check"] {
        let output = folder.aqueduct(&[command, "p.toml"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command}: {errors}");
        let said = "p.toml:5:16: spills.two.directory: the same path is used by spills.one.directory, through a symbolic link: both are ";
        assert!(errors.contains(said) && errors.contains("data/deep/store"), "{errors}");
    }
    assert_eq!(folder.names(), ["data", "link", "p.toml"]);
}

#[test]
fn a_flow_in_a_circle_is_told() {
    let config = r#"name = "p"
flow = ["source -> one -> two -> out", "two -> one"]
sources.source = { type = "stdin" }
processors.one = { type = "filter", contains = "x" }
processors.two = { type = "filter", contains = "x" }
sinks.out = { type = "stdout" }
"#;
    refused(&[], config, &["p.toml:2:"]);
}

#[test]
fn a_size_that_cannot_be_read_is_told() {
    let config = GOOD.replace("\"data\"", "\"data\", max_bytes = \"10 gigs\"");
    refused(
        &[],
        &config,
        &["p.toml:4:38: spills.drain.max_bytes: `10 gigs` cannot be read", "8 MiB"],
    );
}

#[test]
fn a_plugin_s_own_refusal_is_told_before_anything_is_opened() {
    let config = GOOD
        .replace(
            "flow =",
            "processors.pick = { type = \"filter\", matches = \"(\" }\nflow =",
        )
        .replace("drain ->", "drain -> pick ->");
    refused(&[], &config, &["p.toml:2:38: processors.pick.matches", "`matches`"]);
}

#[test]
fn an_address_that_is_none_is_told_before_anything_is_opened() {
    let config = GOOD.replace("127.0.0.1:0", "127.0.0.1");
    assert_ne!(config, GOOD);
    refused(&[], &config, &["p.toml:3:", "`listen` is `127.0.0.1`, without a port"]);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let config = GOOD
        .replace("listen =", "lisen =")
        .replace("\"file\"", "\"fil\"")
        .replace("drain ->", "dran ->");
    refused(&[], &config, &["p.toml:2:", "p.toml:3:", "p.toml:5:", "mistakes;"]);
}

#[test]
fn a_wrong_setting_on_the_command_line_is_told_as_such() {
    refused(
        &["--set", "sinks.out.pth=x"],
        GOOD,
        &["--set", "sinks.out.pth: unknown key", "did you mean `path`?"],
    );
    refused(&["--set", "sinks.out"], GOOD, &["--set", "sinks.out"]);
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_line() {
    refused(&[], "name = \"p\"\nflow = [", &["p.toml:2"]);
}

#[test]
fn a_file_that_is_missing_is_told() {
    let folder = Folder::new();
    let output = folder.aqueduct(&["run", "missing.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("missing.toml"), "{errors}");
}

#[test]
fn an_unknown_option_of_the_command_line_ends_with_exit_code_2() {
    let folder = Folder::new();
    assert_eq!(folder.aqueduct(&["run", "--nonsense"]).status.code(), Some(2));
}
