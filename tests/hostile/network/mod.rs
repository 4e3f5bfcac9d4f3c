//! The real program between two faulty networks: what the README's guarantee table promises for each fault, checked at the destination.

mod ends;
mod proxy;

use std::time::Duration;

use self::ends::{Form, Sender, Taker};
use self::proxy::{Break, CHUNK_BYTES, Leg, Opens, Plan, Proxy};
use crate::effort::Effort;
use crate::harness::{Folder, Messages, Program, Sequence, wait_until};

/// The sink's send buffer, small, so that a reset does not take half of all frames along.
const SEND_BUFFER: usize = 16 * 1024;

/// The faults of the matrix, each on the source's and the sink's leg, with the program dialling and listening.
const FAULTS: u64 = 7;
const MATRIX: u64 = 4 * FAULTS;
/// Behind the matrix come cases with several faults, on both legs at once.
const BOTH: u64 = 8;

#[test]
fn networks_of_every_kind_keep_the_order_and_lose_no_more_than_is_said() {
    let mut effort = Effort::new(
        "network::networks_of_every_kind_keep_the_order_and_lose_no_more_than_is_said",
        MATRIX + BOTH,
    );
    let (mut frames, mut lost) = (0, 0);
    while let Some(case) = effort.next() {
        let trial = Trial::new(case.seed.wrapping_sub(1) % (MATRIX + BOTH), &mut case.random());
        let gaps = trial.run();
        frames += trial.last;
        lost += gaps.iter().map(|(first, last)| last + 1 - first).sum::<u64>();
    }
    effort.done(format_args!(
        "{frames} frames in order and whole; resets of the destination took {lost} of them, as `acknowledge = \"written\"` says"
    ));
}

/// One side's network.
#[derive(Debug)]
struct Side {
    opens: Opens,
    plan: Plan,
}

#[derive(Debug)]
struct Trial {
    messages: Messages,
    last: u64,
    form: Form,
    source: Side,
    sink: Side,
}

impl Trial {
    fn new(which: u64, random: &mut fastrand::Rng) -> Self {
        let opens = |bit: bool| if bit { Opens::Program } else { Opens::Peer };
        let mut trial = Self {
            messages: Messages { least: 13, most: 2_000 },
            last: 3_000,
            form: if random.bool() { Form::Lines } else { Form::Lengths },
            source: Side {
                opens: opens(random.bool()),
                plan: Plan::default(),
            },
            sink: Side {
                opens: opens(random.bool()),
                plan: Plan::default(),
            },
        };
        if which < MATRIX {
            let side = if which.is_multiple_of(2) {
                &mut trial.source
            } else {
                &mut trial.sink
            };
            side.opens = opens((which / 2).is_multiple_of(2));
            let kind = which / 4;
            side.plan = plan(kind, side.opens, random);
            // One byte at a time is slow.
            if kind < 3 {
                (trial.messages, trial.last) = (Messages { least: 13, most: 200 }, 400);
            }
            if kind == 3 {
                trial.form = Form::Lines;
            }
        } else {
            trial.source.plan.breaks = breaks(random);
            trial.sink.plan.breaks = breaks(random);
            trial.sink.plan.slice_bytes = Some(random.usize(100..5_000));
            trial.source.plan.slice_bytes = Some(random.usize(100..5_000));
            trial.source.plan.stall = Some((random.u64(0..100_000), Duration::from_millis(50)));
        }
        // A FIN says that the last line is complete: only a length in front shows that it is not.
        if trial.source.plan.breaks.iter().any(is_half_close) {
            trial.form = Form::Lengths;
        }
        trial
    }

    /// Returns the gaps that the destination saw.
    fn run(&self) -> Vec<(u64, u64)> {
        let (folder, breaks) = (Folder::new(), &self.source.plan.breaks);
        let mut sender = Sender::new(self.source.opens, self.messages, self.form, breaks.clone());
        let mut taker = Taker::new(self.sink.opens);
        let nowhere = "127.0.0.1:1".parse().unwrap();
        // Proxies that the program dials must be there before it; the others know only then where it listens.
        let mut proxies = [
            proxy(Leg::Source, &self.source, Opens::Program, sender.address()),
            proxy(Leg::Sink, &self.sink, Opens::Program, taker.address()),
        ];
        let dialled = proxies
            .each_ref()
            .map(|proxy| proxy.as_ref().map_or(nowhere, |proxy| proxy.address));
        let program = folder.run_pipeline(&self.config(dialled));
        for (index, (leg, side, actor)) in [
            (Leg::Source, &self.source, "source"),
            (Leg::Sink, &self.sink, "network"),
        ]
        .into_iter()
        .enumerate()
        {
            if proxies[index].is_none() {
                proxies[index] = proxy(leg, side, Opens::Peer, program.address_of(actor));
            }
        }
        let [source_proxy, sink_proxy] = proxies.map(|proxy| proxy.expect("both are there now"));
        sender.dial(&source_proxy);
        taker.dial(&sink_proxy);
        let seen = self.pass(&program, &mut sender, &taker, source_proxy, sink_proxy);
        program.wait_for("the store is empty", |status| {
            status.number("drain", "waiting_frames") == 0
        });
        let status = program.status_of("p");
        assert_eq!(status.number("source", "truncated_bytes"), sender.truncated_bytes);
        assert_eq!(status.number("source", "lost") + status.number("drain", "lost"), 0);
        program.stop();
        seen.gaps()
    }

    fn pass(
        &self,
        program: &Program,
        sender: &mut Sender,
        taker: &Taker,
        mut source: Proxy,
        mut sink: Proxy,
    ) -> Sequence {
        let resets = self.sink.plan.breaks.iter().filter(|end| !is_half_close(end)).count();
        let sink_breaks = self.sink.plan.breaks.len() as u64;
        let bound = (2 * SEND_BUFFER + 64 * 1024 + sink.receive_buffer_bytes + CHUNK_BYTES + self.messages.most) as u64;
        let seen = std::thread::scope(|scope| {
            scope.spawn(|| {
                if self.source.plan.refuses {
                    refused(program, "source", "refused");
                    source.open();
                }
                let most = self.last - 100;
                sender.send_through(most, program);
                if self.sink.plan.refuses {
                    refused(program, "network", "retries");
                    sink.open();
                }
                // The last ones go when no reset can take them along.
                wait_until("the sink's connections have broken", || {
                    (sink.breaks_left() == 0).then_some(())
                });
                program.wait_for("the sink has noticed", |status| {
                    status.number("network", "disconnects") >= sink_breaks
                });
                sender.send_through(self.last, program);
            });
            taker.take_through(self.last, self.messages)
        });
        let gaps = seen.gaps();
        assert!(gaps.len() <= resets, "{resets} resets, lost: {gaps:?}; {self:?}");
        for (first, last) in &gaps {
            let bytes = self.messages.bytes(*first..last + 1);
            assert!(
                bytes <= bound,
                "{bytes} bytes lost at a reset; the sockets held {bound}"
            );
        }
        assert!(
            seen.first() == 1 || !gaps.is_empty() || resets > 0,
            "begins with {}",
            seen.first()
        );
        seen
    }

    fn config(&self, dialled: [std::net::SocketAddr; 2]) -> String {
        let place = |opens: Opens, address: std::net::SocketAddr| match opens {
            Opens::Program => format!(r#"type = "tcp_client", address = "{address}""#),
            Opens::Peer => r#"type = "tcp_server", listen = "127.0.0.1:0""#.to_owned(),
        };
        let framing = match self.form {
            Form::Lines => r#"{ type = "delimited" }"#,
            Form::Lengths => r#"{ type = "length_delimited", header_bytes = 4 }"#,
        };
        let retry = r#"retry = { first = "1ms", max = "20ms" }"#;
        let source_retry = match self.source.opens {
            Opens::Program => format!(", {retry}"),
            Opens::Peer => String::new(),
        };
        format!(
            r#"
            name = "p"
            flow = ["source -> drain -> network"]
            sources.source = {{ {}, framing = {framing}{source_retry} }}
            spills.drain = {{ directory = "data", memory_bytes = "128 KiB", in_flight_bytes = "64 KiB" }}
            sinks.network = {{ {}, framing = {{ type = "delimited" }}, window_bytes = "64 KiB", send_buffer_bytes = {SEND_BUFFER}, {retry} }}
            "#,
            place(self.source.opens, dialled[0]),
            place(self.sink.opens, dialled[1]),
        )
    }
}

fn refused(program: &Program, actor: &str, counter: &str) {
    program.wait_for("it was refused several times", |status| {
        status.number(actor, counter) >= 3
    });
}

fn proxy(leg: Leg, side: &Side, now: Opens, target: std::net::SocketAddr) -> Option<Proxy> {
    (side.opens == now).then(|| Proxy::start(leg, side.opens, target, side.plan.clone()))
}

fn is_half_close(end: &Break) -> bool {
    matches!(end, Break::HalfCloseAt(_))
}

/// One of the faults of the matrix.
fn plan(kind: u64, opens: Opens, random: &mut fastrand::Rng) -> Plan {
    let mut plan = Plan::default();
    match kind {
        0 => {
            plan.latency = Some(Duration::from_millis(random.u64(1..20)));
            plan.slice_bytes = Some(1_000);
        }
        1 => plan.bytes_per_second = Some(random.u64(100_000..1_000_000)),
        2 => plan.slice_bytes = Some(1),
        3 => plan.breaks = (0..3).map(|_| Break::ResetAt(random.u64(1..300_000))).collect(),
        4 => plan.breaks = (0..3).map(|_| Break::HalfCloseAt(random.u64(1..300_000))).collect(),
        5 => plan.stall = Some((random.u64(0..200_000), Duration::from_millis(random.u64(100..500)))),
        // Nobody listens; or, where the program does not dial, the connection is reset before its first byte.
        _ if opens == Opens::Program => plan.refuses = true,
        _ => plan.breaks = (0..3).map(|_| Break::ResetAt(0)).collect(),
    }
    plan
}

fn breaks(random: &mut fastrand::Rng) -> std::collections::VecDeque<Break> {
    (0..random.usize(1..4))
        .map(|_| {
            let at = random.u64(0..300_000);
            if random.bool() {
                Break::ResetAt(at)
            } else {
                Break::HalfCloseAt(at)
            }
        })
        .collect()
}
