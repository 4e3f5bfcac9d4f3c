//! What a store goes through: the same with the same seed.

use crate::disk::{Image, Loss, SimDisk};
use crate::random::Random;
use crate::store::{Promises, Store, options};

/// How often something that failed is tried again before the store is said to have stopped.
const ATTEMPTS: usize = 6;

pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    /// What was delivered is settled, so that segments go; otherwise only at the beginning.
    pub(crate) drains: bool,
}

/// What is left of a run.
pub(crate) struct Ran {
    /// What a kill at its end leaves.
    pub(crate) killed: Image,
    /// What a power cut at its end leaves.
    pub(crate) loss: Loss,
    pub(crate) promises: Promises,
    /// Failures the store told of.
    pub(crate) told: u64,
}

impl Script {
    /// Runs it on this disk. `after` hears after every step what is promised by then.
    pub(crate) fn run(
        &self,
        disk: &SimDisk,
        promises: Promises,
        mut after: impl FnMut(&Promises) -> Result<(), String>,
    ) -> Result<Ran, String> {
        let mut random = Random::new(self.seed);
        let mut told = 0;
        let ran = |promises: Promises, told: u64| Ran {
            killed: disk.killed(),
            loss: disk.power_cut(),
            promises,
            told,
        };
        let Some(mut store) = self.open(disk, promises.clone(), &mut told)? else {
            return Ok(ran(promises, told));
        };
        after(&store.promises)?;
        for step in 0..self.steps {
            let failed = match random.below(20) {
                13..=18 if !self.drains && step > 9 => store.commit(),
                0..=8 => {
                    let gap = if random.one_in(6) { random.below(9) } else { 0 };
                    let appended = store.append(1 + random.below(60), gap);
                    if random.below(3) == 0 { appended } else { store.commit() }
                }
                9 => store.commit(),
                10..=12 => store.read(random.below(40_000))?,
                13..=16 => {
                    let position = store
                        .promises
                        .settle_done
                        .max(store.delivered - random.below(40).min(store.delivered));
                    store.settle(position.min(store.delivered))
                }
                17 | 18 => {
                    // Everything delivered and settled: the disk is given back.
                    let read = store.read(u64::MAX)?;
                    // Or all but the last frame, which must then stay.
                    let last = random.below(2).min(store.delivered);
                    read.and_then(|()| store.settle(store.delivered - last))
                }
                _ => {
                    let _ = store.commit();
                    let promises = store.promises.clone();
                    let closed = store.storage.close();
                    told += u64::from(closed.is_err());
                    match self.open(disk, promises.clone(), &mut told)? {
                        Some(opened) => store = opened,
                        None => return Ok(ran(promises, told)),
                    }
                    Ok(())
                }
            };
            told += u64::from(failed.is_err());
            if store.short {
                return Err("a commit succeeded without all that was appended".to_owned());
            }
            after(&store.promises)?;
        }
        let ran = ran(store.promises.clone(), told);
        // What closing it writes is not looked at any more.
        disk.abandon();
        Ok(ran)
    }

    fn open(&self, disk: &SimDisk, promises: Promises, told: &mut u64) -> Result<Option<Store>, String> {
        for _ in 0..ATTEMPTS {
            match Store::open(disk.clone(), &options(), promises.clone()) {
                Ok(store) => {
                    let tail = store.promises.appended;
                    if tail < promises.acknowledged {
                        return Err(format!(
                            "acknowledged up to {}, there up to {tail}",
                            promises.acknowledged
                        ));
                    }
                    if promises.is_passed(store.delivered) {
                        return Err(format!(
                            "the cursor leads: {} of {}",
                            store.delivered, promises.settle_asked
                        ));
                    }
                    return Ok(Some(store));
                }
                Err(_) => *told += 1,
            }
        }
        Ok(None)
    }

    /// The image after a run without a fault, as a kill leaves it.
    pub(crate) fn image(&self) -> Result<(Image, Promises), String> {
        let ran = self.run(&SimDisk::default(), Promises::default(), |_| Ok(()))?;
        Ok((ran.killed, ran.promises))
    }
}
