//! What is kept: slots, lines, files.

use tempfile::TempDir;

use super::healthy;
use crate::flight::{Cause, JournalFile, Recorder, Repeats, Report, Ring, SLOT_MS, SLOTS, Slot, Verdict};

#[test]
fn the_ring_keeps_a_minute_in_fixed_memory() {
    assert_eq!(size_of::<Slot>() * SLOTS, 21_600, "documented in the module");
    let mut ring = Ring::default();
    for slot in 0..2 * SLOTS as u64 {
        ring.at(slot * SLOT_MS).bytes = slot as u32;
    }
    let now_ms = (2 * SLOTS as u64 - 1) * SLOT_MS;
    let bytes: Vec<_> = ring.last_minute(now_ms).map(|slot| slot.bytes).collect();
    assert_eq!(bytes, (SLOTS as u32..2 * SLOTS as u32).collect::<Vec<_>>());
    assert_eq!(
        ring.last_minute(now_ms + 30_000).count(),
        SLOTS / 2,
        "older ones do not count"
    );
}

#[test]
fn figures_too_large_for_a_slot_stay_at_the_highest() {
    let mut recorder = Recorder::default();
    recorder.read(0, u64::MAX / 2, u32::MAX, u64::MAX, 0);
    recorder.read(1, u64::from(u32::MAX), u32::MAX, u64::MAX, 0);
    let slot = *recorder.ring().last_minute(0).next().expect("a slot");
    assert_eq!((slot.bytes, slot.calls, slot.gap_ms), (u32::MAX, u16::MAX, u16::MAX));
}

#[test]
fn the_log_hears_the_first_and_every_doubling_until_there_was_peace() {
    let mut repeats = Repeats::default();
    let aloud = |repeats: &mut Repeats<Cause>, range: std::ops::Range<u64>| -> Vec<u64> {
        range.filter(|at| repeats.note(*at, Cause::PeerReset).aloud()).collect()
    };
    assert_eq!(aloud(&mut repeats, 1..20), [1, 2, 4, 8, 16]);
    assert!(
        repeats.note(20, Cause::CutOff).aloud(),
        "another cause is another matter"
    );
    assert_eq!(aloud(&mut repeats, 90_000..90_004), [90_000, 90_001, 90_003]);
}

fn report(at_ns: u64) -> Report {
    let verdict = Verdict {
        cause: Cause::PeerReset,
        sureness: crate::flight::Sureness::Unsure,
        sentence: "it was so".into(),
        evidence: vec!["seen".into()],
        advice: None,
    };
    Report::new(at_ns, "p", "feed", "host:1", verdict).of(super::FIN, &healthy(), 2_000)
}

#[test]
fn the_journal_keeps_the_newest_reports_within_its_bound_and_across_a_restart() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("p.reports");
    let bound = 64 * 1024;
    for at_ns in 0..200 {
        // Opened anew each time, as after a crash.
        let mut file = JournalFile::open(&path, bound).expect("it opens");
        file.append(&report(at_ns)).expect("it is written");
    }
    let bytes: u64 = std::fs::read_dir(folder.path())
        .expect("it is there")
        .map(|entry| entry.and_then(|entry| entry.metadata()).expect("a file").len())
        .sum();
    assert!(bytes <= bound, "{bytes} bytes");
    let (reports, unreadable) = JournalFile::read(&path).expect("it is there");
    assert_eq!(unreadable, 0);
    assert_eq!(reports.last(), Some(&report(199)));
    let times: Vec<_> = reports.iter().map(|report| report.at_ns).collect();
    assert!(times.len() > 5, "{} reports are kept", times.len());
    assert_eq!(times, (200 - times.len() as u64..200).collect::<Vec<_>>());
}

#[test]
fn a_line_that_a_crash_cut_short_is_counted_and_spoils_no_other() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("p.reports");
    let line = serde_json::to_string(&report(1)).expect("JSON");
    std::fs::write(&path, format!("{line}\n{}", &line[..line.len() / 2])).expect("it is written");
    // The next run goes on behind it.
    JournalFile::open(&path, 1 << 20)
        .and_then(|mut file| file.append(&report(2)))
        .expect("it is written");
    let (reports, unreadable) = JournalFile::read(&path).expect("it is there");
    let times: Vec<_> = reports.iter().map(|report| report.at_ns).collect();
    assert_eq!((times, unreadable), (vec![1, 2], 1));
}
