use std::io::{self, Write};
use std::sync::Arc;

use aqueduct_framework::batch::{BatchBuilder, Numbers};
use aqueduct_framework::error::Reaction;
use aqueduct_framework::plugin::Delivery;
use aqueduct_framework::receipt::Receipt;

use super::write;

fn delivery(frames: &[&str]) -> Delivery {
    let numbers = Numbers::new("source".into(), 1, 0, 0);
    let mut builder = BatchBuilder::new(&numbers);
    for (number, frame) in frames.iter().enumerate() {
        builder.push_span(frame.as_bytes(), number as u64);
    }
    let batch = builder.finish(0, None, Receipt::none());
    let (wire, ends) = (batch.payload.clone(), Arc::clone(&batch.ends));
    Delivery::new(batch, wire, ends)
}

/// Takes `room` bytes, three at a time, then fails.
struct Pipe {
    taken: Vec<u8>,
    room: usize,
    error: io::ErrorKind,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(3).min(self.room);
        if count == 0 {
            return Err(self.error.into());
        }
        self.room -= count;
        self.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn everything_is_written_in_pieces() {
    let mut pipe = Pipe {
        taken: Vec::new(),
        room: 100,
        error: io::ErrorKind::Other,
    };
    let mut delivery = delivery(&["hello\n", "world\n"]);
    write(&mut pipe, &mut delivery).expect("it is taken");
    assert_eq!(pipe.taken, b"hello\nworld\n");
    assert!(delivery.is_done());
}

#[test]
fn a_full_disk_is_waited_out_and_a_broken_pipe_is_the_end() {
    for (error, reaction) in [
        (io::ErrorKind::StorageFull, Reaction::Retry),
        (io::ErrorKind::BrokenPipe, Reaction::Stop),
    ] {
        let mut pipe = Pipe {
            taken: Vec::new(),
            room: 8,
            error,
        };
        let mut delivery = delivery(&["hello\n", "world\n"]);
        let failure = write(&mut pipe, &mut delivery).expect_err("it fails");
        assert_eq!(failure.reaction(), reaction);
        assert_eq!(delivery.frames_written(), 1);
    }
}
