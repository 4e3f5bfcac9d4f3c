//! Several named cursors on one store that retains for them: each has everything in order from where it stopped, but for what retention passed, which is counted.
//!
//! Between the machine and the files stands a thread that is played: it carries out what was asked for in order, at any time later, and its answers
//! are heard later still. Cursors come, read, settle and leave at different speeds, one may be forgotten, and the store deletes segments for its size or age.

mod promised;
mod readers;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aqueduct::framework::spill::Storage;

use self::promised::Crowd;
use self::readers::{NAMES, Readers, options};
use crate::disk::{Fault, Image, Kind, SimDisk};
use crate::random::Random;
use crate::run::Case;

/// How often a start that failed is tried again before the store is said to have stopped.
const ATTEMPTS: usize = 6;

/// Steps of a run.
const STEPS: u64 = 30;

/// Kinds of failures: so many cases have the same run.
pub(crate) const KINDS: u64 = Kind::ALL.len() as u64;

/// Power cuts at every sync, and again while it recovers.
pub(crate) fn play_power(case: &mut Case) -> Result<(), String> {
    cut(case.seed, STEPS, &SimDisk::default(), Crowd::default(), 0, case)
}

fn cut(seed: u64, steps: u64, disk: &SimDisk, crowd: Crowd, depth: u64, case: &mut Case) -> Result<(), String> {
    let moments = Arc::new(Mutex::new(Vec::new()));
    let seen = moments.clone();
    disk.at_every_sync(move |loss| seen.lock().unwrap().push(loss));
    let mut random = Random::new(seed ^ 0x5eed);
    let mut before = crowd.clone();
    run(seed, steps, disk, crowd, |now| {
        let losses = std::mem::take(&mut *moments.lock().unwrap());
        let amid = before.amid(now);
        for loss in losses {
            case.count("moments", 1);
            if depth == 0 && random.one_in(20) {
                case.count("kills before", 1);
                cut(random.next(), 8, &SimDisk::after_kill(&loss), amid.clone(), 1, case)?;
            }
            for image in loss.images(&mut random, 3, 8 >> depth) {
                case.count("images", 1);
                case.count("of them while recovering", u64::from(depth > 0));
                if random.one_in(4) {
                    verify(&image, &amid, None, case)?;
                } else {
                    start_on(&image, &amid, None)?;
                }
                if depth == 0 && random.one_in(60) {
                    cut(random.next(), 8, &SimDisk::of(&image), amid.clone(), 1, case)?;
                }
            }
        }
        before = now.clone();
        Ok(())
    })?;
    Ok(())
}

/// The disk fails at every operation, once, twice or for good.
pub(crate) fn play_faults(case: &mut Case) -> Result<(), String> {
    let seed = case.seed / KINDS;
    let disk = SimDisk::default();
    run(seed, STEPS, &disk, Crowd::default(), |_| Ok(()))?;
    let kind = Kind::ALL[(case.seed % KINDS) as usize];
    let mut random = Random::new(seed);
    for from in 1..disk.operations() {
        let times = [1, 2, u64::MAX][random.below(3) as usize];
        let fault = Fault { kind, from, times };
        let failed = |why: String| format!("{fault:?}: {why}");
        let disk = SimDisk::default();
        disk.fail(Some(fault));
        let crowd = run(seed, STEPS, &disk, Crowd::default(), |_| Ok(())).map_err(failed)?;
        case.count("runs", 1);
        case.count("failures met", disk.faults_met());
        verify(&disk.killed(), &crowd, None, case).map_err(failed)?;
        if kind != Kind::Lie {
            for image in disk.power_cut().images(&mut random, 1, 3) {
                start_on(&image, &crowd, None).map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// Everything at random: many lives of one store, which end in order, by a kill or a power cut, or with a cursor's file damaged.
pub(crate) fn play_model(case: &mut Case) -> Result<(), String> {
    let mut random = Random::new(case.seed);
    let (mut disk, mut crowd) = (SimDisk::default(), Crowd::default());
    for _ in 0..5 {
        let steps = 1 + random.below(40);
        crowd = run(random.next(), steps, &disk, crowd, |_| Ok(()))?;
        case.count("steps", steps);
        disk = match random.below(3) {
            0 => SimDisk::after_kill(&disk.power_cut()),
            _ => SimDisk::of(&power_cut(&disk, &mut random)),
        };
        if random.one_in(2) {
            // Nobody starts it before the power goes: nothing but forgetting makes that durable.
            forget(&disk, &mut crowd, NAMES[random.below(3) as usize]);
            disk = SimDisk::of(&power_cut(&disk, &mut random));
        }
        let image = disk.killed();
        if random.one_in(3) {
            let mut damaged = image.clone();
            if let Some(name) = damage(&mut damaged, &mut random) {
                case.count("damaged cursors", 1);
                verify(&damaged, &crowd, Some(&name), case).map_err(|why| format!("{name} is damaged: {why}"))?;
            }
        }
        verify(&image, &crowd, None, case)?;
    }
    Ok(())
}

/// What a power cut leaves: any part of what was not synced.
fn power_cut(disk: &SimDisk, random: &mut Random) -> Image {
    disk.power_cut().images(random, 1, 3).pop().unwrap_or_default()
}

/// Flips bytes in a cursor's file, cuts it, or puts something else in its place.
fn damage(image: &mut Image, random: &mut Random) -> Option<String> {
    let name = NAMES[random.below(3) as usize];
    let data = image
        .files
        .get_mut(&PathBuf::from(format!("/store/cursors/{name}.cursor")))?;
    match random.below(3) {
        0 => data.flip(random.below(24) + 4096 * random.below(2), 1 << random.below(8)),
        1 => data.set_len(random.below(data.len)),
        _ => data.write(0, &vec![random.next() as u8; data.len as usize]),
    }
    Some(name.to_owned())
}

/// Starts on an image, and every cursor reads to the end.
fn verify(image: &Image, crowd: &Crowd, damaged: Option<&str>, case: &mut Case) -> Result<(), String> {
    let mut readers = start_on(image, crowd, damaged)?;
    readers.drain()?;
    readers.append(3);
    readers.commit();
    readers.drain()?;
    case.count("frames that came", readers.came);
    case.count("frames passed by retention", readers.passed);
    if readers.told > 0 {
        return Err("a disk without a fault fails".to_owned());
    }
    Ok(())
}

/// What a start finds is what was promised.
fn start_on(image: &Image, crowd: &Crowd, damaged: Option<&str>) -> Result<Readers, String> {
    let opened = Readers::open(SimDisk::of(image), crowd.clone(), damaged)?;
    opened.map_err(|error| format!("does not start: {error}"))
}

/// Runs a store on this disk. `after` hears after every step what is promised by then; so does the caller at the end.
fn run(
    seed: u64,
    steps: u64,
    disk: &SimDisk,
    crowd: Crowd,
    mut after: impl FnMut(&Crowd) -> Result<(), String>,
) -> Result<Crowd, String> {
    let mut random = Random::new(seed);
    let Some(mut readers) = start(disk, &crowd)? else {
        return Ok(crowd);
    };
    after(&readers.crowd())?;
    for _ in 0..steps {
        let name = NAMES[random.below(3) as usize];
        match random.below(26) {
            0..=4 => {
                readers.append(1 + random.below(250));
                readers.commit();
            }
            5 => readers.append(1 + random.below(50)),
            6..=8 => readers.enter(name, random.one_in(4))?,
            9 => readers.leave(name),
            10..=13 => readers.want(name, random.below(60_000)),
            14 | 15 => readers.settle(name, &mut random),
            16 => readers.settle(NAMES[1], &mut random),
            17..=19 => {
                readers.tick();
                (0..random.below(8)).try_for_each(|_| readers.work(random.one_in(3)))?;
            }
            20 => (0..4).try_for_each(|_| readers.hear())?,
            21 | 22 => {
                readers.tick();
                readers.settle_down()?;
            }
            23 | 24 => {
                NAMES.iter().for_each(|name| readers.want(name, u64::MAX));
                readers.settle_down()?;
                NAMES.iter().for_each(|name| readers.settle(name, &mut random));
                readers.tick();
                (0..random.below(3)).try_for_each(|_| readers.work(false))?;
            }
            _ => {
                let mut crowd = readers.close()?;
                if random.one_in(2) {
                    forget(disk, &mut crowd, name);
                }
                match start(disk, &crowd)? {
                    Some(opened) => readers = opened,
                    None => return Ok(crowd),
                }
            }
        }
        readers.pump();
        after(&readers.crowd())?;
    }
    let crowd = readers.crowd();
    // What closing it writes is not looked at any more.
    disk.abandon();
    Ok(crowd)
}

fn start(disk: &SimDisk, crowd: &Crowd) -> Result<Option<Readers>, String> {
    for _ in 0..ATTEMPTS {
        if let Ok(opened) = Readers::open(disk.clone(), crowd.clone(), None)? {
            return Ok(Some(opened));
        }
    }
    Ok(None)
}

/// As `aqueduct spill DIRECTORY forget NAME` does.
fn forget(disk: &SimDisk, crowd: &mut Crowd, name: &str) {
    let Some(kept) = crowd.kept.get_mut(name) else { return };
    let Ok((mut storage, _)) = Storage::open_on(Arc::new(disk.clone()), &options()) else {
        return;
    };
    (kept.made, kept.durable) = (false, 0);
    kept.forgotten = matches!(storage.forget_named(name), Ok(true));
    kept.doubted = !kept.forgotten;
    let _ = storage.close();
}
