//! Frames that were rejected: kept with the reason, and sent through again once that is mended.

use std::io::Write;

use serde_json::Value;

use crate::harness::Folder;

/// Frames with their length in front, as the standard input has them.
fn framed(frames: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        bytes.extend((frame.len() as u32).to_be_bytes());
        bytes.extend(frame.as_bytes());
    }
    bytes
}

fn parsed(folder: &Folder, name: &str) -> Vec<Value> {
    let text = folder.read(name);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_processor_and_sink_rejected_arrives_once_after_a_replay_of_the_file() {
    let folder = Folder::new();
    // What has no number `work` rejects, what has a newline in it `network` cannot frame; a store stands in front of the letters.
    folder.write(
        "p.toml",
        r#"
        name = "p"
        flow = ["input -> work -> network", "work.rejected, network.rejected -> keep -> letters"]
        sources.input = { type = "stdin", framing = { type = "length_delimited", header_bytes = 4 } }
        processors.work = { type = "verify", on_error = "reject" }
        spills.keep = { directory = "keep", persist = "always" }
        [sinks.network]
        type = "file"
        path = "out.txt"
        framing = { type = "delimited", delimiter = "\n" }
        [sinks.letters]
        type = "file"
        path = "letters.json"
        format = "json"
        framing = { type = "length_delimited", header_bytes = 4 }
        "#,
    );
    let mut program = folder.run(&["p.toml"]);
    let frames = framed(&["1 a", "none", "2 b\nc", "3 d", "no number\neither"]);
    program.stdin.take().unwrap().write_all(&frames).unwrap();
    assert_eq!(program.exit_code(), 0);
    assert_eq!(folder.read("out.txt"), "1 a\n3 d\n");
    let letters = parsed(&folder, "letters.json");
    let mut said: Vec<_> = letters
        .iter()
        .map(|letter| {
            (
                letter["seq"].as_u64().unwrap(),
                letter["rejected"]["actor"].as_str().unwrap(),
            )
        })
        .collect();
    said.sort_unstable();
    assert_eq!(said, [(1, "work"), (2, "network"), (4, "work")]);
    // Mended: no numbers are asked for, and the framing bears a newline.
    folder.write(
        "again.toml",
        r#"
        name = "again"
        flow = ["letters -> network"]
        sources.letters = { type = "file", path = "letters.json", format = "json" }
        [sinks.network]
        type = "file"
        path = "again.json"
        format = "json"
        framing = { type = "length_delimited", header_bytes = 4 }
        "#,
    );
    assert_eq!(folder.run(&["again.toml"]).exit_code(), 0);
    let arrived = parsed(&folder, "again.json");
    assert_eq!(arrived.len(), letters.len());
    for (arrived, letter) in arrived.iter().zip(&letters) {
        for member in ["source", "epoch", "seq", "received", "text"] {
            assert_eq!(arrived[member], letter[member], "{member}");
        }
        for member in ["reason", "actor", "time"] {
            let attribute = format!("aqueduct.replayed.{member}");
            assert_eq!(
                arrived["attributes"][&attribute], letter["rejected"][member],
                "{member}"
            );
        }
    }
}
