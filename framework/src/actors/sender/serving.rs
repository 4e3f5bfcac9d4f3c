//! The task of a sender whose sink reads the store itself: calls `serve` until it returns, again with backoff after every `unavailable`.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Drain, SenderParts, Trouble};
use crate::actors::{Outcome, build};
use crate::backoff::Backoff;
use crate::error::{Error, Reaction};
use crate::plugin::{DynSink, StoreReader};
use crate::telemetry::Counter;

pub(super) async fn serve(
    parts: SenderParts,
    store: StoreReader,
    drain: Rc<Drain>,
    trouble: Rc<RefCell<Trouble>>,
) -> Outcome {
    let context = parts.context.clone().with_framing(parts.framing.clone());
    let sink = match build(&parts.sink, &context) {
        Ok(sink) => sink,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let mut serving = Serving {
        backoff: Backoff::new(parts.retry.clone()),
        retries: parts.context.counter("retries"),
        parts,
        store,
        drain,
        trouble,
    };
    serving.run(sink).await
}

struct Serving {
    parts: SenderParts,
    store: StoreReader,
    drain: Rc<Drain>,
    trouble: Rc<RefCell<Trouble>>,
    backoff: Backoff,
    retries: Counter,
}

impl Serving {
    async fn run(&mut self, mut sink: Box<dyn DynSink>) -> Outcome {
        loop {
            let began = std::time::Instant::now();
            let served = self.attempt(&mut *sink).await;
            if began.elapsed() >= self.parts.retry.max.0 {
                self.backoff.reset();
            }
            match served {
                Ok(()) if self.is_ending() => return Outcome::Finished,
                Ok(()) => {
                    return Outcome::Failed(
                        "the sink's `serve` returned before the pipeline ended; it must go on until `stopping` resolves"
                            .to_owned(),
                    );
                }
                Err(error) if self.is_ending() => {
                    tracing::warn!(actor = %self.parts.context.actor, "the end was not clean: {error}");
                    return Outcome::Finished;
                }
                Err(error) if error.reaction() == Reaction::Retry => self.pause(&error).await,
                Err(error) => return Outcome::Failed(error.to_string()),
            }
        }
    }

    /// One call of `serve`, which is told when the pipeline ends.
    async fn attempt(&mut self, sink: &mut dyn DynSink) -> Result<(), Error> {
        let store = self.store.clone();
        if self.drain.wanted.get() {
            store.stop();
        }
        let mut serving = sink.serve(&store);
        tokio::select! {
            served = &mut serving => return served,
            () = self.drain.wanted() => store.stop(),
        }
        serving.await
    }

    fn is_ending(&self) -> bool {
        self.drain.wanted.get() || self.store.is_stopping()
    }

    /// Said at the first failure in a row, shown in `status` at every one.
    async fn pause(&mut self, error: &Error) {
        let context = &self.parts.context;
        context.say("state", format!("unavailable: {error}"));
        *self.trouble.borrow_mut() = Trouble {
            attempts: self.backoff.attempts() + 1,
            error: Some(error.to_string()),
        };
        if self.backoff.attempts() == 0 {
            tracing::warn!(actor = %context.actor, "{error}; what comes meanwhile waits in the spill store in front");
        }
        context.counter(error.failure().counter()).add(1);
        self.retries.add(1);
        let wait = self.backoff.next(fastrand::f64());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.drain.wanted() => {}
            () = self.store.stopping() => {}
        }
    }
}
