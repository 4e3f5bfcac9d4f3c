//! The kernel's own account of a TCP connection (`TCP_INFO`, tcp(7)).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Part of the kernel's `struct tcp_info` (linux/tcp.h), at the moment of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpInfo {
    /// Unanswered retransmissions in a row of the segment at the head of the queue; zero when all is well.
    pub retransmits: u32,
    /// Segments retransmitted since the connection began.
    pub total_retransmits: u32,
    /// Segments sent and not acknowledged yet.
    pub unacked: u32,
    /// Smoothed round trip time, in microseconds.
    pub rtt_us: u32,
    /// Bytes per round trip the receive autotuning has seen the application take.
    pub rcv_space: u32,
    /// Bytes the peer's kernel has acknowledged since the connection began, its SYN included (Linux 4.1).
    pub acknowledged_bytes: Option<u64>,
    /// Bytes in the send buffer that were not sent even once (Linux 4.6).
    pub not_sent_bytes: Option<u32>,
    /// Milliseconds since the last segment with data went out.
    pub last_data_sent_ms: u32,
    /// Milliseconds since the last segment with data came in.
    pub last_data_received_ms: u32,
    /// The peer's advertised receive window, in bytes (Linux 5.4).
    pub snd_wnd: Option<u32>,
    /// Our own advertised receive window, in bytes (Linux 6.2).
    pub rcv_wnd: Option<u32>,
}

/// The structure as 32-bit words: it only ever grows at its end, and the kernel says how much it filled.
const WORDS: usize = 64;

// Byte offset in struct tcp_info, divided by four.
const UNACKED: usize = 6;
const LAST_DATA_SENT: usize = 11;
const LAST_DATA_RECV: usize = 13;
const RTT: usize = 17;
const RCV_SPACE: usize = 24;
const TOTAL_RETRANS: usize = 25;
const BYTES_ACKED: usize = 30;
const NOTSENT_BYTES: usize = 36;
const SND_WND: usize = 57;
const RCV_WND: usize = 58;

/// Reads the kernel's account of a TCP connection (`TCP_INFO`, tcp(7)).
///
/// Works on a reset socket too, until it is closed. Figures a running kernel is too old for are `None`.
/// Fails with `EOPNOTSUPP` on a socket that is not TCP.
pub fn tcp_info(fd: impl AsFd) -> io::Result<TcpInfo> {
    let mut words = [0_u32; WORDS];
    let mut filled = size_of_val(&words) as libc::socklen_t;
    // SAFETY: the kernel writes at most `filled` bytes, the size of `words`; any bit pattern is a valid u32.
    let result = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            words.as_mut_ptr().cast(),
            &raw mut filled,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let known = filled as usize / size_of::<u32>();
    let newer = |word: usize| (word < known).then(|| words[word]);
    // Two words in the machine's own order make one u64.
    let long = |word: usize| {
        let (first, second) = (newer(word)?.to_ne_bytes(), newer(word + 1)?.to_ne_bytes());
        let [a, b, c, d] = first;
        let [e, f, g, h] = second;
        Some(u64::from_ne_bytes([a, b, c, d, e, f, g, h]))
    };
    Ok(TcpInfo {
        retransmits: u32::from(words[0].to_ne_bytes()[2]),
        total_retransmits: words[TOTAL_RETRANS],
        unacked: words[UNACKED],
        rtt_us: words[RTT],
        rcv_space: words[RCV_SPACE],
        acknowledged_bytes: long(BYTES_ACKED),
        not_sent_bytes: newer(NOTSENT_BYTES),
        last_data_sent_ms: words[LAST_DATA_SENT],
        last_data_received_ms: words[LAST_DATA_RECV],
        snd_wnd: newer(SND_WND),
        rcv_wnd: newer(RCV_WND),
    })
}
