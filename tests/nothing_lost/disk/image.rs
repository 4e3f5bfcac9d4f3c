//! What is on the disk after its power failed: all that was synced, and any part of the rest.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::data::SECTOR;
use super::{Change, Data, File, Names, Naming};
use crate::random::Random;

/// Files by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    pub(crate) files: BTreeMap<PathBuf, Data>,
}

/// A moment at which the power fails.
#[derive(Debug, Clone)]
pub(crate) struct Loss {
    durable: Vec<Data>,
    pub(super) names: Names,
    pub(super) namings: Vec<Naming>,
    /// File and change, in the order of the files.
    changes: Vec<(usize, Change)>,
}

/// What becomes of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lost,
    Kept,
    Torn,
}

impl Loss {
    pub(super) fn new(files: &[File], names: &Names, namings: &[Naming]) -> Self {
        let changes = files.iter().enumerate();
        Self {
            durable: files.iter().map(|file| file.durable.clone()).collect(),
            names: names.clone(),
            namings: namings.to_vec(),
            changes: changes
                .flat_map(|(index, file)| file.changes.iter().map(move |change| (index, change.clone())))
                .collect(),
        }
    }

    /// What becomes of it when not the power fails but the program is killed: what was not synced is there, and may still be lost.
    pub(super) fn after_kill(&self) -> (Vec<File>, Names) {
        let (mut names, files) = (self.names.clone(), self.durable.iter());
        self.namings.iter().for_each(|naming| naming.apply(&mut names));
        let mut files: Vec<File> = files.map(File::synced).collect();
        for (file, change) in &self.changes {
            files[*file].change(change.clone());
        }
        (files, names)
    }

    pub(crate) fn everything(&self) -> Image {
        self.image(&mut Random::new(0), |_| Fate::Kept)
    }

    /// Images of this moment: the telling ones, and `random` random ones. `most` bounds how many, taken at random.
    pub(crate) fn images(&self, random: &mut Random, extra: usize, most: usize) -> Vec<Image> {
        let count = self.namings.len() + self.changes.len();
        let mut images = vec![self.image(random, |_| Fate::Lost), self.everything()];
        let mut picks: Vec<(usize, u64)> = (0..count).flat_map(|one| (0..4).map(move |how| (one, how))).collect();
        random.shuffle(&mut picks);
        picks.truncate(most.saturating_sub(extra + images.len()));
        for (one, how) in picks {
            images.push(self.image(random, |index| match (index == one, how) {
                (true, 0) | (false, 1 | 3) => Fate::Kept,
                (true, 2 | 3) => Fate::Torn,
                _ => Fate::Lost,
            }));
        }
        for _ in 0..extra {
            let (kept, torn) = (random.below(101), random.below(30));
            let fates: Vec<Fate> = (0..count)
                .map(|_| match (random.below(100) < kept, random.below(100) < torn) {
                    (true, false) => Fate::Kept,
                    (true, true) => Fate::Torn,
                    (false, _) => Fate::Lost,
                })
                .collect();
            images.push(self.image(random, |index| fates[index]));
        }
        images
    }

    fn image(&self, random: &mut Random, fate: impl Fn(usize) -> Fate) -> Image {
        let (mut names, mut files) = (self.names.clone(), self.durable.clone());
        for (index, naming) in self.namings.iter().enumerate() {
            // A change of names is never half done.
            if fate(index) != Fate::Lost {
                naming.apply(&mut names);
            }
        }
        for (index, (file, change)) in self.changes.iter().enumerate() {
            match fate(self.namings.len() + index) {
                Fate::Lost => {}
                Fate::Kept => change.apply(&mut files[*file]),
                Fate::Torn => tear(change, random)
                    .iter()
                    .for_each(|part| part.apply(&mut files[*file])),
            }
        }
        let files = names.into_iter().map(|(path, file)| (path, files[file].clone()));
        Image { files: files.collect() }
    }
}

/// Some sectors of a write: the first ones, the last ones, or any.
fn tear(change: &Change, random: &mut Random) -> Vec<Change> {
    let Change::Write { at, bytes } = change else {
        return Vec::new();
    };
    let sectors: Vec<(u64, Arc<[u8]>)> = bytes
        .chunks(SECTOR)
        .enumerate()
        .map(|(index, sector)| (at + (index * SECTOR) as u64, sector.into()))
        .collect();
    let (cut, how) = (random.below(sectors.len() as u64 + 1) as usize, random.below(3));
    let kept = sectors.into_iter().enumerate().filter(|(index, _)| match how {
        0 => *index < cut,
        1 => *index >= cut,
        _ => random.below(2) == 0,
    });
    kept.map(|(_, (at, bytes))| Change::Write { at, bytes }).collect()
}
