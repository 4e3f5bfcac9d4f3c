//! How a connection is closed without an RST while the peer still sends.

use std::io;

use rustix::net::{Shutdown, shutdown};
use tokio::net::TcpStream;

/// Sends a FIN, and reads on until the peer's has come: closed with bytes unread, the connection would end with an RST that destroys what the peer has not
/// read of ours. It takes as long as the peer wants; what comes is forgotten.
///
/// # Errors
/// When the connection fails.
pub(crate) async fn take_leave(stream: &TcpStream) -> io::Result<()> {
    shutdown(stream, Shutdown::Write)?;
    let mut scratch = [0; 16 * 1024];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut scratch) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => tokio::task::yield_now().await,
        }
    }
}
