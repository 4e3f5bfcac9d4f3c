//! What to do about a failed connection, in words.

use std::io::{Error, ErrorKind};

/// True when the peer broke the connection off instead of ending it (`ECONNRESET`, `EPIPE`).
pub(crate) fn is_reset(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
    )
}

/// Why nothing can be opened: the limit of open files is reached, that of the process (`EMFILE`) or of the machine (`ENFILE`).
pub(crate) fn is_out_of_files(error: &Error) -> bool {
    let limits = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
    error
        .raw_os_error()
        .is_some_and(|code| limits.iter().any(|limit| limit.raw_os_error() == code))
}

/// What a user can do about it.
pub(crate) fn advice(error: &Error) -> &'static str {
    if is_out_of_files(error) {
        return "too many files and sockets are open; raise `ulimit -n`, or allow fewer connections";
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => "nobody listens there; start the peer, or correct the address",
        ErrorKind::TimedOut => "no answer came; check the network and its firewalls",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "there is no route to it; check the network",
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            "the peer broke the connection off; its own log says why"
        }
        ErrorKind::AddrInUse => "another program uses this address; end it, or choose another port",
        ErrorKind::AddrNotAvailable => "this machine does not have the address; correct it",
        ErrorKind::PermissionDenied => "not permitted; ports below 1024 need a privilege, and firewalls may forbid it",
        _ => "see the system's error",
    }
}
