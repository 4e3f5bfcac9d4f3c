//! Kill -9 of either side under load, stores that were emptied, connections that break anywhere.

use std::ffi::OsString;
use std::path::Path;

use super::proxy::Proxy;
use super::{acknowledged, any, feed, free, receiver, sender, take};
use crate::harness::{Folder, wait_until};

/// More than is through between two kills.
const LAST: u64 = 200_000;

#[test]
fn a_sender_that_is_killed_under_load_repeats_nothing() {
    let (near, far) = (Folder::new(), Folder::new());
    let there = receiver(&far, any(), "");
    let address = there.address_of("here");
    // Filled while nobody takes anything.
    let here = sender(&near, free());
    feed(&here, 1, LAST);
    here.kill();
    for round in 1..=5 {
        let here = sender(&near, address);
        there.wait_for("some has come", |status| {
            status.number("here", "frames_in") >= (round * 20_000).min(LAST)
        });
        here.kill();
    }
    let here = sender(&near, address);
    feed(&here, LAST + 1, LAST + 100);
    acknowledged(&here);
    take(&there, LAST + 100).assert_is(1, LAST + 100);
    here.stop();
    there.stop();
}

#[test]
fn a_receiver_that_is_killed_under_load_loses_and_repeats_nothing() {
    let (near, far, address) = (Folder::new(), Folder::new(), free());
    let here = sender(&near, address);
    feed(&here, 1, LAST);
    for _ in 0..5 {
        let there = receiver(&far, address, "");
        there.wait_for("some has come", |status| status.number("here", "frames_in") > 10_000);
        there.kill();
    }
    let there = receiver(&far, address, "");
    acknowledged(&here);
    take(&there, LAST).assert_is(1, LAST);
    here.stop();
    there.stop();
}

#[test]
fn killed_on_both_sides_nothing_is_lost_or_repeated() {
    let (near, far, address) = (Folder::new(), Folder::new(), free());
    let here = sender(&near, address);
    feed(&here, 1, LAST);
    here.kill();
    for _ in 0..3 {
        let (here, there) = (sender(&near, address), receiver(&far, address, ""));
        there.wait_for("some has come", |status| status.number("here", "frames_in") > 10_000);
        here.kill();
        there.kill();
    }
    let (here, there) = (sender(&near, address), receiver(&far, address, ""));
    feed(&here, LAST + 1, LAST + 1);
    acknowledged(&here);
    take(&there, LAST + 1).assert_is(1, LAST + 1);
    here.stop();
    there.stop();
}

#[test]
fn what_the_receiver_knows_outlives_the_frames_it_has_delivered() {
    let (near, far, last, address) = (Folder::new(), Folder::new(), 20_000, free());
    let here = sender(&near, address);
    feed(&here, 1, last);
    here.kill();
    let kept = copy(&near.path("out"));
    // Segments go as soon as they are settled.
    let small = r#"commit_bytes = "64 KiB", memory_bytes = "64 KiB""#;
    let (here, there) = (sender(&near, address), receiver(&far, address, small));
    acknowledged(&here);
    take(&there, last).assert_is(1, last);
    here.kill();
    wait_until("no segment is left", || (segments(&far) == 0).then_some(()));
    there.kill();
    // As if the sender had been killed before it wrote down anything that was acknowledged.
    std::fs::remove_dir_all(near.path("out")).unwrap();
    std::fs::create_dir(near.path("out")).unwrap();
    for (name, content) in kept {
        std::fs::write(near.path("out").join(name), content).unwrap();
    }
    let (here, there) = (sender(&near, address), receiver(&far, address, small));
    feed(&here, last + 1, last + 10);
    acknowledged(&here);
    take(&there, last + 10).assert_is(last + 1, last + 10);
    here.stop();
    there.stop();
}

#[test]
fn a_receiver_that_was_emptied_is_a_warning_at_the_sender() {
    let (near, far, address) = (Folder::new(), Folder::new(), free());
    let (here, there) = (sender(&near, address), receiver(&far, address, ""));
    feed(&here, 1, 100);
    acknowledged(&here);
    take(&there, 100).assert_is(1, 100);
    here.stop();
    there.stop();
    std::fs::remove_dir_all(far.path("in")).unwrap();
    let (here, there) = (sender(&near, address), receiver(&far, address, ""));
    feed(&here, 101, 110);
    acknowledged(&here);
    here.log
        .first(&["WARN", "the receiver has nothing of the frames 0 to 100"]);
    take(&there, 110).assert_is(101, 110);
    here.stop();
    there.stop();
}

/// The files of a folder.
fn copy(folder: &Path) -> Vec<(OsString, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

fn segments(folder: &Folder) -> usize {
    let names = std::fs::read_dir(folder.path("in"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".redb")).count()
}

#[test]
fn a_connection_that_breaks_at_any_byte_loses_and_repeats_nothing() {
    let (near, far, last) = (Folder::new(), Folder::new(), 100_000);
    let there = receiver(&far, any(), "");
    let mut random = fastrand::Rng::with_seed(1);
    let ends: Vec<u64> = (0..60).map(|_| random.u64(1..400_000)).collect();
    let proxy = Proxy::resetting(there.address_of("here"), ends);
    let here = sender(&near, proxy.address);
    feed(&here, 1, last);
    acknowledged(&here);
    assert!(proxy.resets() > 20, "only {} connections broke", proxy.resets());
    take(&there, last).assert_is(1, last);
    here.stop();
    there.stop();
}
