//! `aqueduct trace`: where one message is, in every place where a message can be.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use aqueduct::framework::find::State;
use aqueduct::framework::pipeline::{Spot, Trail};

use crate::harness::{Destination, Feeder, Folder, Listener, Messages, Program, Sequence, wait_until};

const MESSAGES: Messages = Messages::SHORT;

/// The number of a message is one more than that of its frame: messages count from 1.
const LAST: u64 = 20_000;

/// Nobody ever comes to the sink.
fn waiting(memory: &str) -> String {
    format!(
        r#"
        name = "p"
        flow = ["plant -> drain -> network"]
        telemetry.messages = {{ id = "^0*(\\d+) " }}
        sources.plant = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data", memory_bytes = "{memory}", memory_age = "1h", segment_bytes = "1 MiB", commit_bytes = "1 MiB" }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        "#
    )
}

fn fill(program: &Program, numbers: std::ops::RangeInclusive<u64>, waiting: u64) {
    Feeder::connect(program.address_of("plant"), MESSAGES).send(numbers);
    program.wait_for("all is taken in", |status| {
        status.number("drain", "waiting_frames") == waiting
    });
}

/// What `aqueduct trace ... --json` says, and its exit code.
fn trail(folder: &Folder, arguments: &[&str]) -> (Trail, Option<i32>) {
    let output = folder.aqueduct(&[&["trace", "--json"], arguments].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let trail = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (trail, output.status.code())
}

fn words(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.aqueduct(&[&["trace"], arguments].concat());
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until the message is found in these actors, in this order.
fn spots<const N: usize>(folder: &Folder, message: &str, actors: [&str; N]) -> [Spot; N] {
    wait_until("the message is there", || {
        let (trail, _) = trail(folder, &[message]);
        let found: Vec<_> = trail.found.iter().map(|spot| spot.actor.as_str()).collect();
        (found == actors).then(|| trail.found.try_into().unwrap())
    })
}

#[test]
fn a_message_that_waits_in_memory() {
    let folder = Folder::new();
    let program = folder.run_pipeline(&waiting("8 MiB"));
    fill(&program, 1..=100, 100);
    let (trail, code) = trail(&folder, &["plant:50"]);
    assert_eq!(code, Some(0));
    let [spot] = &trail.found[..] else {
        panic!("one place: {trail:?}")
    };
    assert_eq!(
        (
            spot.actor.as_str(),
            spot.role.as_str(),
            spot.found.seq,
            spot.found.id.as_deref()
        ),
        ("drain", "spill store", 50, Some("51"))
    );
    let state = State::Stored {
        memory: true,
        disk: false,
        frames_ahead: 50,
    };
    assert_eq!(spot.found.state, state);
    assert!(spot.found.received_ns <= spot.found.since_ns && spot.found.since_ns <= Some(trail.at_ns));
    let words = words(&folder, &["51"]);
    for part in [
        "pipeline p",
        "plant:50, id 51, not traced",
        "drain: waits in memory, 50 frames before it, for ",
    ] {
        assert!(words.contains(part), "{part:?} is missing in:\n{words}");
    }
    program.stop();
}

#[test]
fn messages_on_disk_are_found_by_number_and_by_id_also_those_of_an_earlier_run() {
    let folder = Folder::new();
    let program = folder.run_pipeline(&waiting("64 KiB"));
    fill(&program, 1..=LAST, LAST);
    let on_disk = |frames_ahead| State::Stored {
        memory: false,
        disk: true,
        frames_ahead,
    };
    for seq in [0, 4711, 10_000] {
        let by_number = wait_until("it is on disk only", || {
            let (trail, _) = trail(&folder, &[&format!("plant:{seq}")]);
            (trail.found[0].found.state == on_disk(seq)).then_some(trail.found)
        });
        assert_eq!(by_number.len(), 1, "{by_number:?}");
        let by_id = trail(&folder, &[&format!("{}", seq + 1)]).0.found;
        assert_eq!(by_id.len(), 1, "{by_id:?}");
        assert_eq!((by_id[0].found.seq, &by_id[0].found.state), (seq, &on_disk(seq)));
    }
    program.stop();
    let program = folder.run(&["p.toml"]);
    fill(&program, LAST + 1..=2 * LAST, 2 * LAST);
    let found = trail(&folder, &["plant:4711"]).0.found;
    let ids: Vec<_> = found.iter().map(|spot| spot.found.id.as_deref()).collect();
    assert_eq!(ids, [Some("4712"), Some("24712")], "one of each run");
    assert!(found[0].found.epoch < found[1].found.epoch);
    assert_eq!(found[1].found.state, on_disk(LAST + 4711));
    assert_eq!(trail(&folder, &["24712"]).0.found, found[1..]);
    program.stop();
}

#[test]
fn a_message_at_a_sink_whose_peer_does_not_read_and_then_is_gone() {
    let (folder, listener) = (Folder::new(), Listener::open(Some(4096)));
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["plant -> drain -> network"]
        sources.plant = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data" }}
        sinks.network = {{ type = "tcp_client", address = "{}", send_buffer_bytes = "16 KiB", retry = {{ first = "10ms", max = "20ms" }} }}
        "#,
        listener.address()
    ));
    let (source, peer) = (program.address_of("plant"), listener.accept_small(MESSAGES));
    std::thread::scope(|scope| {
        scope.spawn(move || Feeder::connect(source, MESSAGES).send(1..=100_000));
        program.wait_for("the destination takes nothing", |status| {
            status.edge("drain -> network").waiting_ns > 0
        });
    });
    let first = program.status_of("p").number("network", "frames_out");
    let message = format!("plant:{first}");
    let [stored, sent] = spots(&folder, &message, ["drain", "network"]);
    assert!(matches!(stored.found.state, State::HandedDown { .. }), "{stored:?}");
    assert!(
        matches!(sent.found.state, State::Sending { attempts: 0, .. }),
        "{sent:?}"
    );
    let queued = program.status_of("p").edge("drain -> network").frames - 1;
    let [_, queued] = spots(&folder, &format!("plant:{queued}"), ["drain", "network"]);
    assert!(matches!(queued.found.state, State::Queued { .. }), "{queued:?}");
    drop(listener);
    peer.reset();
    program.wait_for("it is tried again and again", |status| {
        status.number("network", "retries") > 2
    });
    let [_, sent] = spots(&folder, &message, ["drain", "network"]);
    let State::Sending {
        attempts,
        error: Some(error),
    } = &sent.found.state
    else {
        panic!("it is tried again: {sent:?}")
    };
    assert!(*attempts > 1 && error.contains("refused"), "{sent:?}");
    program.stop();
}

#[test]
fn a_copied_message_is_found_in_every_branch_and_in_the_store_that_keeps_it() {
    let folder = Folder::new();
    let program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["plant -> drain", "drain -> slow -> one", "drain -> many -> two"]
        sources.plant = { type = "tcp_server", listen = "127.0.0.1:0" }
        spills.drain = { directory = "data" }
        processors.slow = { type = "delay", per_batch = "1h", blocking = false, own_thread = false }
        processors.many = { type = "delay", per_batch = "1h", blocking = false, workers = 2 }
        sinks.one = { type = "blackhole" }
        sinks.two = { type = "blackhole" }
        "#,
    );
    Feeder::connect(program.address_of("plant"), MESSAGES).send(1..=3);
    let [kept, others @ ..] = spots(&folder, "plant:2", ["drain", "many", "slow"]);
    assert!(
        matches!(kept.found.state, State::HandedDown { memory: true, .. }),
        "{kept:?}"
    );
    for spot in others {
        assert_eq!(spot.found.state, State::InHand, "{}", spot.actor);
    }
}

#[test]
fn what_is_processed_out_of_order_waits_for_what_is_before_it() {
    let folder = Folder::new();
    let program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["plant -> slow -> one"]
        sources.plant = { type = "tcp_server", listen = "127.0.0.1:0" }
        processors.slow = { type = "delay", per_frame = "2s", blocking = false, workers = 2 }
        sinks.one = { type = "blackhole" }
        "#,
    );
    let mut feeder = Feeder::connect(program.address_of("plant"), MESSAGES);
    // A batch of many frames, then one of a single frame, which is done first.
    feeder.send(1..=100);
    program.wait_for("the first is read", |status| {
        status.number("plant", "frames_out") == 100
    });
    feeder.send(101..=101);
    wait_until("the second waits for the first", || {
        let (trail, _) = trail(&folder, &["plant:100"]);
        (trail.found.first()?.found.state == State::WaitingForOrder).then_some(())
    });
    assert_eq!(trail(&folder, &["plant:0"]).0.found[0].found.state, State::InHand);
}

#[test]
fn a_message_that_is_not_there_is_told_with_what_is_known() {
    let (folder, mut seen) = (Folder::new(), Sequence::default());
    let program = folder.run_pipeline(&waiting("8 MiB"));
    program.status_of("p");
    let told = |message: &str, part: &str| {
        let output = folder.aqueduct(&["trace", message]);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    };
    told("plant:0", "plant:0 has not come yet: plant has read nothing yet");
    Feeder::connect(program.address_of("plant"), MESSAGES).send(1..=10);
    Destination::connect(program.address_of("network"), MESSAGES).take_through(10, &mut seen);
    program.wait_for("all is settled", |status| status.number("drain", "waiting_frames") == 0);
    told(
        "plant:5",
        "plant:5 is not in the pipeline: it was settled or filtered (plant's last number is 9)",
    );
    told("plant:10", "plant:10 has not come yet: plant's last number is 9");
    told("other:5", "it has no running source `other`");
    told(
        "6",
        "6 is not in the pipeline: it was settled, filtered, or never came (plant's last number is 9)",
    );
    let (trail, code) = trail(&folder, &["plant:5", "--pipeline", "p"]);
    assert_eq!((trail.found, code), (vec![], Some(1)));
    program.stop();
}

#[test]
fn actors_that_a_plugin_holds_up_are_named_and_nothing_is_said_to_be_gone() {
    let folder = Folder::new();
    let program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["plant -> slow -> one"]
        sources.plant = { type = "tcp_server", listen = "127.0.0.1:0" }
        processors.slow = { type = "delay", per_batch = "1h", own_thread = false }
        sinks.one = { type = "blackhole" }
        "#,
    );
    Feeder::connect(program.address_of("plant"), MESSAGES).send(1..=1);
    program.wait_for("the plugin has it", |status| status.number("slow", "busy_since_ns") > 0);
    let output = folder.aqueduct(&["trace", "plant:0"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    for part in ["plant:0 was not found, but not everything", "slow does not answer"] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn without_a_running_pipeline_or_with_a_wrong_command_line_nothing_is_found() {
    let folder = Folder::new();
    let code = |arguments: &[&str]| folder.aqueduct(&[&["trace"], arguments].concat()).status.code();
    assert_eq!(code(&["plant:1"]), Some(1));
    assert_eq!(code(&["plant:1", "--pipeline", "p"]), Some(1));
    assert_eq!(code(&["plant:1", "--socket", "none.sock"]), Some(1));
    assert_eq!(code(&[]), Some(2));
    assert_eq!(code(&["plant:1", "--within", "2h"]), Some(2));
    assert_eq!(code(&["plant:1", "--nonsense"]), Some(2));
}

#[test]
fn clients_of_the_admin_socket_that_are_silent_or_talk_nonsense_hold_nobody_up() {
    let folder = Folder::new();
    let program = folder.run_pipeline(&waiting("8 MiB"));
    program.status_of("p");
    let connect = || UnixStream::connect(folder.path("aqueduct/p.sock")).unwrap();
    // More than are served at a time.
    let silent: Vec<_> = (0..40).map(|_| connect()).collect();
    let answer = |said: &[u8]| {
        let (mut client, mut text) = (connect(), String::new());
        // The pipeline may have answered before all of this was sent.
        let _ = client.write_all(said);
        client.read_to_string(&mut text).unwrap();
        text
    };
    assert!(answer(b"hello\n").contains("error"));
    assert!(answer(b"{\"version\":2,\"ask\":\"status\"}\n").contains("version 2"));
    assert!(answer(b"status\n").contains("\"actors\""));
    for mut client in silent {
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert!(
            text.contains("\"actors\""),
            "who says nothing asks for the status: {text}"
        );
    }
    program.stop();
}
