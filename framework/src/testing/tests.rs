//! What a plugin's author is promised, on a plugin that does what its frames say.

mod kits;
mod wrong;

use std::cell::Cell;
use std::time::Duration;

use serde::Deserialize;

use super::*;
use crate::batch::Frame;
use crate::plugin::{Context, Frames, Output, Processor};
use crate::receipt::Fate;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Failures of an `unavailable` frame before it succeeds.
    #[serde(default)]
    failures: u32,
}

/// Does what each frame says; counts the frames it has seen since it was built.
struct Obey {
    failures: u32,
    seen: Cell<u32>,
}

impl Processor for Obey {
    type Config = Options;
    const NAME: &'static str = "obey";
    const OUTPUTS: &'static [&'static str] = &["side"];

    fn new(options: Options, _: &Context) -> Result<Self> {
        Ok(Self {
            failures: options.failures,
            seen: Cell::new(0),
        })
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        self.seen.set(self.seen.get() + 1);
        match frame.bytes() {
            b"skip" => {}
            b"side" => out.send("side", frame),
            b"nowhere" => out.send("nowhere", frame),
            b"two" => {
                out.push(b"two a");
                out.push(b"two b");
            }
            b"seen" => out.push(self.seen.get().to_string().as_bytes()),
            b"note" => {
                out.attribute("note", "first");
                out.attribute("note", "second");
                out.keep(frame);
            }
            b"panic" => panic!("told to"),
            b"unavailable" if self.failures > 0 => {
                self.failures -= 1;
                partly(frame, out);
                return Err(Error::unavailable("not yet"));
            }
            b"reject" => {
                partly(frame, out);
                return Err(Error::rejected("bad frame"));
            }
            b"fatal" => return Err(Error::fatal("told to stop")),
            _ => out.keep(frame),
        }
        Ok(())
    }
}

fn partly(frame: Frame<'_>, out: &mut Output) {
    out.attribute("half", "done");
    out.keep(frame);
    out.push(b"half");
    out.push_to("side", b"half");
}

fn obey(frames: &[&str]) -> Run {
    processor::<Obey>("").frames(frames)
}

fn letters(run: &Run) -> Vec<(String, String)> {
    let letters = run.rejected().into_iter();
    letters.map(|letter| (letter.frame, letter.reason)).collect()
}

fn letter(frame: &str, reason: &str) -> (String, String) {
    (frame.to_owned(), reason.to_owned())
}

#[test]
fn a_filtered_batch_keeps_the_gaps_of_its_numbers() {
    let run = obey(&["a", "skip", "b", "side", "c"]);
    assert_eq!(run.output(""), ["a", "b", "c"]);
    assert_eq!(run.numbers(""), [0, 2, 4]);
    assert_eq!(run.numbers("side"), [3]);
    assert_eq!(run.fates(), [(0, Fate::Delivered)]);
}

#[test]
fn a_batch_of_which_nothing_is_left_is_delivered() {
    let run = processor::<Obey>("").frames_per_batch(2).frames(["skip", "skip", "a"]);
    assert_eq!(run.output(""), ["a"]);
    assert_eq!(run.fates(), [(0, Fate::Delivered), (1, Fate::Delivered)]);
}

#[test]
fn several_frames_made_of_one_keep_its_number() {
    let run = obey(&["a", "two", "b"]);
    assert_eq!(run.output(""), ["a", "two a", "two b", "b"]);
    assert_eq!(run.numbers(""), [0, 1, 1, 2]);
}

#[test]
fn an_attribute_set_twice_has_the_later_value_and_belongs_to_one_frame() {
    let run = obey(&["a", "note", "b"]);
    assert_eq!(run.attributes("", 1)["note"], "second");
    assert!(run.attributes("", 0).is_empty() && run.attributes("", 2).is_empty());
}

#[test]
fn a_rejected_frame_takes_back_all_it_emitted_and_earlier_frames_stand() {
    let run = obey(&["note", "reject", "b", "reject", "two"]);
    assert_eq!(run.output(""), ["note", "b", "two a", "two b"]);
    assert_eq!(run.output("side"), Vec::<String>::new());
    assert_eq!(
        letters(&run),
        [letter("reject", "bad frame"), letter("reject", "bad frame")]
    );
    assert_eq!(run.attributes("", 0)["note"], "second");
    assert!(run.attributes("", 1).is_empty());
    assert!(!run.attributes("rejected", 0).contains_key("half"));
    assert_eq!(run.numbers("rejected"), [1, 3]);
    assert_eq!(run.fates(), [(0, Fate::Rejected)]);
}

#[test]
fn an_unavailable_frame_is_tried_again_and_nothing_comes_twice() {
    let run = processor::<Obey>("failures = 2").frames(["a", "side", "unavailable", "b"]);
    assert_eq!(run.output(""), ["a", "unavailable", "b"]);
    assert_eq!(run.output("side"), ["side"]);
    assert!(run.attributes("", 1).is_empty());
    assert_eq!(run.count("retries"), 2);
    assert_eq!(run.fates(), [(0, Fate::Delivered)]);
}

#[test]
fn only_the_frame_that_panics_is_rejected_and_the_state_is_lost() {
    let run = obey(&["a", "panic", "b", "seen"]);
    assert_eq!(run.output(""), ["a", "b", "2"]);
    assert_eq!(letters(&run), [letter("panic", "the plugin panicked: told to")]);
    assert_eq!(run.numbers(""), [0, 2, 3]);
}

#[test]
fn an_undeclared_output_stops_the_plugin_and_says_what_it_declares() {
    for frames in [&["nowhere"][..], &["nowhere", "a"], &["nowhere", "reject"]] {
        let error = processor::<Obey>("").try_frames(frames).unwrap_err().to_string();
        assert_eq!(
            error,
            "the plugin sent to the output \"nowhere\", which it does not declare in OUTPUTS (it declares: side, rejected)"
        );
    }
}

#[test]
fn a_fatal_error_drops_the_batch() {
    let error = processor::<Obey>("").try_frames(["a", "fatal"]).unwrap_err();
    assert_eq!(error.to_string(), "told to stop");
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let error = processor::<Obey>("failure = 1")
        .try_frames(["a"])
        .unwrap_err()
        .to_string();
    assert!(error.contains("unknown field `failure`"), "{error}");
}

/// Fails before it takes a frame, as one does that needs a connection for the whole batch; or leaves frames untaken.
struct Early(u32);

impl Processor for Early {
    type Config = u32;
    const NAME: &'static str = "early";

    fn new(_: u32, _: &Context) -> Result<Self> {
        Ok(Self(3))
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        out.keep(frame);
        Ok(())
    }

    async fn batch(&mut self, frames: &mut Frames<'_>, out: &mut Output) -> Result<()> {
        if frames.rest().start > 0 && self.0 > 0 {
            self.0 -= 1;
            return Err(Error::unavailable("no connection"));
        }
        match frames.batch().frame(frames.rest().start).bytes() {
            b"refuse" => Err(Error::rejected("refused untaken")),
            b"leave" => Ok(()),
            _ => {
                let next = frames.next(out);
                next.map(|frame| self.frame(frame, out));
                Err(Error::unavailable("one at a time")).or_else(|error| match frames.left() {
                    0 => Ok(()),
                    _ => Err(error),
                })
            }
        }
    }
}

async fn early(frames: &[&str]) -> Result<Run> {
    let mut host = Host::new::<Early>(&Value::from(0), &Context::new("test", "early", ""))?;
    let mut run = Run::new(host.names());
    for (output, batch) in host.run(lines(frames, 0, crate::receipt::Receipt::none())).await? {
        run.take(output, batch);
    }
    Ok(run)
}

#[tokio::test]
async fn a_plugin_that_rejects_before_it_takes_a_frame_rejects_the_next_one() {
    let within = tokio::time::timeout(Duration::from_secs(60), early(&["refuse", "refuse"]));
    let run = within.await.expect("it comes to an end").unwrap();
    assert_eq!(run.numbers("rejected"), [0, 1]);
}

#[tokio::test]
async fn frames_left_untaken_stop_the_plugin() {
    let error = early(&["leave", "leave"]).await.unwrap_err().to_string();
    assert!(error.contains("2 frames not taken"), "{error}");
}

#[test]
fn a_sample_gives_its_plugins_options_only() {
    let sample = "[processors.p]\ntype = \"obey\"\nworkers = 2\nfailures = 1\n";
    assert_eq!(sample_options(sample).unwrap().trim(), "failures = 1");
    assert!(sample_options("failures = 1").is_err());
}
