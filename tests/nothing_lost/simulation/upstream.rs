//! The sender outside, the connection, and the reader that cuts its bytes into frames.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use aqueduct::framework::batch::{Batch, BatchBuilder, Numbers};
use aqueduct::framework::framing::{Cutter, Delimited, Limits, Payload, boxed};
use aqueduct::framework::receipt::{Fate, Ledger, Settled};

use super::edge::Edge;

/// Two bytes, so that a read can end between them.
const DELIMITER: &str = "\r\n";
/// What the kernels hold of a connection.
const SOCKET_BYTES: usize = 20_000;

/// The frame of a number, without its delimiter.
pub(crate) fn frame(number: u64) -> Vec<u8> {
    let mut frame = format!("{number:08}").into_bytes();
    frame.resize(8 + (number * 37 % 400) as usize, b'a' + (number % 26) as u8);
    frame
}

/// The number of a frame that is byte for byte what was sent.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    let digits = bytes.get(..8).and_then(|digits| std::str::from_utf8(digits).ok());
    let number = digits.and_then(|digits| digits.parse().ok());
    let number = number.unwrap_or_else(|| panic!("no frame: {:?}", String::from_utf8_lossy(bytes)));
    assert!(bytes == frame(number), "frame {number} is not what was sent");
    number
}

/// Everything above the store.
pub(crate) struct Upstream {
    /// The next frame that the sender will send.
    pub(crate) next: u64,
    connection: VecDeque<u8>,
    cutter: Cutter,
    /// The frames below have left the reader, or are lost.
    cut: u64,
    /// The frames of each receipt, by its token.
    sent: Vec<Range<u64>>,
    ledger: Arc<Ledger>,
    told: Arc<Mutex<Vec<Settled>>>,
    pub(crate) acknowledged: BTreeSet<u64>,
    settled: BTreeSet<u64>,
}

impl Upstream {
    pub(crate) fn new() -> Self {
        let (ledger, told) = ledger();
        Self {
            next: 0,
            connection: VecDeque::new(),
            cutter: cutter(),
            cut: 0,
            sent: Vec::new(),
            ledger,
            told,
            acknowledged: BTreeSet::new(),
            settled: BTreeSet::new(),
        }
    }

    /// The sender sends as many frames, or what the sockets take: it never waits.
    pub(crate) fn push(&mut self, frames: u64) {
        for _ in 0..frames {
            if self.connection.len() > SOCKET_BYTES {
                return;
            }
            self.connection.extend(frame(self.next));
            self.connection.extend(DELIMITER.as_bytes());
            self.next += 1;
        }
    }

    /// The reader reads so many bytes, when it has demand.
    pub(crate) fn read(&mut self, bytes: usize, edge: &mut Edge) {
        if !edge.may_send() || self.connection.is_empty() {
            return;
        }
        let lead = self.cutter.lead().len();
        let mut input = self.cutter.lead().to_vec();
        input.extend(self.connection.drain(..bytes.min(self.connection.len())));
        let mut cuts = Vec::new();
        self.cutter.cut(&input, lead, &mut cuts).expect("no frame is too long");
        for cut in cuts {
            let payload = match &cut.payload {
                Payload::Input(range) => &input[range.clone()],
                Payload::Aside(bytes) => bytes,
            };
            let frames = self.cut..self.cut + cut.ends.len() as u64;
            let numbers = Numbers::new("source".into(), 1, frames.start, 0);
            let mut builder = BatchBuilder::with_layout(&numbers, self.cutter.layout());
            builder.reserve(cut.ends.len(), payload.len());
            let starts = std::iter::once(0).chain(cut.ends.iter().copied());
            for ((start, end), number) in starts.zip(&cut.ends).zip(frames.clone()) {
                builder.push_span(&payload[start as usize..*end as usize], number);
            }
            let receipt = self.ledger.issue(self.sent.len() as u64, 1);
            edge.send(builder.finish(0, None, receipt));
            self.cut = frames.end;
            self.sent.push(frames);
        }
    }

    /// The peer resets the connection: what lay in the sockets is lost, and the begin of a frame is none.
    pub(crate) fn reset(&mut self, lost: &mut BTreeSet<u64>) {
        self.connection.clear();
        self.cutter.abandon();
        self.cutter = cutter();
        lost.extend(self.cut..self.next);
        self.cut = self.next;
    }

    /// Takes what the receipts have told.
    pub(crate) fn hear(&mut self) {
        for settled in self.told.lock().unwrap().drain(..) {
            assert!(self.settled.insert(settled.token), "a receipt settled twice");
            if settled.fate != Fate::Dropped {
                self.acknowledged.extend(self.sent[settled.token as usize].clone());
            }
        }
    }

    /// The process has gone: its receipts tell nobody any more.
    pub(crate) fn crash(&mut self, lost: &mut BTreeSet<u64>) {
        self.hear();
        (self.ledger, self.told) = ledger();
        self.reset(lost);
    }

    pub(crate) fn is_read(&self) -> bool {
        self.connection.is_empty()
    }
}

fn cutter() -> Cutter {
    let framing = boxed::<Delimited>(serde_json::json!({ "delimiter": DELIMITER }));
    Cutter::new(framing.expect("good options"), Limits::default()).expect("good limits")
}

type Told = Arc<Mutex<Vec<Settled>>>;

fn ledger() -> (Arc<Ledger>, Told) {
    let told = Told::default();
    let report = told.clone();
    (
        Ledger::counting(move |settled| report.lock().unwrap().push(settled)),
        told,
    )
}

/// The halves of a batch, each with a receipt of its own, as a processor makes them that emits more than once.
pub(crate) fn halves(batch: Batch) -> Vec<Batch> {
    let middle = batch.len() / 2;
    let mut parts = Vec::new();
    for part in [0..middle, middle..batch.len()] {
        if !part.is_empty() {
            let mut builder = BatchBuilder::with_layout(&batch.numbers, batch.layout.clone());
            builder.push_range(&batch, part.start, part.end);
            parts.push(builder.finish(0, None, batch.receipt.child()));
        }
    }
    // From here on its parts decide.
    batch.receipt.settle(Fate::Delivered);
    parts
}
