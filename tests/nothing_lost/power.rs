//! Power cuts at every sync: whatever part of the unsynced writes has reached the disk, all that was acknowledged is there.

use std::sync::{Arc, Mutex};

use aqueduct_framework::spill::bugs::Bugs;

use crate::disk::{Image, SimDisk};
use crate::random::Random;
use crate::script::Script;
use crate::store::{Promises, verify};
use crate::{report, scale, seed};

const IMAGES: u64 = 20_000;
/// The most images of one moment, and how many of them are random.
const OF_A_MOMENT: (usize, usize) = (28, 10);
/// In every so many images the power fails once more, while the store recovers and goes on.
const RECOVERIES: u64 = 200;

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    report("power loss", || {
        let tried = run(Bugs::default(), seed(), IMAGES * scale())?;
        Ok(format!(
            "{} images of {} moments, {} of them while recovering",
            tried.images, tried.moments, tried.recovering
        ))
    });
}

#[derive(Debug, Default)]
pub(crate) struct Tried {
    images: u64,
    moments: u64,
    recovering: u64,
}

pub(crate) fn run(bugs: Bugs, seed: u64, images: u64) -> Result<Tried, String> {
    let mut tried = Tried::default();
    for seed in seed.. {
        if tried.images >= images {
            break;
        }
        let script = Script {
            seed,
            steps: 30,
            drains: true,
            bugs,
        };
        cut(&script, &Image::default(), Promises::default(), 0, &mut tried)
            .map_err(|failure| format!("AQUEDUCT_SEED={seed}: {failure}"))?;
    }
    Ok(tried)
}

/// Runs a script, and cuts the power before each of its syncs and at its end.
fn cut(script: &Script, from: &Image, promises: Promises, depth: u64, tried: &mut Tried) -> Result<(), String> {
    let disk = SimDisk::of(from);
    let moments = Arc::new(Mutex::new(Vec::new()));
    let seen = moments.clone();
    disk.at_every_sync(move |loss| seen.lock().unwrap().push(loss));
    let mut random = Random::new(script.seed ^ 0x5eed);
    let mut before = promises.clone();
    let end = disk.clone();
    script.run(&disk, promises, |now| {
        let mut losses = std::mem::take(&mut *moments.lock().unwrap());
        // What is promised at those moments: no more than before the step, and what was asked for since may be there.
        let promised = Promises {
            acknowledged: before.acknowledged,
            settle_done: before.settle_done,
            ..now.clone()
        };
        for loss in losses.drain(..) {
            look(script, &loss, &promised, depth, &mut random, tried)?;
        }
        look(script, &end.power_cut(), now, depth, &mut random, tried)?;
        before = now.clone();
        Ok(())
    })?;
    Ok(())
}

fn look(
    script: &Script,
    loss: &crate::disk::Loss,
    promised: &Promises,
    depth: u64,
    random: &mut Random,
    tried: &mut Tried,
) -> Result<(), String> {
    let (most, extra) = OF_A_MOMENT;
    tried.moments += 1;
    for image in loss.images(random, extra >> depth, most >> (2 * depth)) {
        tried.images += 1;
        tried.recovering += u64::from(depth > 0);
        verify(&image, script.bugs, promised, random.one_in(4))?;
        if depth == 0 && random.one_in(RECOVERIES) {
            let script = Script {
                seed: random.next(),
                steps: 6,
                drains: true,
                bugs: script.bugs,
            };
            cut(&script, &image, promised.clone(), 1, tried)?;
        }
    }
    Ok(())
}
