//! The signals whose default action would end the process without draining it.
//!
//! | signal | what it does |
//! |---|---|
//! | SIGTERM, SIGINT, SIGQUIT | drains; the second forces the end |
//! | SIGHUP | drains, as when a terminal is closed; never forces, because a closing terminal sends it more than once |
//! | SIGXCPU | drains: a limit of CPU time is near |
//! | SIGUSR1, SIGUSR2, SIGALRM and the rest | a line in the log |

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that mean nothing here, by the number that Linux gives them on every machine this runs on (signal(7)).
const IGNORED: [(i32, &str); 8] = [
    (10, "SIGUSR1"),
    (12, "SIGUSR2"),
    (14, "SIGALRM"),
    (16, "SIGSTKFLT"),
    (26, "SIGVTALRM"),
    (27, "SIGPROF"),
    (29, "SIGIO"),
    (30, "SIGPWR"),
];

const SIGXCPU: i32 = 24;

/// Signals that ask for the end.
pub(crate) struct Signals {
    forcing: [Signal; 3],
    draining: [Signal; 2],
}

impl Signals {
    /// Catches all of them. Must be called in the system's runtime. `None`, and a line in the log, when they cannot be caught.
    pub(crate) fn catch() -> Option<Self> {
        for (number, name) in IGNORED {
            match signal(SignalKind::from_raw(number)) {
                Ok(caught) => drop(actix_rt::spawn(tell(caught, name))),
                Err(error) => tracing::warn!("{name} cannot be caught and ends this process without draining: {error}"),
            }
        }
        let caught = Self::asking_for_the_end();
        caught
            .inspect_err(|error| {
                tracing::error!("signals cannot be caught; they end this process without draining: {error}");
            })
            .ok()
    }

    fn asking_for_the_end() -> io::Result<Self> {
        Ok(Self {
            forcing: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::quit())?,
            ],
            draining: [signal(SignalKind::hangup())?, signal(SignalKind::from_raw(SIGXCPU))?],
        })
    }

    /// Waits for one that drains.
    pub(crate) async fn next(&mut self) {
        let [hangup, limit] = &mut self.draining;
        let [terminate, interrupt, quit] = &mut self.forcing;
        tokio::select! {
            _ = hangup.recv() => {}
            _ = limit.recv() => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
        }
    }

    /// Waits for one that forces.
    pub(crate) async fn next_that_forces(&mut self) {
        let [terminate, interrupt, quit] = &mut self.forcing;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

async fn tell(mut caught: Signal, name: &'static str) {
    while caught.recv().await.is_some() {
        tracing::info!("{name} means nothing here and is ignored; SIGTERM ends the pipelines in order");
    }
}
