//! The spill store without actors: lines in and out of disk, against append + fdatasync with the same commit size.
//! `cargo bench -p aqueduct-framework --bench spill_store [GIGABYTES]`

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use aqueduct_framework::batch::{Batch, BatchBuilder, Layout, Numbers};
use aqueduct_framework::receipt::{Fate, Receipt, Settled};
use aqueduct_framework::spill::fifo::{Effect, Fifo};
use aqueduct_framework::spill::thread::{Failure, SpillThread, StorageCommand, StorageEvent};
use aqueduct_framework::spill::{Persist, SpillOptions};

const LINE_BYTES: usize = 100;
const LINES: u64 = 2_600;

type Failed = Box<dyn std::error::Error>;

/// 4 MiB, or what the variable COMMIT_MIB says.
fn commit_bytes() -> u64 {
    let mib = std::env::var("COMMIT_MIB").ok().and_then(|mib| mib.parse().ok());
    mib.unwrap_or(4) << 20
}

struct Driver {
    fifo: Fifo,
    thread: SpillThread,
    events: Receiver<StorageEvent>,
    deliver: bool,
    delivered: u64,
}

impl Driver {
    fn open(folder: &Path, deliver: bool) -> Result<Self, Failed> {
        let options = SpillOptions {
            persist: Persist::Always,
            commit_bytes: commit_bytes(),
            commit_delay: std::time::Duration::ZERO,
            ..SpillOptions::new(folder)
        };
        let (report, events) = channel();
        let (thread, recovered) = SpillThread::start("bench", &options, move |event| {
            let _ = report.send(event);
        })?;
        Ok(Self {
            fifo: Fifo::new(&options, recovered),
            thread,
            events,
            deliver,
            delivered: 0,
        })
    }

    /// Waits for one event of the thread.
    fn wait(&mut self) -> Result<(), Failed> {
        match self.events.recv()? {
            StorageEvent::Committed { tail, usage } => self.fifo.committed(tail, usage),
            StorageEvent::ReadDone { found, .. } => self.fifo.read_done(found),
            StorageEvent::Settled { position, usage } => self.fifo.cursor_persisted(position, usage),
            StorageEvent::OldestDropped { range, usage } => self.fifo.oldest_dropped(range, usage),
            StorageEvent::Failed {
                what: Failure::Write | Failure::Read | Failure::Cursor | Failure::Drop,
                error,
            } => return Err(error.into()),
            StorageEvent::Closed { .. } => return Err("closed".into()),
            StorageEvent::Named { .. } | StorageEvent::Checked { .. } => {
                return Err("an answer that nobody asked for".into());
            }
        }
        Ok(())
    }

    fn effects(&mut self) {
        while let Some(effect) = self.fifo.next(self.deliver) {
            let command = match effect {
                Effect::Hand {
                    token, epoch, batch, ..
                } => {
                    let numbers = batch.numbers.bounds();
                    assert_eq!(numbers.map(|(first, _)| first), Some(self.delivered), "order");
                    self.delivered += batch.len() as u64;
                    self.fifo.settled(Settled {
                        token,
                        epoch,
                        fate: Fate::Delivered,
                        done_below: 0,
                    });
                    continue;
                }
                Effect::Write { generation, batches } => StorageCommand::Append { generation, batches },
                Effect::Read { from, to, bytes } => StorageCommand::Read { from, to, bytes },
                Effect::PersistCursor { position } => StorageCommand::Settle { position },
                Effect::DropOldest { from, to } => StorageCommand::DropOldest { from, to },
                Effect::SettleUpstream { receipt, fate } => {
                    receipt.settle(fate);
                    continue;
                }
                Effect::Finished => return,
            };
            self.thread.send(command);
        }
    }
}

fn batch(payload: &[u8], first: u64) -> Batch {
    let mut builder = BatchBuilder::with_layout(
        &Numbers::new("c_server".into(), 1, 0, 0),
        Layout {
            head: 0,
            tail: 1,
            wire: Some("delimited:0a".into()),
        },
    );
    for (index, line) in payload.chunks(LINE_BYTES).enumerate() {
        builder.push_span(line, first + index as u64);
    }
    builder.finish(1, None, Receipt::none())
}

fn allocated(folder: &Path) -> Result<u64, Failed> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.blocks() * 512;
    }
    Ok(bytes)
}

fn peak_memory_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

fn fill(folder: &Path, batches: u64) -> Result<f64, Failed> {
    let line = format!("{:099}\n", 7);
    let payload = line.repeat(LINES as usize).into_bytes();
    // Frames are cut by the reader, not by the store: prepared once, shared.
    let ready = batch(&payload, 0);
    let mut driver = Driver::open(folder, false)?;
    let start = Instant::now();
    for index in 0..batches {
        while !driver.fifo.may_accept() {
            driver.wait()?;
        }
        let mut next = ready.share(Receipt::none());
        next.payload = bytes_copy(&payload);
        next.numbers = Numbers::new("c_server".into(), 1, index * LINES, LINES as u32);
        driver.fifo.append(next, 0);
        driver.effects();
    }
    while driver.fifo.state().committed < batches * LINES {
        driver.wait()?;
        driver.effects();
    }
    Ok(start.elapsed().as_secs_f64())
}

/// What a read from a socket costs at least: the bytes arrive in a buffer of their own.
fn bytes_copy(payload: &[u8]) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(payload)
}

fn append_and_sync(folder: &Path, batches: u64) -> Result<f64, Failed> {
    let payload = vec![b'x'; LINES as usize * LINE_BYTES];
    let mut file = File::create(folder.join("plain"))?;
    let start = Instant::now();
    let mut gathered = 0;
    for _ in 0..batches {
        file.write_all(&payload)?;
        gathered += payload.len();
        if gathered >= commit_bytes() as usize {
            file.sync_data()?;
            gathered = 0;
        }
    }
    file.sync_data()?;
    let seconds = start.elapsed().as_secs_f64();
    fs::remove_file(folder.join("plain"))?;
    Ok(seconds)
}

fn drain(folder: &Path, lines: u64) -> Result<f64, Failed> {
    let start = Instant::now();
    let mut driver = Driver::open(folder, true)?;
    driver.effects();
    let mut ticked = Instant::now();
    while driver.delivered < lines {
        driver.wait()?;
        if ticked.elapsed().as_millis() >= 100 {
            driver.fifo.tick(1);
            ticked = Instant::now();
        }
        driver.effects();
    }
    Ok(start.elapsed().as_secs_f64())
}

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().collect();
    let batches_of = |gigabytes: f64| (gigabytes * 1e9 / (LINES as f64 * LINE_BYTES as f64)) as u64;
    if let [_, mode, folder, count, ..] = &arguments[..]
        && mode == "fill"
    {
        let seconds = fill(Path::new(folder), count.parse()?)?;
        println!("{seconds} {}", peak_memory_mib());
        std::io::stdout().flush()?;
        // As after kill -9: nothing is closed.
        Command::new("kill")
            .args(["-9", &std::process::id().to_string()])
            .status()?;
        return Ok(());
    }
    let gigabytes = arguments.iter().find_map(|text| text.parse().ok()).unwrap_or(2.0);
    let batches = batches_of(gigabytes);
    let lines = batches * LINES;
    let million = lines as f64 / 1e6;
    for round in 1..=3 {
        let folder = tempfile::tempdir_in(".")?;
        let plain = append_and_sync(folder.path(), batches)?;
        let child = Command::new(std::env::current_exe()?)
            .arg("fill")
            .arg(folder.path())
            .arg(batches.to_string())
            .output()?;
        let said = String::from_utf8(child.stdout)?;
        let mut words = said.split_whitespace();
        let into: f64 = words.next().ok_or("the child said nothing")?.parse()?;
        let memory = words.next().unwrap_or("?");
        let per_line = allocated(folder.path())? as f64 / lines as f64;
        let start = Instant::now();
        let driver = Driver::open(folder.path(), false)?;
        let reopened = start.elapsed().as_secs_f64();
        assert_eq!(driver.fifo.state().waiting_frames, lines);
        driver.thread.close();
        let out = drain(folder.path(), lines)?;
        println!(
            "round {round}: plain {:.0} MB/s, in {:.0} MB/s = {:.2}x, {:.1} M lines/s, peak {memory} MiB; {per_line:.1} bytes/line; reopen {:.1} ms; \
             out {:.1} M lines/s",
            gigabytes * 1e3 / plain,
            gigabytes * 1e3 / into,
            plain / into,
            million / into,
            reopened * 1e3,
            million / out,
        );
    }
    Ok(())
}
