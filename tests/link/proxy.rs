//! Stands between the two, and resets connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

/// Forwards until its end.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    resets: Arc<AtomicUsize>,
}

impl Proxy {
    /// Resets the first connections after so many bytes each, both directions counted as one; the ones after them stay.
    pub(super) fn resetting(to: SocketAddr, ends: Vec<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let resets = Arc::<AtomicUsize>::default();
        let counted = resets.clone();
        thread::spawn(move || {
            let ends = ends.into_iter().map(Some).chain(std::iter::repeat(None));
            for (near, end) in listener.incoming().map_while(Result::ok).zip(ends) {
                let Ok(far) = TcpStream::connect(to) else { continue };
                thread::spawn(move || forward(&near, &far, end));
                counted.fetch_add(usize::from(end.is_some()), Ordering::Relaxed);
            }
        });
        Self { address, resets }
    }

    /// How many connections were begun to be reset.
    pub(super) fn resets(&self) -> usize {
        self.resets.load(Ordering::Relaxed)
    }
}

/// One thread for both directions, so that they count the same bytes.
fn forward(near: &TcpStream, far: &TcpStream, end: Option<u64>) {
    let mut left = end.unwrap_or(u64::MAX);
    let mut buffer = [0; 16 * 1024];
    for stream in [near, far] {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    }
    loop {
        for (mut from, mut to) in [(near, far), (far, near)] {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = match from.read(&mut buffer[..most]) {
                Ok(0) => return,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(_) => return,
            };
            if to.write_all(&buffer[..read]).is_err() {
                return;
            }
            left -= read as u64;
            if left == 0 {
                for stream in [near, far] {
                    SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
                }
                return;
            }
        }
    }
}
