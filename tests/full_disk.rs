//! Full disks and file size limits, through the real program: it takes no more, delivers what it has, and goes on by itself.

use std::process::Command;

use crate::harness::{Destination, Feeder, Folder, Messages, Sequence};

const MESSAGES: Messages = Messages::SHORT;
/// Mounts a file system of 4 MiB on the folder `data`, seen by this program only.
pub(crate) const SMALL_DISK: &str = "mkdir data && mount -t tmpfs -o size=4m none data && exec \"$@\"";
/// Files of at most 3 MiB, in blocks of 512 bytes.
const SMALL_FILES: &str = "ulimit -f 6144 && exec \"$@\"";

fn config(store: &str) -> String {
    let persist = if store.contains("persist") {
        ""
    } else {
        r#"persist = "always", "#
    };
    format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data/store", {persist}memory_bytes = "64 KiB", {store} }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0", window_bytes = "64 KiB" }}
        "#
    )
}

/// True when this machine lets a program have a file system of its own.
pub(crate) fn may_mount() -> bool {
    let unshare = Command::new("unshare")
        .args(["-Urm", "sh", "-c", "mount -t tmpfs -o size=1m none /tmp"])
        .output();
    unshare.is_ok_and(|ended| ended.status.success())
}

/// Feeds more than fits, and takes it once the store has said what is wrong.
fn overflow(folder: &Folder, shell: &[&str], store: &str, says: &str) {
    let last = 150_000;
    let program = folder.run_pipeline_after(shell, &config(store));
    let (source, network) = (program.address_of("source"), program.address_of("network"));
    std::thread::scope(|scope| {
        scope.spawn(|| Feeder::connect(source, MESSAGES).send(1..=last));
        program.log.first(&["the store could not use its disk", says]);
        let mut seen = Sequence::default();
        Destination::connect(network, MESSAGES).take_through(last, &mut seen);
        seen.assert_is(1, last);
    });
    program.wait_for("all is acknowledged", |status| {
        status.number("source", "settled") == last
    });
    let status = program.status_of("p");
    assert!(status.number("drain", "storage_failures") > 0);
    assert_eq!(status.number("drain", "unreadable"), 0);
    // It once said so for as long as it ran.
    program.wait_for("the store says that it is over", |status| {
        let state = status.actor("drain").meters.texts.get("state");
        state.is_some_and(|state| !state.contains(says))
    });
    program.stop();
}

#[test]
fn a_full_disk_is_drained_and_taken_up_again() {
    if !may_mount() {
        eprintln!("this machine allows no file system of one's own: the file size limit is tested alone");
        return;
    }
    for persist in ["always", "overflow"] {
        let store = format!(r#"persist = "{persist}", commit_bytes = "128 KiB", segment_bytes = "1 MiB""#);
        overflow(
            &Folder::new(),
            &["unshare", "-Urm", "sh", "-c", SMALL_DISK, "sh"],
            &store,
            "No space left on device",
        );
    }
}

#[test]
fn a_file_size_limit_is_a_full_disk_and_does_not_end_the_program() {
    // A segment grows past the limit before it is closed; the next one begins anew, and nothing is deleted for it.
    for when_full in ["block", "drop_oldest"] {
        overflow(
            &Folder::new(),
            &["sh", "-c", SMALL_FILES, "sh"],
            &format!(r#"commit_bytes = "1 MiB", segment_bytes = "64 MiB", when_full = "{when_full}""#),
            "File too large",
        );
    }
}

#[test]
fn a_full_disk_at_the_start_is_no_reason_not_to_deliver() {
    if !may_mount() {
        return;
    }
    let (folder, last) = (Folder::new(), 5_000);
    // What an earlier run left lies on the small disk, and somebody else has filled the rest of it.
    let program = folder.run_pipeline(&config(""));
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=last);
    program.wait_for("all is acknowledged", |status| {
        status.number("source", "settled") == last
    });
    program.kill();
    let fill = "mv data kept && mkdir data && mount -t tmpfs -o size=4m none data && cp -r --sparse=always kept/store data/ && \
                (cat /dev/zero > data/filler 2>/dev/null; true) && exec \"$@\"";
    let program = folder.run_pipeline_after(&["unshare", "-Urm", "sh", "-c", fill, "sh"], &config(""));
    let mut seen = Sequence::default();
    Destination::connect(program.address_of("network"), MESSAGES).take_through(last, &mut seen);
    seen.assert_is(1, last);
    program.stop();
}

#[test]
fn a_full_store_says_what_it_does_about_it() {
    for (when_full, says) in [
        (
            "block",
            "full up to max_bytes; nothing more is taken until something has been delivered",
        ),
        (
            "drop_newest",
            "full up to max_bytes; what arrives is dropped until something has been delivered",
        ),
    ] {
        let folder = Folder::new();
        let store = format!(r#"segment_bytes = "1 MiB", max_bytes = "2 MiB", when_full = "{when_full}""#);
        let program = folder.run_pipeline(&config(&store));
        let source = program.address_of("source");
        std::thread::scope(|scope| {
            // What is not taken is given up with the program.
            scope.spawn(|| Feeder::connect(source, MESSAGES).try_send(1..=150_000));
            program.wait_for("the store says it", |status| {
                status
                    .actor("drain")
                    .meters
                    .texts
                    .get("state")
                    .is_some_and(|state| state == says)
            });
            program.kill();
        });
    }
}

#[test]
fn a_store_that_keeps_up_says_so_though_all_of_it_is_written_first() {
    let (folder, last) = (Folder::new(), 5_000);
    let program = folder.run_pipeline(&config(""));
    let mut destination = Destination::connect(program.address_of("network"), MESSAGES);
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=last);
    destination.take_through(last, &mut Sequence::default());
    let status = program.wait_for("nothing waits", |status| {
        status.number("drain", "waiting_frames") == 0 && status.number("source", "settled") == last
    });
    assert_eq!(status.number("drain", "spilling"), 0);
    assert_eq!(status.actor("drain").meters.texts["state"], "empty");
    program.stop();
}
