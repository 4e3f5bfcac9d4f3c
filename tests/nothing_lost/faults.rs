//! Failures of the disk at every operation: nothing unsure is acknowledged, and nothing acknowledged is lost.

use aqueduct_framework::spill::bugs::Bugs;
use aqueduct_framework::spill::{SpillError, SpillOptions};

use crate::disk::{Fault, Kind, SimDisk};
use crate::random::Random;
use crate::script::Script;
use crate::store::{Promises, Store, options, read_all, verify};
use crate::{report, scale, seed};

const STEPS: u64 = 40;

#[test]
fn a_disk_that_fails_at_any_operation_costs_nothing_that_was_acknowledged() {
    report("disk failures", || {
        let mut tried = (0, 0, 0);
        for seed in seed()..seed() + scale() {
            let (points, met, told) = run(Bugs::default(), seed, 1)?;
            tried = (tried.0 + points, tried.1 + met, tried.2 + told);
        }
        let (points, met, told) = tried;
        Ok(format!("{points} runs, {met} failures met, {told} told of"))
    });
}

#[test]
fn a_segment_that_cannot_be_read_while_it_is_written_costs_nothing() {
    report("reads that fail under the writer", || {
        (0..20 * scale()).try_for_each(|case| live(Bugs::default(), case))?;
        Ok(format!("{} runs", 20 * scale()))
    });
}

/// The segment that is written is larger than what redb keeps of it in memory, and a read of it fails while something is appended.
pub(crate) fn live(bugs: Bugs, case: u64) -> Result<(), String> {
    let disk = SimDisk::default();
    let options = SpillOptions {
        segment_bytes: 64 << 20,
        ..options(bugs)
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
        times: 1 + case,
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
    verify(&disk.killed(), bugs, &store.promises, true)
}

/// Every `every`th operation of a script fails: in each way, once, three times in a row, and for good.
pub(crate) fn run(bugs: Bugs, seed: u64, every: usize) -> Result<(u64, u64, u64), String> {
    let script = Script {
        seed,
        steps: STEPS,
        drains: true,
        bugs,
    };
    let disk = SimDisk::default();
    script.run(&disk, Promises::default(), |_| Ok(()))?;
    let (mut points, mut met, mut told) = (0, 0, 0);
    for from in (1..disk.operations()).step_by(every) {
        for kind in Kind::ALL {
            for times in [1, 3, u64::MAX] {
                let fault = Fault { kind, from, times };
                let ran =
                    one(&script, fault).map_err(|failure| format!("AQUEDUCT_SEED={seed}, {fault:?}: {failure}"))?;
                (points, met, told) = (points + 1, met + ran.0, told + ran.1);
            }
        }
    }
    Ok((points, met, told))
}

fn one(script: &Script, fault: Fault) -> Result<(u64, u64), String> {
    let disk = SimDisk::default();
    disk.fail(Some(fault));
    let ran = script.run(&disk, Promises::default(), |_| Ok(()))?;
    // The disk is well again; the program was killed, or the power was cut.
    verify(&ran.killed, script.bugs, &ran.promises, true).map_err(|failure| format!("after a kill: {failure}"))?;
    for image in ran.loss.images(&mut Random::new(fault.from), 2, 4) {
        if fault.kind == Kind::Lie {
            // What a disk says it has, and has not, nobody can keep; but nothing wrong may come, and it must start.
            read_all(&image, script.bugs, &ran.promises).map_err(|failure| format!("after a lie: {failure}"))?;
        } else {
            verify(&image, script.bugs, &ran.promises, false)
                .map_err(|failure| format!("after a power cut: {failure}"))?;
        }
    }
    Ok((disk.faults_met(), ran.told))
}
