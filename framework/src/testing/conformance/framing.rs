//! The suite of framings.

use std::marker::PhantomData;

use serde_json::Value;

use super::processor::awkward;
use super::{Checked, broken, contained, declared, keeps, must_conform};
use crate::framing::Framing;
use crate::testing::{FramingKit, options};

/// The suite for the framing `F` with these options, in TOML.
pub fn framing<F: Framing>(options: &str) -> FramingSuite<F> {
    FramingSuite {
        options: options.to_owned(),
        frames: Vec::new(),
        plugin: PhantomData,
    }
}

/// A framing about to be held to its contract.
#[must_use = "it does nothing before `check`"]
pub struct FramingSuite<F> {
    options: String,
    frames: Vec<Vec<u8>>,
    plugin: PhantomData<F>,
}

impl<F: Framing> FramingSuite<F> {
    /// Frames that it can encode, besides those of a dozen awkward ones that it does not refuse.
    pub fn frames<T: AsRef<[u8]>>(mut self, frames: impl IntoIterator<Item = T>) -> Self {
        self.frames
            .extend(frames.into_iter().map(|frame| frame.as_ref().to_vec()));
        self
    }

    /// Runs the suite.
    ///
    /// # Panics
    /// With the first line of the contract that is broken.
    #[track_caller]
    pub fn check(self) {
        must_conform("framing", F::NAME, self.run());
    }

    fn run(self) -> Checked {
        declared::name("NAME", F::NAME)?;
        declared::schema(&schemars::schema_for!(F::Config).to_value())?;
        let build = |settings: &Value| crate::framing::boxed::<F>(settings.clone()).map(drop);
        let settings = options(&self.options).map_err(|error| error.to_string())?;
        declared::build_unused(&settings, &build)?;
        declared::refuses_unknown(settings, &build)?;
        let kit = crate::testing::framing::<F>(&self.options);
        let frames = self.encodable(&kit)?;
        contained("`decode` does not panic", || round_trip(&kit, &frames))??;
        contained("`decode` does not panic", || follows_its_own_rules(&kit, &frames))??;
        contained("no bytes make it panic", || takes_anything(&kit))?
    }

    /// The frames of the suite that it does not refuse; those given must not be.
    fn encodable(&self, kit: &FramingKit<F>) -> Checked<Vec<Vec<u8>>> {
        let line = "`encode` takes a frame, or refuses it with `rejected` and does not panic";
        let mut frames = Vec::new();
        for frame in &self.frames {
            let encoded = contained(line, || kit.try_encode(frame))?;
            encoded.map_err(|error| broken("the frames given to the suite can be encoded", error))?;
            frames.push(frame.clone());
        }
        for frame in awkward().into_iter().filter(|frame| frame.len() < 1000) {
            match contained(line, || kit.try_encode(&frame))? {
                Ok(_) => frames.push(frame),
                Err(error) => keeps(line, error.reaction() == crate::error::Reaction::Reject, || {
                    format!("it says, not as `rejected`: {error}")
                })?,
            }
        }
        keeps("the suite has frames to try", !frames.is_empty(), || {
            "it refuses all of them; give it some that suit".to_owned()
        })?;
        Ok(frames)
    }
}

fn round_trip<F: Framing>(kit: &FramingKit<F>, frames: &[Vec<u8>]) -> Checked {
    let line = "what `encode` writes, `decode` finds again, however it is read";
    for frame in frames {
        kit.try_round_trip(std::slice::from_ref(frame))
            .map_err(|error| broken(line, error))?;
    }
    kit.try_round_trip(frames).map_err(|error| broken(line, error))
}

/// One call of `decode` on all of it.
fn follows_its_own_rules<F: Framing>(kit: &FramingKit<F>, frames: &[Vec<u8>]) -> Checked {
    let mut framing = kit.build().map_err(|error| error.to_string())?;
    let (mut stream, mut expected) = (Vec::new(), Vec::new());
    for frame in frames {
        framing.encode(frame, &mut stream).map_err(|error| error.to_string())?;
        expected.push(stream.len() as u32);
    }
    let mut ends = vec![7];
    let decoded = framing.decode(&stream, 0, &mut ends);
    decoded.map_err(|error| broken("`decode` follows what `encode` wrote", error))?;
    keeps("`decode` appends to `ends`", ends.first() == Some(&7), || {
        "it cleared what was there".to_owned()
    })?;
    keeps(
        "`decode` tells the end of every complete frame, ascending, framing bytes included",
        ends[1..] == expected,
        || format!("the frames end at {expected:?}, and it said {:?}", &ends[1..]),
    )?;
    let (head, tail) = framing.overhead();
    let bytes = frames.iter().map(Vec::len).sum::<usize>() + frames.len() * (head + tail) as usize;
    keeps(
        "`overhead` is what `encode` puts around every frame",
        bytes == stream.len(),
        || format!("{} bytes were written, and it makes that {bytes}", stream.len()),
    )?;
    let again = kit.build().map_err(|error| error.to_string())?;
    keeps(
        "`wire` depends on the options only",
        framing.wire() == again.wire(),
        || format!("it was {:?}, and then {:?}", framing.wire(), again.wire()),
    )
}

/// Garbage may be refused or cut somehow, but never in a way that depends on the reads.
fn takes_anything<F: Framing>(kit: &FramingKit<F>) -> Checked {
    let line = "what `decode` finds does not depend on how the stream was read, whatever is in it";
    let mut state = 1_u32;
    for length in [1, 2, 3, 7, 64, 300] {
        // Numbers of a linear congruential generator: the same in every run.
        let mut garbage = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let stream: Vec<u8> = (0..length).map(|_| garbage()).collect();
        kit.try_decode(&stream).map_err(|error| broken(line, error))?;
    }
    Ok(())
}
