//! The cutter's steps: each takes some of the input, or turns the state so that the next one does.

use super::{Cut, Cutter, FRESH, LEAD_BYTES, Payload, State};
use crate::error::{Error, Result};
use crate::framing::{OnOversize, RESYNC_BYTES};

/// How far into the input a call of `cut` has come.
pub(super) struct Progress<'a> {
    input: &'a [u8],
    at: usize,
    /// How many bytes from `at` on the framing has seen before.
    seen: usize,
    /// True while `kept` is not in the input.
    pub(super) aside: bool,
}

impl<'a> Progress<'a> {
    pub(super) fn new(input: &'a [u8], lead: usize, aside: bool) -> Self {
        Self {
            input,
            at: 0,
            seen: lead,
            aside,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == self.input.len()
    }

    fn left(&self) -> &'a [u8] {
        &self.input[self.at..]
    }
}

impl Cutter {
    pub(super) fn skip(&mut self, left: u64, progress: &mut Progress<'_>) {
        let bytes = left.min(progress.left().len() as u64);
        self.counters.discarded_bytes += bytes;
        progress.at += bytes as usize;
        progress.seen = 0;
        self.state = match left - bytes {
            0 => FRESH,
            left => State::Skip { left },
        };
    }

    pub(super) fn resync(&mut self, progress: &mut Progress<'_>) {
        let bytes = progress.left();
        let gone = match self.framing.resync(bytes) {
            Some(begin) => {
                self.kept.clear();
                self.state = FRESH;
                begin.min(bytes.len())
            }
            None => {
                self.kept = last(bytes, RESYNC_BYTES).to_vec();
                bytes.len()
            }
        };
        self.counters.discarded_bytes += gone.saturating_sub(progress.seen) as u64;
        progress.at += gone;
        progress.seen = 0;
    }

    /// The usual way: the frame in hand begins in the input.
    pub(super) fn cut_input(
        &mut self,
        needs: Option<u64>,
        progress: &mut Progress<'_>,
        cuts: &mut Vec<Cut>,
    ) -> Result<()> {
        let bytes = progress.left();
        let base = progress.at;
        progress.at = progress.input.len();
        if needs.is_some_and(|needs| needs > bytes.len() as u64) {
            self.kept.extend_from_slice(&bytes[self.kept.len()..]);
            return Ok(());
        }
        self.ends.clear();
        let decoded = self.framing.decode(bytes, progress.seen, &mut self.ends);
        let end = self.last_end(bytes.len())?;
        self.push_cuts(base, cuts)?;
        if end > 0 {
            self.kept.clear();
        }
        // What `kept` holds is the begin of these bytes already: small reads of a long frame copy only what is new.
        self.kept.extend_from_slice(&bytes[end + self.kept.len()..]);
        self.wait_for_rest(decoded?.needs)
    }

    /// One step with a long frame: only as much input as it may need is copied behind it, the rest is cut in place.
    pub(super) fn cut_aside(
        &mut self,
        needs: Option<u64>,
        progress: &mut Progress<'_>,
        cuts: &mut Vec<Cut>,
    ) -> Result<()> {
        let left = progress.left();
        let before = self.kept.len();
        let wanted = needs.map_or(LEAD_BYTES as u64, |needs| needs.saturating_sub(before as u64));
        let taken = wanted.clamp(1, left.len() as u64) as usize;
        self.kept.extend_from_slice(&left[..taken]);
        progress.at += taken;
        if needs.is_some_and(|needs| needs > self.kept.len() as u64) {
            return Ok(());
        }
        self.ends.clear();
        let decoded = self.framing.decode(&self.kept, before, &mut self.ends);
        let end = self.last_end(self.kept.len())?;
        if end > 0 {
            let bytes = std::mem::take(&mut self.kept);
            let behind = bytes.len() - end;
            if decoded.is_ok() && behind <= progress.at {
                progress.at -= behind;
                progress.seen = behind;
                progress.aside = false;
            } else {
                self.kept.extend_from_slice(&bytes[end..]);
            }
            let first = cuts.len();
            let pushed = self.push_cuts(0, cuts);
            own(&mut cuts[first..], bytes);
            pushed?;
        }
        self.wait_for_rest(decoded?.needs)?;
        if !matches!(self.state, State::Frame { .. }) {
            progress.aside = false;
        }
        if matches!(self.state, State::Resync) && !progress.is_done() {
            // The search needs the end of what was discarded; a step that was not the last one copied more than that.
            progress.seen = self.kept.len().min(progress.at);
            progress.at -= progress.seen;
        }
        Ok(())
    }

    /// Pushes the frames in `ends`, without the oversized ones. `base` is where they begin in the input.
    fn push_cuts(&mut self, base: usize, cuts: &mut Vec<Cut>) -> Result<()> {
        let ends = std::mem::take(&mut self.ends);
        let end = ends.last().copied().unwrap_or(0);
        let mut start = 0;
        let mut first = 0;
        // No frame can be too long when all of them together are not.
        if u64::from(end) > self.longest_span {
            let mut begin = 0;
            for (index, &end) in ends.iter().enumerate() {
                let span = u64::from(end - begin);
                if span > self.longest_span {
                    push(base, start, &ends[first..index], cuts);
                    (start, first) = (end, index + 1);
                    self.oversized(span, Some(span))?;
                }
                begin = end;
            }
        }
        push(base, start, &ends[first..], cuts);
        self.ends = ends;
        Ok(())
    }

    /// Decides about the unfinished frame in `kept`.
    fn wait_for_rest(&mut self, needs: Option<u64>) -> Result<()> {
        let length = self.kept.len() as u64;
        match needs {
            Some(needs) if needs > self.longest_span => {
                self.kept = Vec::new();
                self.state = State::Skip {
                    left: needs.saturating_sub(length),
                };
                self.oversized(length, Some(needs))
            }
            // Unfinished, it will be longer than this.
            _ if length >= self.longest_span => {
                self.kept = last(&self.kept, RESYNC_BYTES).to_vec();
                self.state = State::Resync;
                self.oversized(length, None)
            }
            _ => {
                self.state = State::Frame { needs };
                Ok(())
            }
        }
    }

    fn oversized(&mut self, seen_bytes: u64, span: Option<u64>) -> Result<()> {
        self.counters.discarded_frames += 1;
        self.counters.discarded_bytes += seen_bytes;
        if self.limits.on_oversize == OnOversize::Discard {
            return Ok(());
        }
        let length = match span {
            Some(span) => format!("of {span} bytes"),
            None => format!("without end after {seen_bytes} bytes"),
        };
        Err(Error::rejected(format!(
            "a frame {length} (framing {}) exceeds `max_frame_bytes` = {}; if it is none, the peer speaks another framing or its stream is damaged; \
             else raise it, or set `on_oversize` = \"discard\" to drop such frames",
            self.framing.name(),
            self.limits.max_frame_bytes
        )))
    }

    fn last_end(&self, length: usize) -> Result<usize> {
        let end = self.ends.last().map_or(0, |end| *end as usize);
        if end > length {
            return Err(Error::fatal(format!(
                "the framing {} found a frame that ends at byte {end} of {length}: its `decode` is wrong",
                self.framing.name()
            )));
        }
        Ok(end)
    }
}

fn push(base: usize, start: u32, ends: &[u32], cuts: &mut Vec<Cut>) {
    if let Some(end) = ends.last() {
        cuts.push(Cut {
            payload: Payload::Input(base + start as usize..base + *end as usize),
            ends: ends.iter().map(|end| end - start).collect(),
        });
    }
}

/// Gives cuts that were made of `bytes`, not of the input, bytes of their own.
fn own(cuts: &mut [Cut], mut bytes: Vec<u8>) {
    let alone = cuts.len() == 1;
    for cut in cuts {
        if let Payload::Input(range) = &cut.payload {
            let range = range.clone();
            let owned = if alone && range.start == 0 {
                bytes.truncate(range.end);
                std::mem::take(&mut bytes)
            } else {
                bytes[range].to_vec()
            };
            cut.payload = Payload::Aside(owned);
        }
    }
}

fn last(bytes: &[u8], count: usize) -> &[u8] {
    &bytes[bytes.len().saturating_sub(count)..]
}
