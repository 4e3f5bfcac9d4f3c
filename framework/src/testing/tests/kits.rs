//! The kits of sources, sinks and framings, on plugins whose every step the test knows.

use std::cell::Cell;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::batch::{Attributes, Frame};
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::framing::{Delimited, Fixed, LengthDelimited};
use crate::plugin::{Context, Delivery, Feed, Filled, HoldLimit, Output, Processor, Registry, Sink, Source};
use crate::receipt::Fate;
use crate::testing;

/// Counts frames, and says how many there were when it is told to.
struct Tell(u64);

impl Processor for Tell {
    type Config = Nothing;
    const NAME: &'static str = "tell";
    const SAMPLE: &'static str = "[processors.tell]\ntype = \"tell\"";

    fn new(_: Nothing, _: &Context) -> Result<Self> {
        Ok(Self(0))
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        self.0 += 1;
        out.hold(frame);
        Ok(())
    }

    fn holds(&self) -> Option<HoldLimit> {
        Some(HoldLimit {
            bytes: 10 * 4096,
            time: Duration::from_secs(3600),
        })
    }

    fn tick(&mut self, out: &mut Output) -> Result<()> {
        if self.0 > 0 {
            out.push(std::mem::take(&mut self.0).to_string().as_bytes());
        }
        Ok(())
    }
}

#[test]
fn a_processor_that_holds_frames_back_emits_at_its_limit_and_at_the_end() {
    let kit = || testing::processor::<Tell>("").frames_per_batch(2);
    let run = kit().frames(["x"; 25]);
    assert_eq!(
        (run.output(""), run.numbers("")),
        (vec!["20".to_owned(), "5".to_owned()], vec![19, 24])
    );
    let fates: Vec<_> = (0..13).map(|batch| (batch, Fate::Delivered)).collect();
    assert_eq!(run.fates(), fates);
    assert!(kit().frames([""; 0]).output("").is_empty());
    testing::conformance::processor::<Tell>().check();
    let limit = Registry::default().processor::<Tell>().sample_hold_limit("tell");
    assert_eq!(
        limit.map(|limit| limit.bytes),
        Some(10 * 4096),
        "what `aqueduct plugins tell` says"
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Text {
    /// What is read, four bytes at a time.
    text: String,
    /// So often it cannot be read at first.
    #[serde(default)]
    fails: u32,
}

/// Reads a text, four bytes at a time, and ends.
struct Reader {
    text: Vec<u8>,
    fails: u32,
    reads: Rc<Cell<u64>>,
    context: Context,
}

impl Source for Reader {
    type Config = Text;
    const NAME: &'static str = "reader";

    fn new(config: Text, context: &Context) -> Result<Self> {
        Ok(Self {
            text: config.text.into_bytes(),
            fails: config.fails,
            reads: Rc::default(),
            context: context.clone(),
        })
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        if let Some(left) = self.fails.checked_sub(1) {
            self.fails = left;
            return Err(Error::unavailable("it cannot be read yet").failing(Failure::TimedOut));
        }
        let mut intake = feed.stream(Attributes::of_batch([("from".to_owned(), "a text".to_owned())]))?;
        let mut text = self.text.as_slice();
        loop {
            tokio::select! {
                biased;
                () = feed.stopping() => return Ok(()),
                () = intake.ready() => {}
            }
            self.reads.set(self.reads.get() + 1);
            self.context.gauge("reads").set(self.reads.get());
            match intake.fill(|buffer| text.read(&mut buffer[..4])) {
                Filled::Read { .. } => {}
                Filled::End => {
                    intake.finish();
                    return Ok(());
                }
                Filled::Failed(error) => return Err(Error::fatal("cannot read").because(error)),
                Filled::Refused(error) => return Err(error),
            }
        }
    }
}

#[test]
fn a_source_reads_as_much_as_the_test_lets_it() {
    let running = testing::source::<Reader>("text = \"one\\ntwo\\nsix\"").start();
    assert!(running.wait_starved().is_empty());
    assert_eq!(running.count("reads"), 0, "nothing is read without demand");
    running.grant(1);
    assert_eq!(running.wait_starved(), ["one"]);
    assert_eq!((running.count("reads"), running.batches_without_demand()), (1, 0));
    running.grant_all();
    assert_eq!(running.wait_frames(3), ["one", "two", "six"]);
    let run = running.ended();
    assert_eq!((run.numbers(), run.failure()), (vec![0, 1, 2], None));
    assert_eq!(run.attributes(2)["from"], "a text");
}

#[test]
fn a_source_is_cut_by_the_framing_of_the_test_and_may_fail() {
    let kit = || testing::source::<Reader>("text = 'one-two-six'");
    assert_eq!(
        kit().framing("type = \"delimited\"\ndelimiter = \"-\"").run().frames(),
        ["one", "two", "six"]
    );
    assert_eq!(
        kit().custom_framing::<Fixed>("bytes = 4").run().frames(),
        ["one-", "two-"]
    );
    let refused = kit()
        .framing("type = \"length_delimited\"\nheader_bytes = 1\nmax_frame_bytes = 9\non_oversize = \"close\"")
        .run();
    assert!(refused.failure().is_some(), "111 bytes are announced, 9 allowed");
    assert_eq!(kit().start().stop().frames(), [""; 0]);
}

#[test]
fn a_source_that_cannot_read_is_tried_again_and_the_reason_counted() {
    let run = testing::source::<Reader>("text = \"one\\ntwo\"\nfails = 2").run();
    assert_eq!(
        (run.frames(), run.failure()),
        (vec!["one".to_owned(), "two".to_owned()], None)
    );
    assert_eq!((run.count("retries"), run.count("failures_timed_out")), (2, 2));
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Listens for a client; a frame `refuse` is rejected, and one `leave` fails the first time it comes.
struct Server {
    listener: Option<TcpListener>,
    client: Option<TcpStream>,
    left: bool,
    context: Context,
}

impl Sink for Server {
    type Config = Nothing;
    const NAME: &'static str = "server";

    fn new(_: Nothing, context: &Context) -> Result<Self> {
        Ok(Self {
            listener: None,
            client: None,
            left: false,
            context: context.clone(),
        })
    }

    async fn open(&mut self) -> Result<()> {
        let failed = |error: std::io::Error| Error::unavailable("no client").because(error);
        if self.listener.is_none() {
            let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            self.context
                .say("listening", listener.local_addr().map_err(failed)?.to_string());
            self.listener = Some(listener);
        }
        if self.client.is_none() {
            let accepted = self.listener.as_ref().map(TcpListener::accept);
            self.client = accepted.transpose().map_err(failed)?.map(|(client, _)| client);
        }
        Ok(())
    }

    async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        while let Some(frame) = delivery.next_frame() {
            match frame.bytes() {
                b"refuse" => return Err(Error::rejected("not this one")),
                b"leave" if !std::mem::replace(&mut self.left, true) => return Err(Error::unavailable("not now")),
                _ => self.write_frame(frame)?,
            }
        }
        Ok(())
    }
}

impl Server {
    fn write_frame(&self, frame: Frame<'_>) -> Result<()> {
        let written = self.client.as_ref().map(|mut client| {
            use std::io::Write;
            client.write_all(&[frame.bytes(), b";"].concat())
        });
        written
            .transpose()
            .map(drop)
            .map_err(|error| Error::unavailable("gone").because(error))
    }
}

#[test]
fn a_sink_opens_resumes_at_the_frame_that_failed_and_settles() {
    let running = testing::sink::<Server>("").start();
    running.send(["a", "refuse", "b", "leave", "c"]);
    running.send(["d"]);
    assert!(running.settled().is_empty(), "nobody is there yet");
    running.wait_count("retries", 2);
    assert!(!running.was_open());
    let mut client = TcpStream::connect(running.address()).expect("it listens");
    assert_eq!(running.wait_settled(2), [Fate::Rejected, Fate::Delivered]);
    assert_eq!((running.count("opened"), running.count("disconnects")), (2, 1));
    let rejected = running.rejected();
    assert_eq!(
        (rejected[0].frame.as_str(), rejected[0].reason.as_str()),
        ("refuse", "not this one")
    );
    let run = running.stop();
    // The first waits for its dead letter, and the second for nothing.
    let mut fates = run.fates().to_vec();
    fates.sort_unstable();
    assert_eq!(
        (fates, run.failure()),
        (vec![(0, Fate::Rejected), (1, Fate::Delivered)], None)
    );
    let mut text = String::new();
    client.read_to_string(&mut text).expect("it ends");
    assert_eq!(text, "a;b;leave;c;d;");
}

#[test]
fn a_sink_that_nobody_reads_gives_back_what_it_has_when_it_is_stopped() {
    let running = testing::sink::<Server>("").start();
    running.send(["a"]);
    running.address();
    assert_eq!(running.stop().fates(), [(0, Fate::Dropped)]);
}

#[test]
fn a_framing_is_read_in_every_way_and_told_where_streams_end() {
    let lines = testing::framing::<Delimited>("delimiter = \"\\r\\n\"\nmax_frame_bytes = 5");
    let decoded = lines.decode("one\r\n\r\nmuch too long\r\ntwo");
    assert_eq!(decoded.texts(), ["one", "", "two"]);
    assert_eq!(
        (decoded.oversized, decoded.truncated_bytes, decoded.refused),
        (1, 0, None)
    );
    let headed = testing::framing::<LengthDelimited>("header_bytes = 1");
    assert_eq!(headed.encode("abc"), b"\x03abc");
    headed.round_trip(["", "a", "abc"]);
    assert_eq!(headed.decode(b"\x03abc\x05de").truncated_bytes, 3);
    assert!(headed.try_encode(&[0; 256]).is_err());
}
