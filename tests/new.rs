//! `aqueduct new`: what it writes, and what it refuses. `.ci/run` builds the crates it writes, and runs their pipelines.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::Output;

use crate::harness::{Feeder, Folder, Messages, PATIENCE};

/// The programs that `new plugin` writes, as they are before their names are filled in: they compile, and their tests are run with these.
#[rustfmt::skip]
#[path = "../pipelines/commands/new/templates"]
#[expect(dead_code, reason = "their `main` is for a program of its own")]
mod templates {
    #[path = "framing/main.rs"]
    mod framing;
    #[path = "processor/main.rs"]
    mod processor;
    #[path = "sink/main.rs"]
    mod sink;
    #[path = "source/main.rs"]
    mod source;
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_new_plugin_is_a_crate_that_names_it_everywhere_and_finds_aqueduct() {
    let folder = Folder::new();
    for kind in ["processor", "source", "sink", "framing"] {
        let name = format!("my_{kind}_2");
        let output = folder.aqueduct(&["new", "plugin", &name, "--kind", kind]);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        let file = |file: &str| folder.read(&format!("{name}/{file}"));
        let (program, manifest) = (file("src/main.rs"), file("Cargo.toml"));
        assert!(program.contains(&format!("const NAME: &'static str = \"{name}\"")));
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{manifest}");
        let checkout = env!("CARGO_MANIFEST_DIR");
        assert!(
            manifest.contains(&format!("aqueduct = {{ path = \"{checkout}\" }}")),
            "{manifest}"
        );
        for text in [program, manifest, file("pipeline.toml"), file("README.md")] {
            for left in [
                "my_plugin",
                "MyPlugin",
                "my_role",
                "my_home",
                "my_trial",
                "my_dependencies",
            ] {
                assert!(!text.contains(left), "{left} was left in:\n{text}");
            }
        }
        let next = String::from_utf8(output.stdout).unwrap();
        assert!(next.contains(&format!("cd {name}\n  cargo test\n")), "{next}");
    }
}

#[test]
fn with_git_it_depends_on_the_repository_and_shares_nothing_with_the_checkout() {
    let folder = Folder::new();
    let url = "https://example.org/aqueduct.git";
    folder.aqueduct(&["new", "plugin", "mine", "--git", url, "--path", "deep/down"]);
    let manifest = folder.read("deep/down/Cargo.toml");
    assert!(
        manifest.contains(&format!("aqueduct = {{ git = \"{url}\" }}")),
        "{manifest}"
    );
    assert!(!folder.path("deep/down/.cargo").exists());
}

#[test]
fn nothing_is_overwritten() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("mine")).unwrap();
    folder.write("mine/work", "of a week");
    folder.write("feed.toml", "of a day");
    for arguments in [&["new", "plugin", "mine"], &["new", "pipeline", "feed"]] {
        let output = folder.aqueduct(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(told(&output).contains("nothing is overwritten"), "{}", told(&output));
    }
    assert_eq!(folder.read("feed.toml"), "of a day");
    assert_eq!(std::fs::read_dir(folder.path("mine")).unwrap().count(), 1);
}

#[test]
fn names_that_cannot_be_are_refused_with_one_that_can() {
    let folder = Folder::new();
    let refused = |arguments: &[&str], because: &str| {
        let output = folder.aqueduct(&[&["new"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(told(&output).contains(because), "{arguments:?}: {}", told(&output));
    };
    refused(&["plugin", "My-Plugin"], "how about `my_plugin`?");
    refused(&["plugin", "../up"], "how about `up`?");
    refused(&["plugin", "2"], "small letters, digits and `_`, a letter first");
    refused(&["plugin", "match"], "such as `my_match`");
    refused(&["plugin", "serde"], "such as `my_serde`");
    refused(&["plugin", "filter"], "there is a processor called `filter` already");
    refused(
        &["plugin", "fixed", "--kind", "framing"],
        "there is a framing called `fixed` already",
    );
    refused(&["pipeline", "a/b"], "cannot be the name of a pipeline");
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_new_pipeline_runs_at_once_and_does_what_its_comments_say() {
    let folder = Folder::new();
    let output = folder.aqueduct(&["new", "pipeline", "feed"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let check = folder.aqueduct(&["check", "feed.toml"]);
    assert_eq!(check.status.code(), Some(0), "{}", told(&check));
    let program = folder.run(&["feed.toml"]);
    let (input, network) = (program.address_of("input"), program.address_of("output"));
    let config = folder.read("feed.toml");
    for address in [input, network] {
        assert!(config.contains(&format!("\"{address}\"")), "{address} in:\n{config}");
    }
    Feeder::connect(input, Messages::SHORT).send_text("hello ERROR\nall is well\n");
    let destination = TcpStream::connect(network).unwrap();
    destination.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut line = String::new();
    BufReader::new(&destination).read_line(&mut line).unwrap();
    assert_eq!(line, "hello ERROR\n");
    program.status_of("feed");
    program.stop();
    assert_eq!(folder.read("data/feed-others.txt"), "all is well\n");
}
