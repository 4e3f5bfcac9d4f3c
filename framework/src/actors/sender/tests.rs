use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::plugin::{Acknowledgement, Context, Delivery, Sink};
use crate::receipt::Fate;
use crate::testing::{self, RunningSink};

/// Takes 20 bytes on every connection, acknowledges so many of them, and is gone when there is more.
struct Stingy {
    config: Config,
    taken: Vec<u8>,
    connections: Vec<String>,
    context: Context,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    acknowledges: usize,
    #[serde(default)]
    resend_bytes: u64,
    #[serde(default)]
    stays: bool,
}

impl Sink for Stingy {
    type Config = Config;
    const NAME: &'static str = "stingy";

    fn new(config: Config, context: &Context) -> Result<Self> {
        Ok(Self {
            config,
            taken: Vec::new(),
            connections: Vec::new(),
            context: context.clone(),
        })
    }

    async fn open(&mut self) -> Result<()> {
        self.taken.clear();
        self.connections.push(String::new());
        Ok(())
    }

    async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        let wire = delivery.wire();
        let fitting = wire.len().min(20 - self.taken.len());
        let refuses = wire.starts_with(b"bad");
        self.taken.extend(&wire[..fitting]);
        delivery.advance(fitting);
        if let Some(said) = self.connections.last_mut() {
            *said = String::from_utf8_lossy(&self.taken).replace('\n', "");
        }
        self.context.say("connections", self.connections.join("|"));
        match (refuses, delivery.is_done()) {
            (true, _) => Err(Error::rejected("not this one")),
            (_, true) => Ok(()),
            (_, false) => Err(Error::unavailable("that is enough")),
        }
    }

    async fn watch(&mut self) -> Error {
        if self.config.stays || self.taken.len() <= self.config.acknowledges {
            std::future::pending().await
        }
        Error::unavailable("that is enough")
    }

    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement::Later {
            resend_bytes: self.config.resend_bytes,
        }
    }

    fn acknowledged_bytes(&self) -> u64 {
        self.taken.len().min(self.config.acknowledges) as u64
    }
}

/// Sends `aaaa` to `jjjj` in three batches, waits until they are settled, and returns what came on each connection, a letter for each frame
/// of which at least one byte came.
fn connections(options: &str) -> Vec<String> {
    let running = testing::sink::<Stingy>(options).start();
    send(&running, "abc");
    send(&running, "d");
    send(&running, "efghij");
    assert_eq!(running.wait_settled(3), [Fate::Delivered; 3]);
    let said = running.text("connections");
    let run = running.stop();
    assert_eq!((run.count("frames_out"), run.failure()), (10, None));
    assert!(run.count("frames_resent") > 0);
    said.split('|')
        .map(|all| {
            let mut letters: Vec<_> = all.chars().collect();
            letters.dedup();
            letters.into_iter().collect()
        })
        .collect()
}

fn send(running: &RunningSink, letters: &str) {
    running.send(letters.chars().map(|letter| letter.to_string().repeat(4)));
}

#[test]
fn what_was_not_acknowledged_comes_again_in_order_before_anything_new_however_often_it_fails() {
    let connections = connections("acknowledges = 7");
    let firsts: String = connections.iter().filter_map(|all| all.chars().next()).collect();
    // One frame was acknowledged whole on each connection.
    assert!(firsts == "abcdefghij" || firsts == "abcdefghi", "{connections:?}");
    for all in &connections {
        assert!("abcdefghij".contains(all.as_str()), "in order: {connections:?}");
    }
}

#[test]
fn a_frame_whose_last_byte_was_acknowledged_does_not_come_again() {
    let connections = connections("acknowledges = 10");
    let firsts: String = connections.iter().filter_map(|all| all.chars().next()).collect();
    assert_eq!(firsts, "acegi", "{connections:?}");
}

#[test]
fn the_last_acknowledged_bytes_come_again_too() {
    let connections = connections("acknowledges = 12\nresend_bytes = 5");
    let firsts: String = connections.iter().filter_map(|all| all.chars().next()).collect();
    // Of 12 acknowledged bytes, which are two frames and more, the first 7 are not repeated: one frame and more.
    assert!("abcdefghij".starts_with(&firsts), "{connections:?}");
    assert!(connections.iter().all(|all| "abcdefghij".contains(all.as_str())));
}

#[test]
fn what_is_not_acknowledged_when_waiting_was_given_up_goes_back_in_order() {
    let running = testing::sink::<Stingy>("acknowledges = 0").start();
    send(&running, "ab");
    send(&running, "c");
    running.wait_count("disconnects", 2);
    assert!(running.settled().is_empty());
    let run = running.stop();
    assert_eq!(run.fates(), [(0, Fate::Dropped), (1, Fate::Dropped)]);
}

#[test]
fn a_sink_that_acknowledges_later_cannot_reject() {
    let running = testing::sink::<Stingy>("acknowledges = 20\nstays = true").start();
    running.send(["bad"]);
    let run = running.ended();
    assert!(run.failure().is_some_and(|why| why.contains("must take every frame")));
}
