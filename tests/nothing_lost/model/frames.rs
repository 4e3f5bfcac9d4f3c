//! What the model knows of every frame, and what may come of it.

use std::collections::BTreeMap;
use std::ops::Range;

/// What is known of a frame that is not settled for good.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) acknowledged: bool,
    pub(super) settled: bool,
    /// It came before a crash: it need not be there unless it was acknowledged.
    pub(super) old: bool,
    /// Deleted under `drop_oldest`; from the next crash on it counts as settled.
    pub(super) dropped: bool,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) frames: BTreeMap<u64, Known>,
    /// Position -> frame, as the store numbers them.
    pub(super) places: BTreeMap<u64, u64>,
    pub(super) next_id: u64,
    /// Where the line goes on: no frame below may come in this epoch.
    next: u64,
    epoch: u64,
    pub(super) handed: u64,
}

impl Model {
    /// How many frames must still be delivered.
    pub(super) fn left(&self) -> usize {
        self.frames.values().filter(|known| known.must_come()).count()
    }

    pub(super) fn hand(&mut self, epoch: u64, ids: &[u64]) -> Result<(), String> {
        if epoch != self.epoch {
            (self.epoch, self.next) = (epoch, 0);
        }
        for id in ids {
            if *id < self.next {
                return Err(format!("frame {id} comes behind {}: out of order or twice", self.next));
            }
            if let Some((missing, known)) = self.frames.range(self.next..*id).find(|(_, known)| known.must_come()) {
                return Err(format!("frame {id} comes, {missing} is missing: {known:?}"));
            }
            match self.frames.get(id) {
                Some(known) if (known.settled || known.dropped) && !known.old => {
                    return Err(format!("frame {id} comes, and is settled or was dropped"));
                }
                Some(_) => {}
                None => return Err(format!("frame {id} comes, which was refused or forgotten")),
            }
            self.next = id + 1;
        }
        self.handed += ids.len() as u64;
        Ok(())
    }

    /// Positions were dropped, with so many unsettled frames, as the store counts. Of what was settled before a crash it need not know.
    pub(super) fn drop(&mut self, positions: Range<u64>, counted: u64) -> Result<(), String> {
        let (mut unsettled, mut forgotten) = (0, 0);
        for position in positions.clone() {
            let known = self.places.get(&position).and_then(|id| self.frames.get_mut(id));
            let known = known.ok_or_else(|| format!("position {position} was dropped, and never filled"))?;
            match known {
                // A segment may reach over one that is gone.
                Known { dropped: true, .. }
                | Known {
                    settled: true,
                    old: false,
                    ..
                } => {}
                Known { settled: true, .. } => forgotten += 1,
                Known { settled: false, .. } => unsettled += 1,
            }
            known.dropped = true;
        }
        if (unsettled..=unsettled + forgotten).contains(&counted) {
            return Ok(());
        }
        Err(format!(
            "{counted} frames of {positions:?} count as dropped, {unsettled} were"
        ))
    }

    pub(super) fn settled(&mut self, ids: &[u64]) {
        for id in ids {
            if let Some(known) = self.frames.get_mut(id) {
                known.settled = true;
            }
        }
    }

    pub(super) fn acknowledged(&mut self, ids: &[u64]) {
        for id in ids {
            if let Some(known) = self.frames.get_mut(id) {
                known.acknowledged = true;
            }
        }
    }

    pub(super) fn crashed(&mut self) {
        (self.epoch, self.next) = (0, 0);
        for known in self.frames.values_mut() {
            known.old = true;
            known.settled |= std::mem::take(&mut known.dropped);
        }
    }
}

impl Known {
    fn must_come(&self) -> bool {
        !self.settled && !self.dropped && (self.acknowledged || !self.old)
    }
}
