//! This process: its memory, its CPU time, and the limits and signals that could end it.

#[cfg(test)]
mod tests;

use std::{fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Bytes of memory resident now (`VmRSS`, proc_pid_status(5)); the kernel's figure may lag by some pages per thread.
pub fn resident_bytes() -> io::Result<u64> {
    status_bytes("VmRSS:")
}

/// The most bytes of memory that were ever resident (`VmHWM`, proc_pid_status(5)).
pub fn peak_resident_bytes() -> io::Result<u64> {
    status_bytes("VmHWM:")
}

/// CPU time of all threads so far, user and system, in seconds (`CLOCK_PROCESS_CPUTIME_ID`, clock_gettime(2)).
pub fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Makes a write past the file size limit fail with `EFBIG` instead of killing the process (`RLIMIT_FSIZE`,
/// setrlimit(2)). Holds for the whole process and for programs it starts; call it once, at the start.
pub fn ignore_sigxfsz() -> io::Result<()> {
    // SAFETY: ignoring a signal installs no handler, so nothing runs that would have to be async-signal-safe.
    if unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// How many files and sockets the process may have open, as (soft, hard) (`RLIMIT_NOFILE`, getrlimit(2)).
/// `u64::MAX` stands for no limit. The soft limit applies; the hard one bounds what it can be raised to.
pub fn open_file_limit() -> (u64, u64) {
    let limit = getrlimit(Resource::Nofile);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

/// Raises the soft limit of open files to the hard one and returns the limit that applies now.
///
/// Programs started later inherit it; one that still uses select(2) breaks past 1,024 descriptors.
pub fn raise_open_file_limit() -> io::Result<u64> {
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: hard,
            maximum: hard,
        },
    )?;
    Ok(open_file_limit().0)
}

fn status_bytes(field: &str) -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    parse_status_bytes(&status, field).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("/proc/self/status has no `{field}` in kB"),
        )
    })
}

fn parse_status_bytes(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = value.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}
