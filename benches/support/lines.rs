//! Numbered lines of 100 bytes: written, and checked on the other side for order, gaps and repeats.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::{LINE_BYTES, Outcome};

const LINE: usize = LINE_BYTES as usize;
const NUMBER: usize = 20;
const BLOCK_LINES: usize = 2_500;

/// Counts in decimal digits, because formatting a number for each line would cost more than the rest.
struct Counter([u8; NUMBER]);

impl Counter {
    fn new() -> Self {
        Self([b'0'; NUMBER])
    }

    fn next(&mut self) {
        for digit in self.0.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
    }
}

/// Writes `count` lines as fast as they are taken, numbered from 0, and closes. Returns the seconds it took.
///
/// # Errors
/// When the peer does not take them.
pub(crate) fn write(port: &str, count: u64) -> Outcome<f64> {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    let mut counter = Counter::new();
    let mut block = [b'.'; LINE].repeat(BLOCK_LINES);
    block.chunks_exact_mut(LINE).for_each(|line| line[LINE - 1] = b'\n');
    let began = Instant::now();
    let mut left = count as usize;
    while left > 0 {
        let lines = left.min(BLOCK_LINES);
        for line in block[..lines * LINE].chunks_exact_mut(LINE) {
            line[..NUMBER].copy_from_slice(&counter.0);
            counter.next();
        }
        stream.write_all(&block[..lines * LINE])?;
        left -= lines;
    }
    Ok(began.elapsed().as_secs_f64())
}

/// What was read.
pub(crate) struct Checked {
    /// From the first byte to the last, in seconds.
    pub(crate) seconds: f64,
    /// When the first byte came.
    pub(crate) first_byte: Instant,
}

/// Reads `count` lines that must be numbered from 0, one by one.
///
/// # Errors
/// At the first line out of order, and when the stream ends early.
pub(crate) fn check(stream: &mut TcpStream, count: u64) -> Outcome<Checked> {
    let mut counter = Counter::new();
    let mut buffer = vec![0; 256 * 1024 + LINE];
    let (mut filled, mut checked, mut first_byte) = (0, 0, None);
    while checked < count {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Err(format!("the stream ended behind line {checked} of {count}").into());
        }
        first_byte.get_or_insert_with(Instant::now);
        filled += read;
        let whole = filled / LINE * LINE;
        for line in buffer[..whole].chunks_exact(LINE) {
            if line[..NUMBER] != counter.0 {
                let found = String::from_utf8_lossy(&line[..NUMBER]).into_owned();
                return Err(format!("line {checked} is out of order: {found}").into());
            }
            counter.next();
            checked += 1;
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
    let first_byte = first_byte.ok_or("nothing came")?;
    Ok(Checked {
        seconds: first_byte.elapsed().as_secs_f64(),
        first_byte,
    })
}
