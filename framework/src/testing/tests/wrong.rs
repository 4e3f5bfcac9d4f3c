//! The suites can fail: plugins that break one line of a contract each, and what is said of them.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::batch::{Attributes, Frame};
use crate::error::{Error, Result};
use crate::framing::{Framing, Rest};
use crate::plugin::{Context, Delivery, Feed, Frames, HoldLimit, Output, Processor, Sink, Source};
use crate::testing::conformance;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// What it does wrong.
    wrong: String,
}

/// What the suite says of it.
#[track_caller]
fn said(check: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(check)).expect_err("the suite finds nothing");
    panic.downcast_ref::<String>().expect("a text").clone()
}

fn expect(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

struct Filter {
    wrong: String,
    held: Vec<u8>,
}

impl Processor for Filter {
    type Config = Options;
    const NAME: &'static str = "wrong_filter";

    fn new(options: Options, _: &Context) -> Result<Self> {
        let held = Vec::new();
        Ok(Self {
            wrong: options.wrong,
            held,
        })
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        match self.wrong.as_str() {
            "panics" => assert!(!frame.bytes().is_empty(), "an empty frame"),
            "sends elsewhere" => out.send("elsewhere", frame),
            "gives up" => return Err(Error::fatal("no more")),
            "holds in secret" => out.hold(frame),
            _ => {}
        }
        self.held.extend(frame.bytes());
        out.keep(frame);
        Ok(())
    }

    async fn batch(&mut self, frames: &mut Frames<'_>, out: &mut Output) -> Result<()> {
        match self.wrong.as_str() {
            "loses the last" => {
                while frames.left() > 1 {
                    frames.keep(1, out);
                }
            }
            "turns them round" => {
                let mut taken = Vec::new();
                while let Some(frame) = frames.next(out) {
                    taken.push(frame);
                }
                taken.into_iter().rev().for_each(|frame| out.keep(frame));
            }
            _ => {
                while let Some(frame) = frames.next(out) {
                    self.frame(frame, out)?;
                }
            }
        }
        Ok(())
    }

    fn holds(&self) -> Option<HoldLimit> {
        None
    }

    fn tick(&mut self, out: &mut Output) -> Result<()> {
        if self.wrong == "emits from nothing" {
            out.push(b"a report");
        }
        Ok(())
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        assert!(
            self.wrong != "does not survive a drop" || self.held.is_empty(),
            "something is left"
        );
    }
}

#[test]
fn wrong_processors_are_found() {
    for (wrong, words) in [
        (
            "panics",
            &["`wrong_filter`", "no frame makes it panic", "panicked 2 times"][..],
        ),
        ("sends elsewhere", &["only to declared outputs", "\"elsewhere\""]),
        ("gives up", &["never gives up", "no more"]),
        (
            "loses the last",
            &["takes every frame of a batch", "1 frames not taken"],
        ),
        (
            "turns them round",
            &["in order, emits only the frame in hand", "other than the one in hand"],
        ),
        ("holds in secret", &["its `holds` says that it never does"]),
        ("emits from nothing", &["`tick`", "holds no frame back"]),
        (
            "does not survive a drop",
            &["may be dropped at any time", "something is left"],
        ),
    ] {
        let options = format!("wrong = {wrong:?}");
        expect(
            &said(|| conformance::processor::<Filter>().options(&options).check()),
            words,
        );
    }
    conformance::processor::<Filter>()
        .options("wrong = \"nothing\"")
        .check();
}

struct Loose;

#[derive(Debug, Deserialize, JsonSchema)]
struct LooseOptions {
    #[expect(dead_code, reason = "the suite looks at its help only")]
    undocumented: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Forgiving {}

impl Processor for Loose {
    type Config = LooseOptions;
    const NAME: &'static str = "loose";
    const SAMPLE: &'static str = "type = \"loose\"";

    fn new(_: LooseOptions, _: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn frame(&mut self, _: Frame<'_>, _: &mut Output) -> Result<()> {
        Ok(())
    }
}

struct Shy;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the suite looks at its help only")]
struct ShyOptions {
    /// How it does it.
    #[serde(default)]
    how: How,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
enum How {
    #[default]
    Well,
}

impl Processor for Shy {
    type Config = ShyOptions;
    const NAME: &'static str = "shy";

    fn new(_: ShyOptions, _: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn frame(&mut self, _: Frame<'_>, _: &mut Output) -> Result<()> {
        Ok(())
    }
}

struct Named;

impl Processor for Named {
    type Config = Forgiving;
    const NAME: &'static str = "Named";
    const OUTPUTS: &'static [&'static str] = &["rejected"];

    fn new(_: Forgiving, _: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn frame(&mut self, _: Frame<'_>, _: &mut Output) -> Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_plugin_says_of_itself_is_looked_at() {
    let shy = said(|| conformance::processor::<Shy>().options("").check());
    expect(&shy, &["shows its default", "`how`", "derive `serde::Serialize`"]);
    expect(
        &said(|| conformance::processor::<Loose>().check()),
        &["every option has a doc comment", "`undocumented`"],
    );
    expect(
        &said(|| conformance::processor::<Named>().check()),
        &["SAMPLE is a table that works", "it is empty"],
    );
    expect(
        &said(|| conformance::processor::<Named>().options("").check()),
        &["names are [a-z]", "\"Named\""],
    );
}

struct Spring(String);

impl Source for Spring {
    type Config = Options;
    const NAME: &'static str = "wrong_spring";

    fn new(options: Options, _: &Context) -> Result<Self> {
        Ok(Self(options.wrong))
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        let mut intake = feed.frames(Attributes::default());
        let make = async {
            loop {
                if self.0 != "reads without demand" {
                    intake.ready().await;
                }
                intake.push(b"drop");
                if self.0 != "keeps what it has" {
                    intake.flush();
                }
                assert!(self.0 != "panics", "a bug");
                tokio::task::yield_now().await;
            }
        };
        match self.0.as_str() {
            "does not stop" => make.await,
            "fails at the end" => {
                tokio::select! { () = make => {}, () = feed.stopping() => return Err(Error::fatal("not yet")) }
            }
            _ => tokio::select! { () = make => {}, () = feed.stopping() => {} },
        }
        Ok(())
    }
}

impl Drop for Spring {
    fn drop(&mut self) {
        assert!(
            self.0 != "does not survive a drop" || std::thread::current().name() != Some("plugin-test"),
            "too early"
        );
    }
}

#[test]
fn wrong_sources_are_found() {
    for (wrong, words) in [
        (
            "reads without demand",
            &[
                "`wrong_spring`",
                "waits for `ready` before every read",
                "without demand",
            ][..],
        ),
        ("fails at the end", &["it ends when `stopping` resolves", "not yet"]),
        ("panics", &["it does not panic", "panicked 1 times"]),
        ("does not survive a drop", &["too early"]),
    ] {
        let options = format!("wrong = {wrong:?}");
        expect(
            &said(|| conformance::source::<Spring>().options(&options).check()),
            words,
        );
    }
    conformance::source::<Spring>().options("wrong = \"nothing\"").check();
}

struct Drain {
    wrong: String,
    frames: Vec<u8>,
    path: std::path::PathBuf,
}

impl Sink for Drain {
    type Config = Options;
    const NAME: &'static str = "wrong_drain";

    fn new(options: Options, context: &Context) -> Result<Self> {
        Ok(Self {
            wrong: options.wrong,
            frames: Vec::new(),
            path: context.path("out"),
        })
    }

    async fn open(&mut self) -> Result<()> {
        Ok(())
    }

    async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        match self.wrong.as_str() {
            "writes nothing" => return Ok(()),
            "fails" => return Err(Error::fatal("no room")),
            _ => {}
        }
        let all = delivery.wire().len();
        let most = if self.wrong == "loses a byte" { all - 1 } else { all };
        self.frames.extend(&delivery.wire()[..most]);
        delivery.advance(all);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        assert!(self.wrong != "needs an open" || !self.frames.is_empty(), "never opened");
        std::fs::write(&self.path, &self.frames).map_err(|error| Error::fatal("cannot write").because(error))
    }
}

#[test]
fn wrong_sinks_are_found() {
    let folder = tempfile::TempDir::new().unwrap();
    let suite = |wrong: &str| {
        let path = folder.path().join("out");
        conformance::sink::<Drain>()
            .folder(folder.path())
            .options(&format!("wrong = {wrong:?}"))
            .peer(|_| (), move |()| std::fs::read(&path).unwrap())
    };
    for (wrong, words) in [
        (
            "writes nothing",
            &[
                "`wrong_drain`",
                "returns when all of the delivery is written",
                "without writing anything",
            ][..],
        ),
        ("fails", &["returns when all of the delivery is written", "no room"]),
        (
            "loses a byte",
            &["has been written, whole and in order", "they differ from byte"],
        ),
        (
            "needs an open",
            &["`close` may be called without `open`", "never opened"],
        ),
    ] {
        expect(&said(|| suite(wrong).check()), words);
    }
    suite("nothing").check();
}

/// One byte of length, then the frame.
struct Short {
    wrong: String,
    calls: Cell<usize>,
}

impl Framing for Short {
    type Config = Options;
    const NAME: &'static str = "wrong_short";

    fn new(options: Options) -> Result<Self> {
        let calls = Cell::new(0);
        Ok(Self {
            wrong: options.wrong,
            calls,
        })
    }

    fn decode(&mut self, input: &[u8], scanned: usize, ends: &mut Vec<u32>) -> Result<Rest> {
        self.calls.set(self.calls.get() + 1);
        if self.wrong == "forgets what it was given" && scanned > 0 {
            return Ok(Rest::default());
        }
        if self.wrong == "counts from the begin" {
            ends.clear();
        }
        let mut start = 0;
        while let Some(length) = input.get(start) {
            assert!(self.wrong != "panics" || *length < 0xf0, "a long frame");
            let end = start + 1 + usize::from(*length);
            if end > input.len() {
                return Ok(Rest {
                    needs: Some((end - start) as u64),
                });
            }
            ends.push(end as u32);
            start = end;
        }
        Ok(Rest::default())
    }

    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let Ok(length) = u8::try_from(frame.len()) else {
            return Err(Error::rejected("longer than 255 bytes"));
        };
        out.push(if self.wrong == "writes another length" {
            length / 2
        } else {
            length
        });
        out.extend(frame);
        Ok(())
    }

    fn overhead(&self) -> (u32, u32) {
        (1, 0)
    }

    fn wire(&self) -> Option<Arc<str>> {
        Some("short".into())
    }
}

#[test]
fn wrong_framings_are_found() {
    for (wrong, words) in [
        (
            "forgets what it was given",
            &["`wrong_short`", "however it is read", "parted at byte"][..],
        ),
        ("writes another length", &["what `encode` writes, `decode` finds again"]),
        ("counts from the begin", &["appends to `ends`"]),
        ("panics", &["does not panic", "a long frame"]),
    ] {
        let options = format!("wrong = {wrong:?}");
        expect(&said(|| conformance::framing::<Short>(&options).check()), words);
    }
    conformance::framing::<Short>("wrong = \"nothing\"").check();
}

#[test]
fn the_framings_that_ship_conform() {
    use crate::framing::{BUILT_IN, Delimited, Fixed, LengthDelimited};
    for name in BUILT_IN {
        match name {
            "delimited" => conformance::framing::<Delimited>("delimiter = \"\\r\\n\"").check(),
            "fixed" => conformance::framing::<Fixed>("bytes = 3")
                .frames(["abc", "def"])
                .check(),
            "length_delimited" => conformance::framing::<LengthDelimited>("header_bytes = 2").check(),
            // A frame is what one read gave: how a stream is read is all it knows.
            "none" => {}
            name => panic!("nobody holds the framing `{name}` to its contract: add it here"),
        }
    }
}
