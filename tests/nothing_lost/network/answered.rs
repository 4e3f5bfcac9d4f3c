//! `acknowledge = "reply"` under connections that break off on their way in either direction: what the sink has heard the answer to never comes again,
//! everything else does, in order, and no more is unanswered than the window allows.
//!
//! How many answers the sink has heard it says in its status, so the frame is known with which every connection must begin.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::plan::{Break, Plan};
use super::proxy::{Leg, Opens, Proxy};
use crate::harness::{Feeder, Folder, Messages, PATIENCE, Program, Status, wait_until};
use crate::run::Case;

const MESSAGES: Messages = Messages { least: 13, most: 500 };
/// A multiple of every size of a group.
const LAST: u64 = 1_500;
const GROUPS: [u64; 4] = [1, 1, 2, 10];

pub(crate) fn play(case: &mut Case) -> Result<(), String> {
    let mut trial = Trial::new(&mut case.random());
    trial.run()?;
    case.count("connections", trial.connections);
    case.count("frames answered", LAST - trial.letters.len() as u64);
    case.count("frames that came again", trial.repeats);
    case.count("wrong answers", trial.wrong);
    case.count("dead letters", trial.letters.len() as u64);
    Ok(())
}

struct Trial {
    random: fastrand::Rng,
    opens: Opens,
    /// Frames that one answer is about.
    group: u64,
    window: u64,
    timeout: &'static str,
    data: Plan,
    answers: Plan,
    /// A frame that is refused until it is given up.
    refused: Option<u64>,
    /// Everything below was answered, or given up.
    answered: u64,
    /// The frame behind the furthest that has come.
    furthest: u64,
    connections: u64,
    repeats: u64,
    wrong: u64,
    letters: Vec<u64>,
}

impl Trial {
    fn new(random: &mut fastrand::Rng) -> Self {
        let refuses = random.u8(0..4) == 0;
        let group = if refuses {
            1
        } else {
            GROUPS[random.usize(0..GROUPS.len())]
        };
        let (mut data, mut answers) = (Plan::default(), Plan::default());
        if !refuses {
            data.breaks = (0..random.usize(0..4)).map(|_| end(random, 150_000)).collect();
            let most = 3 * LAST / group / 2;
            answers.breaks = (0..random.usize(0..4))
                .map(|_| Break::ResetAt(random.u64(0..most)))
                .collect();
        }
        data.slice_bytes = random.bool().then(|| random.usize(50..2_000));
        answers.slice_bytes = random.bool().then(|| random.usize(1..8));
        let stalls = random.u8(0..3) == 0;
        if stalls {
            data.stall = Some((random.u64(0..100_000), Duration::from_millis(random.u64(50..400))));
            answers.stall = Some((random.u64(0..500), Duration::from_millis(random.u64(50..400))));
        }
        Self {
            opens: if random.bool() { Opens::Program } else { Opens::Peer },
            group,
            window: group * random.u64(1..50),
            timeout: if stalls && !refuses { "100ms" } else { "30s" },
            data,
            answers,
            refused: refuses.then(|| random.u64(1..=LAST)),
            answered: 1,
            furthest: 1,
            connections: 0,
            repeats: 0,
            wrong: 0,
            letters: Vec::new(),
            random: random.fork(),
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let (folder, listener) = (Folder::new(), TcpListener::bind("127.0.0.1:0").unwrap());
        let proxy = |target| Proxy::start_both(Leg::Sink, self.opens, target, self.data.clone(), self.answers.clone());
        let (program, proxy) = match self.opens {
            Opens::Program => {
                let proxy = proxy(listener.local_addr().unwrap());
                (
                    self.start(
                        &folder,
                        &format!("type = \"tcp_client\"\naddress = \"{}\"", proxy.address),
                    ),
                    proxy,
                )
            }
            Opens::Peer => {
                let program = self.start(&folder, "type = \"tcp_server\"\nlisten = \"127.0.0.1:0\"");
                let network = program.address_of("network");
                (program, proxy(network))
            }
        };
        let source = program.address_of("source");
        let mut feeder = Feeder::connect(source, MESSAGES);
        let (first, rest) = (1..=LAST / 2, LAST / 2 + 1..=LAST);
        feeder.send(first);
        let served = std::thread::scope(|scope| {
            let feeder = &mut feeder;
            scope.spawn(move || feeder.send(rest));
            self.serve(&program, &listener, proxy.address)
        })?;
        self.check_end(served, &folder, &program)?;
        program.stop();
        Ok(())
    }

    fn start(&self, folder: &Folder, place: &str) -> Program {
        let (group, window, timeout) = (self.group, self.window, self.timeout);
        let (give_up, letters, flow) = match self.refused {
            Some(_) => (
                r#", give_up_after = "100ms""#,
                r#"sinks.letters = { type = "file", path = "letters.txt" }"#,
                r#", "network.rejected -> letters""#,
            ),
            None => ("", "", ""),
        };
        folder.run_pipeline(&format!(
            r#"
            name = "p"
            flow = ["source -> drain -> network"{flow}]
            sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
            spills.drain = {{ directory = "data", memory_bytes = "128 KiB" }}
            {letters}
            [sinks.network]
            {place}
            acknowledge = "reply"
            reply = {{ pattern = "^OK$", per = {group}, window_frames = {window}, timeout = "{timeout}" }}
            retry = {{ first = "1ms", max = "20ms"{give_up} }}
            "#
        ))
    }

    /// One connection after another, until all is answered; the last one.
    fn serve(&mut self, program: &Program, listener: &TcpListener, proxy: SocketAddr) -> Result<TcpStream, String> {
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < deadline {
            let stream = match self.opens {
                Opens::Program => listener.accept().expect("the sink dials").0,
                Opens::Peer => TcpStream::connect(proxy).expect("the proxy listens"),
            };
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
            if let Some(stream) = self.connection(stream, program)? {
                return Ok(stream);
            }
        }
        Err(format!("not everything is answered after {PATIENCE:?}"))
    }

    /// Takes and answers until the connection ends, or until all is heard: then it is given back.
    fn connection(&mut self, stream: TcpStream, program: &Program) -> Result<Option<TcpStream>, String> {
        let mut stream = BufReader::new(stream);
        let mut next = 0;
        // How many answers are held back before some are given.
        let mut patience = self.patience();
        while let Some(number) = take(&mut stream) {
            if next == 0 {
                self.check_begin(number, &program.status_of("p"))?;
                next = number;
                self.connections += 1;
                (self.repeats, self.answered) = (self.repeats + self.furthest.saturating_sub(number), number);
            }
            if number != next {
                return Err(format!("message {number} came where {next} was due"));
            }
            next += 1;
            self.furthest = self.furthest.max(next);
            if next - self.answered > self.window {
                return Err(format!(
                    "{} are unanswered, in a window of {}",
                    next - self.answered,
                    self.window
                ));
            }
            if self.refused == Some(number) || (self.refused.is_none() && self.random.u16(0..500) == 0) {
                // Those before are answered, and this one is not taken.
                if !self.answer(&mut stream, number) {
                    continue;
                }
                if self.answered + self.group > number {
                    self.wrong += 1;
                    let _ = stream.get_mut().write_all(b"ERR\n");
                    while take(&mut stream).is_some() {}
                    return Ok(None);
                }
            }
            let whole = (next - self.answered) / self.group;
            if whole > 0 && (whole >= patience || next > LAST) {
                if next - self.answered == self.window {
                    self.check_window(program)?;
                }
                self.answer(&mut stream, next);
                patience = self.patience();
            }
            if self.answered > LAST && self.is_all_heard(&stream, program) {
                return Ok(Some(stream.into_inner()));
            }
        }
        Ok(None)
    }

    /// How many answers are held back before some are given: none once the sink has heard a wrong one, and sends a few frames at a time.
    fn patience(&mut self) -> u64 {
        let most = self.window / self.group;
        if self.wrong > 0 { 0 } else { self.random.u64(0..=most) }
    }

    /// Answers every whole group below `end`; false when the connection has gone.
    fn answer(&mut self, stream: &mut BufReader<TcpStream>, end: u64) -> bool {
        let groups = (end - self.answered) / self.group;
        self.answered += groups * self.group;
        stream
            .get_mut()
            .write_all("OK\n".repeat(groups as usize).as_bytes())
            .is_ok()
    }

    /// What was heard does not come again, and the frame behind it does.
    fn check_begin(&self, number: u64, status: &Status) -> Result<(), String> {
        let heard = self.heard(status);
        if number != heard + 1 {
            return Err(format!(
                "a connection began with {number}, and {heard} were answered or given up"
            ));
        }
        // One that is refused may have been given up since.
        let given_up = status.number("network", "given_up");
        if number > self.answered + given_up {
            return Err(format!("{} was never answered, and {number} came", self.answered));
        }
        Ok(())
    }

    fn heard(&self, status: &Status) -> u64 {
        status.number("network", "replies") * self.group + status.number("network", "given_up")
    }

    /// With so many unanswered nothing more is written.
    fn check_window(&self, program: &Program) -> Result<(), String> {
        let unanswered = program.status_of("p").number("network", "unanswered_frames");
        if unanswered > self.window {
            return Err(format!(
                "{unanswered} frames are unanswered, in a window of {}",
                self.window
            ));
        }
        Ok(())
    }

    /// True when the sink has heard every answer, false when the connection has ended before.
    fn is_all_heard(&self, stream: &BufReader<TcpStream>, program: &Program) -> bool {
        let stream = stream.get_ref();
        stream.set_nonblocking(true).unwrap();
        let heard = wait_until("the answers are heard, or the connection ends", || {
            if self.heard(&program.status_of("p")) >= LAST {
                return Some(true);
            }
            match stream.peek(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => None,
                _ => Some(false),
            }
        });
        stream.set_nonblocking(false).unwrap();
        heard
    }

    /// All is settled, what was refused is a dead letter, and an answer too many is not taken for one.
    fn check_end(&mut self, mut stream: TcpStream, folder: &Folder, program: &Program) -> Result<(), String> {
        let status = program.wait_for("all is settled", |status| {
            status.number("drain", "waiting_frames") == 0 && status.number("network", "unacknowledged_bytes") == 0
        });
        let (out, given_up) = (
            status.number("network", "frames_out"),
            status.number("network", "given_up"),
        );
        if out + given_up != LAST || given_up != u64::from(self.refused.is_some()) {
            return Err(format!(
                "{out} frames count as delivered, {given_up} were given up, of {LAST}"
            ));
        }
        if self.refused.is_some() {
            self.letters = wait_until("the dead letter is written", || {
                let text = folder.read("letters.txt");
                let letters: Vec<u64> = text.lines().map(|line| MESSAGES.number(line.as_bytes())).collect();
                let over = !letters.is_empty() || program.status_of("p").number("letters", "frames_out") == 0;
                over.then_some(letters)
            });
            if !self.letters.iter().eq(&self.refused) {
                return Err(format!(
                    "the dead letters are {:?}, refused was {:?}",
                    self.letters, self.refused
                ));
            }
        }
        // Unless the connection is gone already.
        if stream.write_all(b"OK\n").is_ok() {
            let status = program.wait_for("the connection ends", |status| {
                status.number("network", "disconnects") > 0 && status.number("network", "connected") == 0
                    || status.number("network", "failures_unexpected_reply") > self.wrong
                    || self.heard(status) > LAST
            });
            if self.heard(&status) > LAST {
                return Err("an answer that was not due counts".to_owned());
            }
        }
        Ok(())
    }
}

fn end(random: &mut fastrand::Rng, most: u64) -> Break {
    let at = random.u64(0..most);
    if random.bool() {
        Break::ResetAt(at)
    } else {
        Break::HalfCloseAt(at)
    }
}

/// The next whole message; none at the end of the connection.
fn take(stream: &mut BufReader<TcpStream>) -> Option<u64> {
    let mut line = Vec::new();
    match stream.read_until(b'\n', &mut line) {
        Ok(_) => Some(MESSAGES.number(line.strip_suffix(b"\n")?)),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
        Err(error) => panic!("nothing came for {PATIENCE:?}: {error}"),
    }
}
