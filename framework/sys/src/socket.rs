//! A connected TCP socket: its buffers, what waits in them, how it ended, and the kernel's statistics.
//!
//! Every function makes one or two system calls, never waits, and may be called from any thread at any time.
//! Errors are those of the system call, unchanged.

mod tcp_info;
#[cfg(test)]
mod tests;

pub use tcp_info::{TcpInfo, tcp_info};

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;

/// Asks for a receive buffer of `bytes` and returns what the kernel granted, in bytes (`SO_RCVBUF`, socket(7)).
///
/// The kernel clamps the wish to `net.core.rmem_max`, doubles it to make room for its own bookkeeping, and reports
/// the doubled figure; so asking for 64 KiB returns 128 KiB. Setting it turns the autotuning of tcp(7) off for this
/// socket. To influence the window scale it must be set before `connect` or `listen`.
pub fn set_receive_buffer(fd: impl AsFd, bytes: usize) -> io::Result<usize> {
    sockopt::set_socket_recv_buffer_size(&fd, bytes)?;
    receive_buffer(fd)
}

/// Asks for a send buffer of `bytes` and returns what the kernel granted, in bytes (`SO_SNDBUF`, socket(7)).
///
/// Clamped by `net.core.wmem_max` and doubled like [`set_receive_buffer`]; turns autotuning off as well.
pub fn set_send_buffer(fd: impl AsFd, bytes: usize) -> io::Result<usize> {
    sockopt::set_socket_send_buffer_size(&fd, bytes)?;
    send_buffer(fd)
}

/// The receive buffer in bytes as getsockopt(2) reports it, the kernel's bookkeeping included.
///
/// With autotuning on, the figure grows while the connection lives, up to the third value of `tcp_rmem` (tcp(7)).
pub fn receive_buffer(fd: impl AsFd) -> io::Result<usize> {
    Ok(sockopt::socket_recv_buffer_size(fd)?)
}

/// The send buffer in bytes as getsockopt(2) reports it, the kernel's bookkeeping included.
pub fn send_buffer(fd: impl AsFd) -> io::Result<usize> {
    Ok(sockopt::socket_send_buffer_size(fd)?)
}

/// Bytes received and not read yet (`SIOCINQ`, tcp(7)). They stay readable after the peer's FIN or RST.
///
/// Fails with `EINVAL` on a listening socket.
pub fn unread_bytes(fd: impl AsFd) -> io::Result<u64> {
    Ok(rustix::io::ioctl_fionread(fd)?)
}

/// Bytes written to the socket and not acknowledged by the peer's kernel, sent or not (`SIOCOUTQ`, tcp(7)).
///
/// Keeps its last figure on a socket that was reset, so it tells how much the peer's kernel never confirmed. A FIN
/// of ours counts as one byte until it is acknowledged. Zero says nothing about the peer's application.
///
/// Fails with `EINVAL` on a listening socket.
pub fn unsent_bytes(fd: impl AsFd) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is borrowed for the call, and TIOCOUTQ (the same number as SIOCOUTQ) writes one int.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// Whether the peer has finished sending: its FIN arrived, even when unread bytes stand before it (`POLLRDHUP`,
/// poll(2)). Also true after our own shutdown of the reading side.
///
/// Nothing is read. A FIN alone does not say whether the peer still reads (tcp(7) knows half-closed connections).
///
/// # Errors
/// The pending error of the socket, such as `ECONNRESET` after an RST. Reporting it takes it off the socket
/// (`SO_ERROR`, socket(7)): a later call returns `Ok(true)`.
pub fn peer_closed(fd: impl AsFd) -> io::Result<bool> {
    let mut polled = [PollFd::new(&fd, PollFlags::RDHUP)];
    poll(&mut polled, Some(&Timespec::default()))?;
    let events = polled[0].revents();
    if events.contains(PollFlags::ERR) {
        sockopt::socket_error(&fd)??;
    }
    Ok(events.contains(PollFlags::RDHUP))
}

/// Has the kernel ask the peer's kernel whether it is still there, once nothing came from it for `idle` (`SO_KEEPALIVE`, `TCP_KEEPIDLE`,
/// `TCP_KEEPINTVL`, `TCP_KEEPCNT`, tcp(7)). After `probes` unanswered questions, `interval` apart, reads and writes fail with `ETIMEDOUT`.
///
/// Times are rounded up to whole seconds. While bytes of ours are unacknowledged the kernel sends those again instead (`tcp_retries2`).
pub fn set_keepalive(fd: impl AsFd, idle: Duration, interval: Duration, probes: u32) -> io::Result<()> {
    let whole = |time: Duration| Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0));
    sockopt::set_tcp_keepidle(&fd, whole(idle))?;
    sockopt::set_tcp_keepintvl(&fd, whole(interval))?;
    sockopt::set_tcp_keepcnt(&fd, probes)?;
    Ok(sockopt::set_socket_keepalive(&fd, true)?)
}

/// Makes the coming `close` an RST that throws away what is unsent (`SO_LINGER` of zero, socket(7)). For tests.
pub fn set_linger_reset(fd: impl AsFd) -> io::Result<()> {
    Ok(sockopt::set_socket_linger(fd, Some(Duration::ZERO))?)
}
