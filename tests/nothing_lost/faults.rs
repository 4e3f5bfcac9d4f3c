//! Failures of the disk at every operation: nothing unsure is acknowledged, and nothing acknowledged is lost.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use aqueduct::framework::spill::{SpillError, SpillOptions};

use crate::disk::{Fault, Kind, SimDisk};
use crate::random::Random;
use crate::rot;
use crate::run::Case;
use crate::script::Script;
use crate::store::{Promises, Store, options, read_all, verify};

const STEPS: u64 = 30;

/// Kinds of failures: so many cases have the same script.
pub(crate) const KINDS: u64 = Kind::ALL.len() as u64;

/// Every operation of a script fails in one way: once, two and three times in a row, and for good.
pub(crate) fn play(case: &mut Case) -> Result<(), String> {
    let script = Script {
        seed: case.seed / KINDS,
        steps: STEPS,
        drains: true,
    };
    let disk = SimDisk::default();
    script.run(&disk, Promises::default(), |_| Ok(()))?;
    let kind = Kind::ALL[(case.seed % KINDS) as usize];
    for from in 1..disk.operations() {
        for times in [1, 2, 3, u64::MAX] {
            let fault = Fault { kind, from, times };
            let (met, told) = one(&script, fault).map_err(|failure| format!("{fault:?}: {failure}"))?;
            case.count("runs", 1);
            case.count("failures met", met);
            case.count("told of", told);
        }
    }
    Ok(())
}

/// The segment that is written is larger than what redb keeps of it in memory, and a read of it fails while something is appended.
pub(crate) fn play_reads(case: &mut Case) -> Result<(), String> {
    let disk = SimDisk::default();
    let options = SpillOptions {
        segment_bytes: 64 << 20,
        ..options()
    };
    let failed = |error: SpillError| error.to_string();
    let mut store = Store::open(disk.clone(), &options, Promises::default()).map_err(failed)?;
    for _ in 0..30 {
        store.append(1_000, 0).map_err(failed)?;
        store.commit().map_err(failed)?;
    }
    store.append(10, 0).map_err(failed)?;
    disk.fail(Some(Fault {
        kind: Kind::Io,
        from: disk.operations() + 1,
        times: 1 + case.seed % 20,
    }));
    let read = (0..5).map(|_| store.read(200_000)).collect::<Result<Vec<_>, _>>()?;
    disk.fail(None);
    if read.iter().all(Result::is_ok) {
        return Err("the read did not reach the disk".to_owned());
    }
    // The first attempt may say that it failed; the next one may not.
    for _ in 0..2 {
        let committed = store.commit();
        if store.short {
            return Err("a commit succeeded without all that was appended".to_owned());
        }
        if committed.is_ok() {
            break;
        }
    }
    store.append(10, 0).map_err(failed)?;
    store.commit().map_err(failed)?;
    store.read(u64::MAX)?.map_err(failed)?;
    verify(&disk.killed(), &store.promises, true)
}

/// Every operation fails while a full store gives up a segment: whether it goes or not, the others are sound. What has gone does not come in this run; after a
/// kill it may, where its file could not be deleted.
pub(crate) fn play_drops(case: &mut Case) -> Result<(), String> {
    let (image, promises) = rot::store(case.seed)?;
    let failed = |error: SpillError| error.to_string();
    let kind = Kind::ALL[(case.seed % KINDS) as usize];
    let mut random = Random::new(case.seed);
    for times in [1, 1, 2, 4] {
        let share = random.below(u64::MAX);
        for after in 1.. {
            let disk = SimDisk::of(&image);
            let mut store = Store::open(disk.clone(), &options(), promises.clone()).map_err(failed)?;
            let (settled, tail) = (store.delivered, store.promises.appended);
            let from = disk.operations() + after;
            disk.fail(Some(Fault { kind, from, times }));
            let to = settled + 1 + share % (tail - settled);
            let gone = store.storage.drop_oldest_segment(settled + 1..to).ok().flatten();
            let over = disk.operations() < from;
            disk.fail(None);
            // Where the looking ended, or at the beginning.
            store.delivered = [settled, to - 1][random.below(2) as usize];
            let gone = gone.unwrap_or_default();
            let told =
                |why| format!("{kind:?} at {after}, {times} times, {gone:?} dropped of {settled} to {to}: {why}");
            let came = read_beside(&mut store, &gone).map_err(told)?;
            if came > 0 {
                return Err(told(format!("{came} frames came all the same")));
            }
            let mut again = Store::open(SimDisk::of(&disk.killed()), &options(), promises.clone()).map_err(failed)?;
            let came = read_beside(&mut again, &gone).map_err(|why| told(format!("after a kill: {why}")))?;
            case.count("drops", 1);
            case.count("of them carried out", u64::from(!gone.is_empty()));
            case.count("of them undone by a kill", u64::from(came > 0));
            if over {
                break;
            }
        }
    }
    Ok(())
}

/// Reads everything that is left: what lies beside `gone` is all there, and of that so many frames came as are returned.
fn read_beside(store: &mut Store, gone: &Range<u64>) -> Result<usize, String> {
    let tail = store.promises.appended;
    let mut unwanted = 0;
    while store.delivered < tail {
        let found = store.storage.read(store.delivered, tail, 20_000);
        let found = found.map_err(|error| error.to_string())?;
        let read = store.delivered..found.next;
        let expected = store.promises.frames.range(read.clone());
        let kept = expected.filter(|(position, _)| !gone.contains(position)).count();
        let positions = found.batches.iter();
        let positions = positions.flat_map(|(first, batch)| *first..first + batch.len() as u64);
        let (inside, beside): (Vec<u64>, Vec<u64>) = positions.partition(|position| gone.contains(position));
        let (unreadable, damaged) = (found.unreadable, store.storage.usage().damaged);
        if (kept, unreadable, damaged) != (beside.len(), 0, 0) {
            let came = beside.len();
            return Err(format!(
                "{came} frames came of {kept} from {read:?}, {unreadable} are unreadable, {damaged} segments damaged"
            ));
        }
        unwanted += inside.len();
        store.delivered = found.next;
    }
    Ok(unwanted)
}

/// Every operation of a start fails, up to so many in a row; the next start finds everything.
pub(crate) fn play_starts(case: &mut Case) -> Result<(), String> {
    let script = Script {
        seed: case.seed,
        steps: STEPS,
        drains: true,
    };
    let (image, promises) = script.image()?;
    for times in [1, 2, 4, 8] {
        for from in 1.. {
            let disk = SimDisk::of(&image);
            let fault = Fault {
                kind: Kind::Io,
                from,
                times,
            };
            disk.fail(Some(fault));
            let started = (0..times).any(|_| Store::open(disk.clone(), &options(), promises.clone()).is_ok());
            verify(&disk.killed(), &promises, true).map_err(|failure| format!("{fault:?}, {started}: {failure}"))?;
            case.count("starts", 1);
            if disk.faults_met() == 0 {
                break;
            }
        }
    }
    Ok(())
}

/// The program is killed in the middle of something, every operation of the next start fails once, and where it starts all the same the power fails: what it
/// found is there, although the system says only once that it could not write it.
pub(crate) fn play_killed(case: &mut Case) -> Result<(), String> {
    let mut random = Random::new(case.seed);
    let steps = 5 + random.below(STEPS);
    let (seed, drains) = (case.seed, true);
    let disk = SimDisk::default();
    let moments = Arc::new(Mutex::new(Vec::new()));
    let seen = moments.clone();
    disk.at_every_sync(move |loss| seen.lock().unwrap().push(loss));
    let mut promised = Promises::default();
    let script = Script { seed, steps, drains };
    script.run(&disk, Promises::default(), |now| {
        let mut seen = moments.lock().unwrap();
        if seen.len() > 40 {
            seen.drain(..20);
        }
        promised = now.clone();
        Ok(())
    })?;
    // At those moments less may have been promised: nothing is taken for sure but what the start finds.
    let least = Promises {
        acknowledged: 0,
        settle_done: 0,
        ..promised
    };
    let losses = std::mem::take(&mut *moments.lock().unwrap());
    let loss = &losses[random.below(losses.len() as u64) as usize];
    for from in 1.. {
        let disk = SimDisk::after_kill(loss);
        let kind = Kind::Io;
        disk.fail(Some(Fault { kind, from, times: 1 }));
        let opened = Store::open(disk.clone(), &options(), least.clone());
        case.count("starts", 1);
        if let Ok(store) = opened {
            let found = Promises {
                frames: least.frames.clone(),
                appended: least.appended,
                ..store.promises.clone()
            };
            for image in disk.power_cut().images(&mut random, 2, 5) {
                verify(&image, &found, false).map_err(|why| format!("operation {from}: {why}"))?;
                case.count("images", 1);
            }
        }
        if disk.faults_met() == 0 {
            return Ok(());
        }
    }
    Ok(())
}

/// A write or a sync fails once, and the store is opened anew at once: what it reads then may not be what the disk has for good.
pub(crate) fn play_reopened(case: &mut Case) -> Result<(), String> {
    let failed = |error: SpillError| error.to_string();
    let mut random = Random::new(case.seed);
    let sizes: Vec<u64> = (0..6).map(|_| 1 + random.below(60)).collect();
    for from in 1.. {
        let disk = SimDisk::default();
        let mut store = Store::open(disk.clone(), &options(), Promises::default()).map_err(failed)?;
        let begun = disk.operations();
        disk.fail(Some(Fault {
            kind: Kind::Io,
            from: begun + from,
            times: 1,
        }));
        for size in &sizes {
            let appended = store.append(*size, 0).and_then(|()| store.commit());
            if appended.is_err() {
                break;
            }
        }
        let met = disk.faults_met();
        disk.fail(None);
        let promises = store.promises.clone();
        let _ = store.storage.close();
        let mut store = Store::open(disk.clone(), &options(), promises).map_err(failed)?;
        store.append(5, 0).map_err(failed)?;
        store.commit().map_err(failed)?;
        verify(&disk.killed(), &store.promises, true).map_err(|failure| format!("operation {from}: {failure}"))?;
        case.count("reopened", 1);
        if met == 0 {
            return Ok(());
        }
    }
    Ok(())
}

fn one(script: &Script, fault: Fault) -> Result<(u64, u64), String> {
    let disk = SimDisk::default();
    disk.fail(Some(fault));
    let ran = script.run(&disk, Promises::default(), |_| Ok(()))?;
    // The disk is well again; the program was killed, or the power was cut.
    verify(&ran.killed, &ran.promises, true).map_err(|failure| format!("after a kill: {failure}"))?;
    for image in ran.loss.images(&mut Random::new(fault.from), 2, 4) {
        if fault.kind == Kind::Lie {
            // What a disk says it has, and has not, nobody can keep; but nothing wrong may come, and it must start.
            read_all(&image, &ran.promises).map_err(|failure| format!("after a lie: {failure}"))?;
        } else {
            verify(&image, &ran.promises, false).map_err(|failure| format!("after a power cut: {failure}"))?;
        }
    }
    Ok((disk.faults_met(), ran.told))
}
