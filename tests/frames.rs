//! Frames that are too long, and frames that arrive in pieces.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::harness::{Folder, PATIENCE, Program};

fn to_file(folder: &Folder, framing: &str, options: &str) -> Program {
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> out"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0", framing = {{ {framing} }}{options} }}
        sinks.out = {{ type = "file", path = "out.txt", framing = {{ type = "delimited" }} }}
        "#
    ))
}

#[test]
fn an_oversized_frame_is_discarded_and_counted_and_its_neighbours_arrive() {
    let folder = Folder::new();
    let program = to_file(&folder, r#"type = "delimited", max_frame_bytes = 1000"#, "");
    let mut stream = TcpStream::connect(program.address_of("source")).unwrap();
    let long = "x".repeat(400_000);
    stream.write_all(format!("before\n{long}\nafter\n").as_bytes()).unwrap();
    let status = program.wait_for("both neighbours arrive", |status| {
        status.number("out", "frames_out") == 2
    });
    assert_eq!(status.number("source", "oversized_frames"), 1);
    assert_eq!(status.number("source", "oversized_bytes"), 400_001);
    assert_eq!(folder.read("out.txt"), "before\nafter\n");
    program.stop_having_lost(1);
}

#[test]
fn an_oversized_frame_closes_the_connection_where_the_framing_says_so() {
    let folder = Folder::new();
    let program = to_file(
        &folder,
        r#"type = "length_delimited", header_bytes = 4, max_frame_bytes = 1000, on_oversize = "close""#,
        "",
    );
    let mut stream = TcpStream::connect(program.address_of("source")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"\0\0\0\x06before\x7f\xff\xff\xff").unwrap();
    // Zero bytes, or an error because our last bytes stayed unread: closed either way.
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    let status = program.wait_for("the close is counted", |status| {
        status.number("source", "refused_streams") == 1
    });
    assert_eq!(status.number("source", "oversized_frames"), 1);
    program.log.first(&["source", "closed on our side", "1000"]);
    program.stop_having_lost(1);
    assert_eq!(folder.read("out.txt"), "before\n");
}

#[test]
fn lines_with_a_two_byte_delimiter_may_be_split_at_every_byte() {
    splits(
        r#"type = "delimited", delimiter_hex = "0d0a""#,
        b"a\r\n\rbc\r\n\r\n-\r\r\n",
        "a\n\rbc\n\n-\r\n",
    );
}

#[test]
fn frames_with_a_length_in_front_may_be_split_at_every_byte() {
    splits(
        r#"type = "length_delimited", header_bytes = 2, endian = "little""#,
        b"\x01\0a\0\0\x03\0bcd",
        "a\n\nbcd\n",
    );
}

#[test]
fn frames_of_a_fixed_size_may_be_split_at_every_byte() {
    splits(r#"type = "fixed", bytes = 3"#, b"abcdefghi", "abc\ndef\nghi\n");
}

/// Sends `wire` in two pieces, once for each place where it can be cut, and expects `lines` every time. The reply to each read
/// proves that the pieces were read one by one.
fn splits(framing: &str, wire: &[u8], lines: &str) {
    let folder = Folder::new();
    let program = to_file(
        &folder,
        framing,
        r#", reply = { per = "read", template = "{bytes}\n" }"#,
    );
    let mut stream = TcpStream::connect(program.address_of("source")).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rounds = 0;
    for at in 1..wire.len() {
        for piece in [&wire[..at], &wire[at..]] {
            stream.write_all(piece).unwrap();
            let expected = format!("{}\n", piece.len());
            let mut reply = vec![0; expected.len()];
            stream.read_exact(&mut reply).unwrap();
            assert_eq!(String::from_utf8_lossy(&reply), expected, "bytes of one read");
        }
        rounds += 1;
    }
    drop(stream);
    let frames = rounds * lines.matches('\n').count() as u64;
    program.wait_for("all frames arrive", |status| {
        status.number("out", "frames_out") >= frames
    });
    program.stop();
    assert_eq!(folder.read("out.txt"), lines.repeat(rounds as usize));
}
