//! Flows that split and join, and several of them in one process.

use crate::harness::{Destination, Feeder, Folder, Messages, Sequence};

const MESSAGES: Messages = Messages::SHORT;

fn numbers(text: &str) -> Sequence {
    Sequence::of(text.lines().map(|line| MESSAGES.number(line.as_bytes())))
}

#[test]
fn two_arrows_from_one_actor_copy_every_frame_to_both() {
    let folder = Folder::new();
    let program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["source -> one", "source -> two"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        sinks.one = { type = "file", path = "one.txt" }
        sinks.two = { type = "file", path = "two.txt" }
        "#,
    );
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=5000);
    program.wait_for("both have all", |status| {
        status.number("one", "frames_out") + status.number("two", "frames_out") == 10_000
    });
    program.stop();
    numbers(&folder.read("one.txt")).assert_is(1, 5000);
    numbers(&folder.read("two.txt")).assert_is(1, 5000);
}

#[test]
fn two_sources_join_and_each_keeps_its_order() {
    let folder = Folder::new();
    let program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["plant_a, plant_b -> out"]
        sources.plant_a = { type = "tcp_server", listen = "127.0.0.1:0" }
        sources.plant_b = { type = "tcp_server", listen = "127.0.0.1:0" }
        sinks.out = { type = "file", path = "out.txt" }
        "#,
    );
    let (a, b) = (program.address_of("plant_a"), program.address_of("plant_b"));
    std::thread::scope(|scope| {
        scope.spawn(|| Feeder::connect(a, MESSAGES).send(1..=5000));
        scope.spawn(|| Feeder::connect(b, MESSAGES).send(5001..=10_000));
    });
    program.wait_for("both have arrived", |status| {
        status.number("out", "frames_out") == 10_000
    });
    program.stop();
    let text = folder.read("out.txt");
    let (of_a, of_b): (Vec<_>, Vec<_>) = text
        .lines()
        .map(|line| MESSAGES.number(line.as_bytes()))
        .partition(|number| *number <= 5000);
    Sequence::of(of_a).assert_is(1, 5000);
    Sequence::of(of_b).assert_is(5001, 10_000);
}

#[test]
fn what_a_filter_drops_goes_where_the_flow_says() {
    let folder = Folder::new();
    let program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["source -> pick -> kept", "pick.dropped -> rest"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        processors.pick = { type = "filter", contains = "ERROR" }
        sinks.kept = { type = "file", path = "kept.txt" }
        sinks.rest = { type = "file", path = "rest.txt" }
        "#,
    );
    Feeder::connect(program.address_of("source"), MESSAGES).send_text("1 fine\n2 ERROR\n3 fine\n4 ERROR ERROR\n5\n");
    program.wait_for("all have arrived", |status| {
        status.number("kept", "frames_out") + status.number("rest", "frames_out") == 5
    });
    program.stop();
    assert_eq!(folder.read("kept.txt"), "2 ERROR\n4 ERROR ERROR\n");
    assert_eq!(folder.read("rest.txt"), "1 fine\n3 fine\n5\n");
}

#[test]
fn several_workers_keep_the_order_of_the_input() {
    let folder = Folder::new();
    let program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["source -> work -> shout -> out"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        processors.work = { type = "delay", per_batch = "3ms", workers = 4 }
        processors.shout = { type = "rewrite", matches = "^0*(\\d+) .*$", replace = "<$1>", workers = 2 }
        sinks.out = { type = "file", path = "out.txt" }
        "#,
    );
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=20_000);
    program.wait_for("all have arrived", |status| {
        status.number("out", "frames_out") == 20_000
    });
    program.stop();
    let expected: String = (1..=20_000).map(|number| format!("<{number}>\n")).collect();
    assert!(folder.read("out.txt") == expected, "the output is not in input order");
}

#[test]
fn verify_finds_nothing_wrong_in_an_undisturbed_stream_and_the_gap_in_a_disturbed_one() {
    let folder = Folder::new();
    let program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["source -> check -> out"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        processors.check = { type = "verify" }
        sinks.out = { type = "blackhole" }
        "#,
    );
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    feeder.send(1..=1000);
    let status = program.wait_for("all have arrived", |status| status.number("out", "frames_out") == 1000);
    assert_eq!(status.number("check", "missing"), 0);
    feeder.send(1003..=1100);
    let status = program.wait_for("the gap was passed", |status| {
        status.number("out", "frames_out") == 1098
    });
    assert_eq!(status.number("check", "missing"), 2);
    program.stop();
}

#[test]
fn several_pipelines_run_in_one_process_and_each_has_a_status_of_its_own() {
    let folder = Folder::new();
    for name in ["one", "two"] {
        let config = format!(
            r#"
            name = "{name}"
            flow = ["source_{name} -> out"]
            sources.source_{name} = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
            sinks.out = {{ type = "file", path = "{name}.txt" }}
            "#
        );
        folder.write(&format!("{name}.toml"), &config);
    }
    let program = folder.run(&["one.toml", "two.toml", "--set", "two:sinks.out.path=second.txt"]);
    for (name, text) in [("one", "to the first\n"), ("two", "to the second\n")] {
        Feeder::connect(program.address_of(&format!("source_{name}")), MESSAGES).send_text(text);
        crate::harness::wait_until("it arrives", || {
            (program.status_of(name).number("out", "frames_out") == 1).then_some(())
        });
    }
    program.stop();
    assert_eq!(folder.read("one.txt"), "to the first\n");
    assert_eq!(folder.read("second.txt"), "to the second\n");
}

#[test]
fn a_store_for_each_branch_keeps_a_missing_destination_from_holding_up_the_other() {
    let folder = Folder::new();
    let config = r#"
        name = "p"
        flow = ["source -> one -> first", "source -> two -> second"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        spills.one = { directory = "one", memory_bytes = "128 KiB" }
        spills.two = { directory = "two", memory_bytes = "128 KiB" }
        sinks.first = { type = "tcp_server", listen = "127.0.0.1:0" }
        sinks.second = { type = "tcp_server", listen = "127.0.0.1:0" }
        "#;
    let program = folder.run_pipeline(config);
    let (mut first, mut second) = (Sequence::default(), Sequence::default());
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=20_000);
    Destination::connect(program.address_of("first"), MESSAGES).take_through(20_000, &mut first);
    first.assert_is(1, 20_000);
    program.wait_for("one store is empty, the other full", |status| {
        status.number("one", "waiting_frames") == 0 && status.number("two", "waiting_frames") == 20_000
    });
    program.stop();
    let program = folder.run_pipeline(config);
    Destination::connect(program.address_of("second"), MESSAGES).take_through(20_000, &mut second);
    second.assert_is(1, 20_000);
    program.stop();
}

#[test]
fn two_stores_in_one_flow_keep_the_order_around_slow_work() {
    let folder = Folder::new();
    let program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["source -> before -> work -> behind -> network"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        spills.before = { directory = "before", memory_bytes = "128 KiB" }
        processors.work = { type = "delay", per_batch = "5ms" }
        spills.behind = { directory = "behind", memory_bytes = "128 KiB" }
        sinks.network = { type = "tcp_server", listen = "127.0.0.1:0" }
        "#,
    );
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=20_000);
    program.wait_for("all is behind the work", |status| {
        status.number("behind", "waiting_frames") == 20_000
    });
    let mut seen = Sequence::default();
    Destination::connect(program.address_of("network"), MESSAGES).take_through(20_000, &mut seen);
    seen.assert_is(1, 20_000);
    program.stop();
}
