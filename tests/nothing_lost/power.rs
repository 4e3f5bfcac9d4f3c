//! Power cuts at every sync: whatever part of the unsynced writes has reached the disk, all that was acknowledged is there.

use std::sync::{Arc, Mutex};

use crate::disk::SimDisk;
use crate::random::Random;
use crate::run::Case;
use crate::script::Script;
use crate::store::{Promises, verify};

/// The most images of one moment, and how many of them are random.
const OF_A_MOMENT: (usize, usize) = (28, 10);
/// In every so many images the power fails once more, while the store recovers and goes on.
const RECOVERIES: u64 = 200;
/// At every so many moments the program is killed first: the power fails while what it had not synced is used by the next one.
const KILLS: u64 = 8;

/// A script, with the power cut at each of its moments.
pub(crate) fn play(case: &mut Case) -> Result<(), String> {
    let script = Script {
        seed: case.seed,
        steps: 30,
        drains: true,
    };
    cut(&script, &SimDisk::default(), Promises::default(), 0, case)
}

/// Runs a script, and cuts the power before each of its syncs and at its end.
fn cut(script: &Script, disk: &SimDisk, promises: Promises, depth: u64, case: &mut Case) -> Result<(), String> {
    let moments = Arc::new(Mutex::new(Vec::new()));
    let seen = moments.clone();
    disk.at_every_sync(move |loss| seen.lock().unwrap().push(loss));
    let mut random = Random::new(script.seed ^ 0x5eed);
    let mut before = promises.clone();
    let end = disk.clone();
    script.run(disk, promises, |now| {
        let mut losses = std::mem::take(&mut *moments.lock().unwrap());
        // What is promised at those moments: no more than before the step, and what was asked for since may be there.
        let promised = Promises {
            acknowledged: before.acknowledged,
            settle_done: before.settle_done,
            ..now.clone()
        };
        for loss in losses.drain(..) {
            look(&loss, &promised, depth, &mut random, case)?;
        }
        look(&end.power_cut(), now, depth, &mut random, case)?;
        before = now.clone();
        Ok(())
    })?;
    Ok(())
}

fn look(
    loss: &crate::disk::Loss,
    promised: &Promises,
    depth: u64,
    random: &mut Random,
    case: &mut Case,
) -> Result<(), String> {
    let (most, extra) = OF_A_MOMENT;
    case.count("moments", 1);
    let recovery = |random: &mut Random| Script {
        seed: random.next(),
        steps: 6,
        drains: true,
    };
    if depth == 0 && random.one_in(KILLS) {
        case.count("kills before", 1);
        cut(&recovery(random), &SimDisk::after_kill(loss), promised.clone(), 1, case)?;
    }
    for image in loss.images(random, extra >> depth, most >> (2 * depth)) {
        case.count("images", 1);
        case.count("of them while recovering", u64::from(depth > 0));
        verify(&image, promised, random.one_in(4))?;
        if depth == 0 && random.one_in(RECOVERIES) {
            cut(&recovery(random), &SimDisk::of(&image), promised.clone(), 1, case)?;
        }
    }
    Ok(())
}
