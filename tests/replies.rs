//! Replies of a source that wait for the disk or for the destination, and quote the message: HL7 over MLLP, where the sender waits for `MSA|AA|` with the id
//! of its message.

mod sender;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};

use crate::harness::{Folder, Program};
use sender::{Sender, Taker};

/// The table `reply` of an MLLP receiver.
fn hl7(when: &str) -> String {
    format!(
        r#"{{ when = "{when}", match = '(?-u)^\x0bMSH(?:\|[^|\r]*){{8}}\|(?<id>[^|\r]+)', template = "\u000bMSH|^~\\&|||||||ACK\rMSA|AA|{{id}}\r\u001c\r", else = "\u000bMSH|^~\\&|||||||ACK\rMSA|AR|\r\u001c\r" }}"#
    )
}

fn pipeline(flow: &str, reply: &str, rest: &str) -> String {
    format!(
        r#"
        name = "p"
        flow = {flow}
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0", framing = {{ type = "delimited", delimiter_hex = "1c0d" }}, reply = {reply} }}
        {rest}
        "#
    )
}

/// A store that is synced before it hands anything on, and a file behind it.
const STORED: &str = r#"
    spills.drain = { directory = "store", persist = "always" }
    sinks.out = { type = "file", path = "out.txt", framing = { type = "delimited", delimiter = "\n" } }
"#;

fn stored(folder: &Folder) -> Program {
    folder.run_pipeline(&pipeline(r#"["source -> drain -> out"]"#, &hl7("durable"), STORED))
}

#[test]
fn a_message_that_was_acknowledged_is_delivered_though_the_program_was_killed() {
    let folder = Folder::new();
    // Nobody is there to take it, so that the disk alone can have kept it.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sink = format!(
        r#"
        spills.drain = {{ directory = "store", persist = "always" }}
        sinks.out = {{ type = "tcp_client", address = "{nobody}" }}
        "#
    );
    let flow = r#"["source -> drain -> out"]"#;
    let program = folder.run_pipeline(&pipeline(flow, &hl7("durable"), &sink));
    let mut sender = Sender::connect(program.address_of("source"));
    for id in ["A1", "A2"] {
        sender.send(id);
        assert_eq!(sender.ack(), format!("AA|{id}"));
    }
    program.kill();
    let program = stored(&folder);
    program.wait_for("both are delivered", |status| status.number("out", "frames_out") == 2);
    let out = folder.read("out.txt");
    assert!(out.contains("|A1|") && out.contains("|A2|"), "{out}");
    program.stop();
}

#[test]
fn while_the_disk_takes_nothing_there_is_no_acknowledgement_and_then_all_come_in_order() {
    let folder = Folder::new();
    let program = stored(&folder);
    let mut sender = Sender::connect(program.address_of("source"));
    sender.send("before");
    assert_eq!(sender.ack(), "AA|before");
    program.limit_files(Some(0));
    for id in ["B1", "B2", "B3"] {
        sender.send(id);
    }
    let status = program.wait_for("the store cannot write", |status| {
        status.number("drain", "storage_failures") >= 2 && status.number("source", "unanswered_frames") == 3
    });
    assert_eq!(status.number("source", "replies"), 1);
    sender.assert_silent();
    program.limit_files(None);
    for id in ["B1", "B2", "B3"] {
        assert_eq!(sender.ack(), format!("AA|{id}"));
    }
    program.wait_for("nothing waits", |status| {
        status.number("source", "unanswered_frames") == 0
    });
    program.stop();
}

/// A destination that answers each line with a byte, by way of a store or not.
fn answering(folder: &Folder, store: &str, address: SocketAddr) -> Program {
    let sink = format!(
        r#"
        sinks.out = {{ type = "tcp_client", address = "{address}", acknowledge = "reply", reply = {{ bytes = 1 }}, framing = {{ type = "delimited" }}, retry = {{ first = "1ms", max = "20ms" }} }}
        {store}
        "#
    );
    let flow = if store.is_empty() {
        r#"["source -> out"]"#
    } else {
        r#"["source -> drain -> out"]"#
    };
    folder.run_pipeline(&pipeline(flow, &hl7("delivered"), &sink))
}

const STORES: [&str; 2] = [
    r#"spills.drain = { directory = "store", persist = "always" }"#,
    // Written soon after it came.
    r#"spills.drain = { directory = "store", memory_age = "1ms" }"#,
];

/// Where nobody listens for now.
fn away() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn while_the_destination_is_away_there_is_no_acknowledgement_and_then_all_come_in_order() {
    for store in ["", STORES[0], STORES[1]] {
        let (folder, address) = (Folder::new(), away());
        let program = answering(&folder, store, address);
        let mut sender = Sender::connect(program.address_of("source"));
        let ids = ["C1", "C2", "C3"];
        ids.iter().for_each(|id| sender.send(id));
        program.wait_for("it is tried again and again", |status| {
            let on_disk = store.is_empty() || status.number("drain", "disk_bytes") > 0;
            on_disk && status.number("out", "retries") >= 3
        });
        sender.assert_silent();
        let mut taken = Taker::accept(&TcpListener::bind(address).unwrap());
        ids.iter().for_each(|id| taken.take(id));
        sender.assert_silent();
        ids.iter().for_each(|_| taken.answer());
        ids.iter().for_each(|id| assert_eq!(sender.ack(), format!("AA|{id}")));
        sender.send("C4");
        taken.take("C4");
        sender.assert_silent();
        taken.answer();
        assert_eq!(sender.ack(), "AA|C4");
        program.stop();
    }
}

#[test]
fn what_waits_in_a_store_at_the_end_has_no_reply_and_is_not_lost() {
    for store in STORES {
        let (folder, address) = (Folder::new(), away());
        let program = answering(&folder, store, address);
        let mut sender = Sender::connect(program.address_of("source"));
        sender.send("D1");
        program.wait_for("it waits", |status| {
            status.number("source", "unanswered_frames") == 1 && status.number("drain", "disk_bytes") > 0
        });
        // Exit code 0, so that it counts nothing as lost.
        program.stop();
        assert_eq!(sender.until_end(), "");
        let program = answering(&folder, store, address);
        let mut taken = Taker::accept(&TcpListener::bind(address).unwrap());
        taken.take("D1");
        taken.answer();
        program.wait_for("it is delivered", |status| {
            status.number("drain", "waiting_frames") == 0
        });
        program.stop();
    }
}

#[test]
fn a_message_that_is_lost_ends_the_connection_and_never_has_a_reply() {
    let folder = Folder::new();
    let sink = r#"sinks.out = { type = "file", path = "out.txt", framing = { type = "delimited" } }"#;
    let program = folder.run_pipeline(&pipeline(r#"["source -> out"]"#, &hl7("delivered"), sink));
    let mut sender = Sender::connect(program.address_of("source"));
    sender.send("good");
    assert_eq!(sender.ack(), "AA|good");
    // No line can hold it, and nothing keeps what the sink rejects.
    sender.send("bad\nid");
    // What stays unread makes no RST, which would destroy replies under way.
    (0..100).for_each(|number| sender.send(&number.to_string()));
    sender.finish();
    assert_eq!(sender.until_end(), "");
    program.log.first(&["gets no reply to its last", "rejected"]);
    let status = program.wait_for("it is counted", |status| status.number("source", "loss_closes") == 1);
    assert!(status.number("source", "replies_withheld") >= 1);
    assert_eq!(status.number("source", "unanswered_frames"), 0);
    let mut again = Sender::connect(program.address_of("source"));
    again.send("next");
    assert_eq!(again.ack(), "AA|next");
    program.stop_having_lost(1);
}

#[test]
fn a_server_that_closes_is_dialled_again_though_its_replies_are_owed() {
    let (folder, listener) = (Folder::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let config = format!(
        r#"
        name = "p"
        flow = "source -> drain -> out"
        sources.source = {{ type = "tcp_client", address = "{}", reply = {{ when = "delivered", template = "+" }}, retry = {{ first = "1ms" }} }}
        spills.drain = {{ directory = "store" }}
        sinks.out = {{ type = "tcp_client", address = "{}", retry = {{ max = "20ms" }} }}
        "#,
        listener.local_addr().unwrap(),
        away()
    );
    let program = folder.run_pipeline(&config);
    for number in 1..3 {
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"line\n").unwrap();
        program.wait_for("it is read", |status| status.number("source", "frames_in") == number);
    }
    program.wait_for("they are counted", |status| {
        status.number("source", "replies_withheld") == 2
    });
    program.stop();
}

#[test]
fn dead_letters_and_what_a_filter_drops_have_been_dealt_with() {
    let folder = Folder::new();
    let rest = r#"
        processors.filter = { type = "filter", contains = "|noise|", mode = "drop" }
        sinks.out = { type = "file", path = "out.txt", framing = { type = "delimited" } }
        sinks.letters = { type = "file", path = "letters.jsonl", format = "json" }
    "#;
    let flow = r#"["source -> filter -> out", "out.rejected -> letters"]"#;
    let program = folder.run_pipeline(&pipeline(flow, &hl7("delivered"), rest));
    let mut sender = Sender::connect(program.address_of("source"));
    for id in ["noise", "bad\nid", "good"] {
        sender.send(id);
        assert_eq!(sender.ack(), format!("AA|{id}"));
    }
    assert!(folder.read("letters.jsonl").contains("bad"));
    assert!(!folder.read("out.txt").contains("noise"));
    program.stop();
}

#[test]
fn a_message_that_is_too_long_ends_the_connection_behind_the_replies_to_those_before_it() {
    let folder = Folder::new();
    let config = pipeline(r#"["source -> drain -> out"]"#, &hl7("durable"), STORED);
    let config = config.replace(r#""1c0d""#, r#""1c0d", max_frame_bytes = 1000"#);
    let program = folder.run_pipeline(&config);
    let mut sender = Sender::connect(program.address_of("source"));
    sender.send("first");
    assert_eq!(sender.ack(), "AA|first");
    sender.send(&"9".repeat(2_000));
    assert_eq!(sender.until_end(), "");
    program.log.first(&["gets no reply to its last", "max_frame_bytes"]);
    program.stop_having_lost(1);
}

#[test]
fn a_message_without_an_id_has_the_other_reply_and_is_counted() {
    let folder = Folder::new();
    let program = stored(&folder);
    let mut sender = Sender::connect(program.address_of("source"));
    sender.say("\x0bPID|nothing\r\x1c\r");
    assert_eq!(sender.ack(), "AR|");
    sender.send("D1");
    assert_eq!(sender.ack(), "AA|D1");
    program.wait_for("it is counted", |status| {
        status.number("source", "replies_unmatched") == 1
    });
    program.stop();
}

#[test]
fn who_has_finished_sending_still_has_its_replies() {
    let folder = Folder::new();
    let program = stored(&folder);
    let mut sender = Sender::connect(program.address_of("source"));
    let messages: Vec<String> = (0..3_000).map(|number| sender::message(&number.to_string())).collect();
    sender.say(&messages.concat());
    sender.finish();
    for number in 0..3_000 {
        assert_eq!(sender.ack(), format!("AA|{number}"));
    }
    assert_eq!(sender.until_end(), "");
    program.stop();
}

#[test]
fn at_the_bound_of_what_may_wait_no_more_is_read() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sink = format!(
        r#"sinks.out = {{ type = "tcp_client", address = "{address}", acknowledge = "reply", reply = {{ bytes = 1 }}, framing = {{ type = "delimited" }} }}"#
    );
    let reply = r#"{ when = "delivered", template = "+", window_frames = 2 }"#;
    let program = folder.run_pipeline(&pipeline(r#"["source -> out"]"#, reply, &sink));
    let mut sender = Sender::connect(program.address_of("source"));
    let mut taken = Taker::accept(&listener);
    for id in ["E1", "E2"] {
        sender.send(id);
        taken.take(id);
    }
    // It lies in the kernel's buffer, and is read when there is room.
    sender.send("E3");
    program.wait_for("the source reads no more", |status| {
        status.number("source", "unread_bytes_peak") > 0
    });
    assert_eq!(program.status_of("p").number("source", "frames_in"), 2);
    taken.answer();
    assert_eq!(sender.take(1), "+");
    taken.take("E3");
    taken.answer();
    taken.answer();
    assert_eq!(sender.take(2), "++");
    program.stop();
}

#[test]
fn replies_at_once_quote_too() {
    let folder = Folder::new();
    let reply = r#"{ match = '\|(?<id>[A-Z]+\d+)\|', template = "{\"id\":\"{id}\",\"peer\":\"{peer.address}\"}\n" }"#;
    let sink = r#"sinks.out = { type = "blackhole" }"#;
    let program = folder.run_pipeline(&pipeline(r#"["source -> out"]"#, reply, sink));
    let mut sender = Sender::connect(program.address_of("source"));
    let peer = sender.address();
    for id in ["F1", "F2"] {
        sender.send(id);
        let expected = format!("{{\"id\":\"{id}\",\"peer\":\"{peer}\"}}\n");
        assert_eq!(sender.take(expected.len()), expected);
    }
    program.stop();
}

#[test]
fn check_says_what_does_not_go_together() {
    let direct = (r#"["source -> out"]"#, r#"sinks.out = { type = "blackhole" }"#);
    let overflow = (
        r#"["source -> drain -> out"]"#,
        r#"
        spills.drain = { directory = "store" }
        sinks.out = { type = "blackhole" }
        "#,
    );
    let beside = (
        r#"["source -> drain -> out", "source -> also"]"#,
        r#"
        spills.drain = { directory = "store", persist = "always" }
        sinks.out = { type = "blackhole" }
        sinks.also = { type = "blackhole" }
        "#,
    );
    let always = (r#"["source -> drain -> out"]"#, STORED);
    let twice = (
        r#"["source -> drain -> more -> out"]"#,
        r#"
        spills.drain = { directory = "store", persist = "always" }
        spills.more = { directory = "more" }
        sinks.out = { type = "blackhole" }
        "#,
    );
    let readers = (
        r#"["source -> drain -> out"]"#,
        r#"
        spills.drain = { directory = "store", persist = "always", retain_bytes = "1 GiB" }
        sinks.out = { type = "tcp_server", listen = "127.0.0.1:0", clients = "named", tokens = { a = "a-token" } }
        "#,
    );
    let cases = [
        (
            direct,
            r#"when = "durable", template = "+""#,
            "they come to `out` without a store in front",
        ),
        (
            overflow,
            r#"when = "durable", template = "+""#,
            "the store `drain` keeps them in memory first",
        ),
        (
            beside,
            r#"when = "durable", template = "+""#,
            "they come to `also` without a store in front",
        ),
        (
            twice,
            r#"when = "delivered", template = "+""#,
            "behind the store `drain` stands another, `more`",
        ),
        (
            readers,
            r#"when = "delivered", template = "+""#,
            "the store `drain` keeps them for readers",
        ),
        (
            always,
            r#"when = "durable", per = "read", template = "+""#,
            "cannot wait for frames",
        ),
        (always, r#"per = "read", template = "{peer.address}""#, "nor quote them"),
        (
            always,
            r#"template = "{id}""#,
            "a group (?<id>...) of `match` would be one more",
        ),
        (
            always,
            r#"match = '(?<id>x)', template = "{ids}""#,
            "{total}, {peer.address}, {id}",
        ),
        (
            always,
            r#"match = '(?<id>x)', template = "+", else = "{id}""#,
            "`reply.else` has {id}",
        ),
        (always, r#"template = "+", else = "-""#, "give a `match`"),
        (
            always,
            r#"match = '(', template = "+""#,
            "`reply.match` = \"(\" is no regular expression",
        ),
        (
            always,
            r#"match = '(?<bytes>x)', template = "+""#,
            "give it another name",
        ),
        (always, r#"template = "+", window_frames = 5"#, "leave it out"),
        (
            always,
            r#"match = '(?<id>x)', template = "{id} is here", max_reply_bytes = 4"#,
            "raise it",
        ),
    ];
    for ((flow, rest), reply, expected) in cases {
        let folder = Folder::new();
        folder.write("p.toml", &pipeline(flow, &format!("{{ {reply} }}"), rest));
        let output = folder.aqueduct(&["check", "p.toml"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{reply}: {errors}");
        assert!(errors.contains(expected), "{reply}: {errors}");
    }
}

#[test]
fn a_store_on_every_way_but_that_of_dead_letters_is_enough() {
    let rest = r#"
        processors.numbers = { type = "verify", on_error = "reject" }
        spills.drain = { directory = "store", persist = "always" }
        sinks.out = { type = "blackhole" }
        sinks.letters = { type = "file", path = "letters.txt" }
    "#;
    let flow = r#"["source -> numbers -> drain -> out", "numbers.rejected -> letters"]"#;
    let folder = Folder::new();
    folder.write(
        "p.toml",
        &pipeline(flow, r#"{ when = "durable", template = "+" }"#, rest),
    );
    let output = folder.aqueduct(&["check", "p.toml"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
