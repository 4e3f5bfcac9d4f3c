//! One run of the real program between two proxies, and what must hold behind it.

use std::net::SocketAddr;

use super::ends::{Form, Sender, Taker};
use super::plan::CHUNK_BYTES;
use super::proxy::{Leg, Opens, Proxy};
use super::{Side, Trial, is_half_close};
use crate::harness::{Folder, Program, Sequence, wait_until};

/// The sink's send buffer, small, so that a reset does not take half of all frames along.
const SEND_BUFFER: usize = 16 * 1024;

impl Trial {
    /// Returns the gaps that the destination saw.
    pub(super) fn run(&self) -> Vec<(u64, u64)> {
        let (folder, breaks) = (Folder::new(), &self.source.plan.breaks);
        let mut sender = Sender::new(self.source.opens, self.messages, self.form, breaks.clone());
        let mut taker = Taker::new(self.sink.opens);
        let (program, mut source, mut sink) = self.start(&folder, sender.address(), taker.address());
        sender.dial(&source);
        taker.dial(&sink);
        let seen = std::thread::scope(|scope| {
            scope.spawn(|| self.feed(&program, &mut sender, &mut source, &mut sink));
            taker.take_through(self.last, self.messages)
        });
        program.wait_for("the store is empty", |status| {
            status.number("drain", "waiting_frames") == 0
        });
        let status = program.status_of("p");
        assert_eq!(status.number("source", "truncated_bytes"), sender.truncated_bytes);
        assert_eq!(status.number("source", "lost") + status.number("drain", "lost"), 0);
        program.stop_in_doubt();
        self.check(&seen, sink.receive_buffer_bytes)
    }

    /// Proxies that the program dials must be there before it; for the others it says only then where it listens.
    fn start(&self, folder: &Folder, sender: SocketAddr, taker: SocketAddr) -> (Program, Proxy, Proxy) {
        let proxy = |leg, side: &Side, target| Proxy::start(leg, side.opens, target, side.plan.clone());
        let source = (self.source.opens == Opens::Program).then(|| proxy(Leg::Source, &self.source, sender));
        let sink = (self.sink.opens == Opens::Program).then(|| proxy(Leg::Sink, &self.sink, taker));
        let program = folder.run_pipeline(&self.config(source.as_ref(), sink.as_ref()));
        let source = source.unwrap_or_else(|| proxy(Leg::Source, &self.source, program.address_of("source")));
        let sink = sink.unwrap_or_else(|| proxy(Leg::Sink, &self.sink, program.address_of("network")));
        (program, source, sink)
    }

    fn feed(&self, program: &Program, sender: &mut Sender, source: &mut Proxy, sink: &mut Proxy) {
        let refused = |actor, counter| {
            program.wait_for("it was refused several times", |status| {
                status.number(actor, counter) >= 3
            });
        };
        if self.source.plan.refuses {
            refused("source", "refused");
            source.open();
        }
        sender.send_through(self.last - 100, program);
        if self.sink.plan.refuses {
            refused("network", "retries");
            sink.open();
        }
        // The last ones go when no reset can take them along.
        wait_until("the sink's connections have broken", || {
            (sink.breaks_left() == 0).then_some(())
        });
        program.wait_for("the sink has noticed", |status| {
            (status.number("network", "disconnects") + status.number("network", "probes"))
                >= self.sink.plan.breaks.len() as u64
        });
        sender.send_through(self.last, program);
    }

    /// In order, nothing twice, and at most one gap for each reset, of no more than the sockets held. A half-close loses nothing.
    fn check(&self, seen: &Sequence, receive_buffer_bytes: usize) -> Vec<(u64, u64)> {
        let resets = self.sink.plan.breaks.iter().filter(|end| !is_half_close(end)).count();
        let mut gaps = seen.gaps();
        if seen.first() > 1 {
            gaps.push((1, seen.first() - 1));
        }
        assert!(gaps.len() <= resets, "{resets} resets, lost: {gaps:?}; {self:?}");
        // The kernel doubles the send buffer and may pass it by one segment (tcp_sendmsg).
        let sockets = 2 * SEND_BUFFER + 64 * 1024 + receive_buffer_bytes;
        let bound = (sockets + CHUNK_BYTES + self.messages.most) as u64;
        for (first, last) in &gaps {
            let bytes = self.messages.bytes(*first..last + 1);
            assert!(bytes <= bound, "{bytes} bytes lost at a reset; on the way were {bound}");
        }
        gaps
    }

    fn config(&self, source: Option<&Proxy>, sink: Option<&Proxy>) -> String {
        let place = |dialled: Option<&Proxy>| match dialled {
            Some(proxy) => format!(r#"type = "tcp_client", address = "{}""#, proxy.address),
            None => r#"type = "tcp_server", listen = "127.0.0.1:0""#.to_owned(),
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
            sinks.network = {{ {}, acknowledge = "written", framing = {{ type = "delimited" }}, window_bytes = "64 KiB", send_buffer_bytes = {SEND_BUFFER}, {retry} }}
            "#,
            place(source),
            place(sink),
        )
    }
}
