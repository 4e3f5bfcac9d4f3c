//! Bytes that change, files that are cut or foreign: never a wrong byte, never a loss that is not told, never a refusal to start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aqueduct::framework::spill::{SpillError, SpillOptions, Storage};

use crate::disk::{Data, Fault, Image, Kind, PAGE, SimDisk};
use crate::random::Random;
use crate::run::Case;
use crate::script::Script;
use crate::store::{Checked, Promises, options, read_all};

/// Of one store.
const FLIPS: u64 = 500;
const CUTS: u64 = 100;
const NAMES: u64 = 100;
/// Where they stand in a segment.
const REDB_FLAGS: u64 = 9;

/// A store with several segments, and what it promised.
pub(crate) fn store(seed: u64) -> Result<(Image, Promises), String> {
    // Some runs end with everything delivered: those have nothing to rot.
    for attempt in 0..50 {
        let script = Script {
            seed: seed.wrapping_mul(1_000) + attempt,
            steps: 60,
            drains: false,
        };
        let (image, promises) = script.image()?;
        let frames = promises
            .frames
            .range(promises.settle_asked..promises.acknowledged)
            .count();
        if segments(&image).len() > 1 && frames > 100 {
            return Ok((image, promises));
        }
    }
    Err("no run leaves two segments".to_owned())
}

fn segments(image: &Image) -> Vec<PathBuf> {
    let paths = image
        .files
        .keys()
        .filter(|path| path.extension().is_some_and(|end| end == "redb"));
    paths.cloned().collect()
}

pub(crate) fn play_flips(case: &mut Case) -> Result<(), String> {
    let (image, promises) = store(case.seed)?;
    let mut random = Random::new(case.seed);
    let paths: Vec<&PathBuf> = image.files.keys().filter(|path| !path.ends_with("lock")).collect();
    let segments = segments(&image);
    let newest = segments.last().ok_or("there is no segment")?;
    let mut flips = 0;
    while flips < FLIPS {
        // redb's flags have no checksum: each of them, and then anything.
        let (path, at, mask) = match flips {
            0..8 => (newest, REDB_FLAGS, 1 << flips),
            _ => {
                let path = paths[random.below(paths.len() as u64) as usize];
                let Some(at) = any_byte(&image.files[path], &mut random) else {
                    continue;
                };
                (path, at, 1 << random.below(8))
            }
        };
        let mut bad = image.clone();
        if let Some(data) = bad.files.get_mut(path) {
            data.flip(at, mask);
        }
        let checked =
            look(&bad, &promises).map_err(|failure| format!("byte {at} of {} ^ {mask}: {failure}", path.display()))?;
        flips += 1;
        case.count("flips", 1);
        case.count(
            match (checked.damaged, checked.lost) {
                (0, _) => "without effect",
                (_, 0) => "found and nothing lost",
                _ => "found with the loss counted",
            },
            1,
        );
    }
    Ok(())
}

/// A header's or a leaf's first bytes are as likely as all the rest: there is what redb goes by.
fn any_byte(data: &Data, random: &mut Random) -> Option<u64> {
    let pages = data.pages();
    let first = *pages.first()?;
    let page = if random.one_in(4) {
        first
    } else {
        pages[random.below(pages.len() as u64) as usize]
    };
    let most = if random.one_in(2) { 64 } else { PAGE };
    Some(page * PAGE + random.below(most))
}

/// Everything that was acknowledged came, or is said to be lost.
fn look(image: &Image, promises: &Promises) -> Result<Checked, String> {
    let (checked, _) = read_all(image, promises)?;
    if checked.tail < promises.acknowledged {
        return Err(format!(
            "acknowledged up to {}, there up to {}: nobody says that {checked:?} is lost",
            promises.acknowledged, checked.tail
        ));
    }
    if promises.is_passed(checked.settled) {
        return Err(format!("the cursor leads: {checked:?}"));
    }
    if checked.lost > 0 && checked.damaged == 0 {
        return Err(format!("lost, and no segment is said to be damaged: {checked:?}"));
    }
    Ok(checked)
}

pub(crate) fn play_cuts(case: &mut Case) -> Result<(), String> {
    let (image, promises) = store(case.seed)?;
    let paths = segments(&image);
    let mut random = Random::new(case.seed ^ 0xc07);
    for how in 0..CUTS {
        let path = &paths[random.below(paths.len() as u64) as usize];
        let mut bad = image.clone();
        bad.files
            .insert(path.clone(), replaced(&image.files[path], how, &mut random));
        let newest = Some(path) == paths.last();
        let (checked, _) =
            read_all(&bad, &promises).map_err(|failure| format!("{how} of {}: {failure}", path.display()))?;
        // What stood at the end of the newest segment nobody can know any more; but the segment is said to be damaged.
        let short = checked.tail < promises.acknowledged && !(newest && checked.damaged > 0);
        if short || (checked.lost > 0 && checked.damaged == 0) || others(&promises, &paths, path) > checked.came {
            return Err(format!(
                "{how} of {}: {checked:?} of {}",
                path.display(),
                promises.acknowledged
            ));
        }
        case.count("files", 1);
        case.count("frames came", checked.came);
        case.count("frames said to be lost", checked.lost);
    }
    Ok(())
}

/// Where the end of a store is lost, positions are given twice: then they have another name from that start on, whoever opened the store
/// first, for whatever, and however far that start came.
pub(crate) fn play_names(case: &mut Case) -> Result<(), String> {
    let (image, promises) = store(case.seed)?;
    let mut random = Random::new(case.seed ^ 0x4a3e);
    for how in 0..NAMES {
        let mut bad = image.clone();
        let mut all = segments(&image);
        // All from one on, or only the newest.
        let kept = random.below(all.len() as u64) as usize;
        for path in all.drain(kept..) {
            bad.files
                .insert(path.clone(), replaced(&image.files[&path], how, &mut random));
        }
        let cursor = Path::new("/store/main.cursor");
        if kept == 0 && random.one_in(2) {
            let data = replaced(&image.files[cursor], random.next(), &mut random);
            bad.files.insert(cursor.to_owned(), data);
        }
        let disk = SimDisk::of(&bad);
        if random.one_in(2) {
            let kind = Kind::Io;
            let (from, times) = (disk.operations() + 1 + random.below(60), 1 + random.below(8));
            disk.fail(Some(Fault { kind, from, times }));
            let _ = Storage::open_on(Arc::new(disk.clone()), &options());
            disk.fail(None);
        }
        if random.one_in(2) {
            tend(&disk)?;
        }
        let failed = |error: SpillError| format!("{how}: does not start: {error}");
        let (storage, recovered) = Storage::open_on(Arc::new(disk), &options()).map_err(failed)?;
        let again = recovered.tail < promises.acknowledged;
        if again && storage.stream() == promises.stream {
            return Err(format!(
                "{how}: positions from {} to {} are given twice, under the name that receivers know",
                recovered.tail, promises.acknowledged
            ));
        }
        case.count("stores", 1);
        case.count("of them without their end", u64::from(again));
    }
    Ok(())
}

/// As `aqueduct spill DIR compact` does, which knows nothing of the pipeline's config.
fn tend(disk: &SimDisk) -> Result<(), String> {
    let failed = |error: SpillError| format!("cannot be tended: {error}");
    let plain = SpillOptions::new("/store");
    let (mut storage, recovered) = Storage::open_on(Arc::new(disk.clone()), &plain).map_err(failed)?;
    storage.settle(recovered.settled).map_err(failed)?;
    storage.close().map_err(failed)
}

/// How many unsettled frames stand in the other segments.
fn others(promises: &Promises, paths: &[PathBuf], damaged: &Path) -> u64 {
    let first = |path: &Path| {
        path.file_stem()
            .and_then(|name| name.to_str()?.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let begin = first(damaged);
    let end = paths
        .iter()
        .map(|path| first(path))
        .find(|first| *first > begin)
        .unwrap_or(u64::MAX);
    let unsettled = promises.frames.range(promises.settle_asked..promises.acknowledged);
    unsettled
        .filter(|(position, _)| !(begin..end).contains(position))
        .count() as u64
}

/// A file cut, emptied, full of something else, or another file's beginning.
fn replaced(data: &Data, case: u64, random: &mut Random) -> Data {
    let mut bad = data.clone();
    match case % 10 {
        0 => bad.set_len(0),
        1 => bad.set_len(random.below(64)),
        2 => {
            bad.set_len(0);
            let noise: Vec<u8> = (0..20_000).map(|_| random.next() as u8).collect();
            bad.write(0, &noise);
        }
        3 => bad.write(0, &[b'x'; 4096]),
        4 => bad.write(random.below(data.len), &[0; 5_000]),
        _ => bad.set_len(random.below(data.len)),
    }
    bad
}
