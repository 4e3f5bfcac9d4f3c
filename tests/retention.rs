//! What a store retains for its clients keeps to its bounds: over kills, for a store that is over them when it starts, on a disk that is full.

use std::os::unix::fs::MetadataExt as _;

use crate::full_disk::{SMALL_DISK, may_mount};
use crate::harness::{Destination, Feeder, Folder, Messages, Program, Sequence, Status};

const MESSAGES: Messages = Messages::SHORT;
const MIB: u64 = 1 << 20;
/// Memory of its own, two commits that are written, one window that was granted, and the one read that may go past it.
const MEMORY: u64 = 64 * 1024 + 2 * 128 * 1024 + 64 * 1024 + 256_000;

fn config(retain: &str) -> String {
    format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0", clients = "named", tokens = {{ late = "token-of-late" }} }}
        [spills.drain]
        directory = "data/store"
        persist = "always"
        memory_bytes = "64 KiB"
        window_bytes = "64 KiB"
        commit_bytes = "128 KiB"
        {retain}
        "#
    )
}

fn feed(program: &Program, first: u64, last: u64) {
    Feeder::connect(program.address_of("source"), MESSAGES).send(first..=last);
    program.wait_for("all is acknowledged", |status| {
        status.number("source", "settled") == last + 1 - first
    });
}

/// What the late client gets: a piece up to the last message, without a gap.
fn late(program: &Program, last: u64) -> u64 {
    let mut seen = Sequence::default();
    let mut client = Destination::connect(program.address_of("network"), MESSAGES).saying("token-of-late\n");
    client.take_through(last, &mut seen);
    assert_eq!((seen.gaps(), seen.repeats(), seen.last()), (Vec::new(), 0, last));
    last + 1 - seen.first()
}

fn on_disk(folder: &Folder) -> u64 {
    let entries = std::fs::read_dir(folder.path("data/store")).unwrap();
    let segments = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "redb"));
    segments.map(|path| path.metadata().unwrap().blocks() * 512).sum()
}

fn assert_bounded(status: &Status, retained: u64) {
    // A commit goes to disk before the oldest segment goes for it.
    let (peak, memory) = (
        status.number("drain", "peak_disk_bytes"),
        status.number("drain", "peak_memory_bytes"),
    );
    assert!(peak <= retained + MIB, "{peak} bytes on disk");
    assert!(memory <= MEMORY, "{memory} bytes in memory");
}

#[test]
fn what_is_retained_keeps_to_its_bound_over_kills_and_when_it_is_over_it_at_the_start() {
    let (folder, each) = (Folder::new(), 12_000);
    let retain = config(r#"retain_bytes = "4 MiB""#);
    let mut last = 0;
    for _ in 0..8 {
        let program = folder.run_pipeline(&retain);
        feed(&program, last + 1, last + each);
        last += each;
        let status = program.wait_for("it is within its bound", |status| {
            status.number("drain", "disk_bytes") <= 4 * MIB
        });
        assert_bounded(&status, 4 * MIB);
        program.kill();
        assert!(on_disk(&folder) <= 4 * MIB + MIB, "{}", on_disk(&folder));
    }
    assert!(on_disk(&folder) > 2 * MIB, "it is full: {}", on_disk(&folder));
    // Nobody writes any more, and it has to be smaller.
    let program = folder.run_pipeline(&config(r#"retain_bytes = "2 MiB""#));
    program.wait_for("it is within its new bound", |status| {
        status.number("drain", "disk_bytes") <= 2 * MIB
    });
    assert!(on_disk(&folder) <= 2 * MIB, "{}", on_disk(&folder));
    let got = late(&program, last);
    assert!(got * 100 > MIB / 2, "only {got} messages are left");
    program.kill();
}

#[test]
fn on_a_full_disk_what_is_retained_gives_way_to_what_comes_and_not_all_of_it() {
    if !may_mount() {
        eprintln!("skipped: this machine allows no mounts of one's own");
        return;
    }
    let (folder, last) = (Folder::new(), 150_000);
    let retain = config("retain_bytes = \"1 GiB\"\nwhen_full = \"drop_oldest\"\nsegment_bytes = \"1 MiB\"");
    let shell = ["unshare", "-Urm", "sh", "-c", SMALL_DISK, "sh"];
    let program = folder.run_pipeline_after(&shell, &retain);
    feed(&program, 1, last);
    assert!(
        program.status_of("p").number("drain", "storage_failures") > 0,
        "the disk was full"
    );
    let got = late(&program, last);
    // Four MiB of disk, with what the engine needs.
    assert!(got * 100 > MIB, "only {got} messages are left");
    assert!(got < last);
    program.kill();
}
