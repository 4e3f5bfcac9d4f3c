//! CPU time and memory of another process, from proc_pid_stat(5) and proc_pid_status(5).

use super::Outcome;

/// Clock ticks per second in /proc; fixed on Linux for all architectures in use (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time of all its threads, in seconds.
    pub(crate) cpu_seconds: f64,
    /// The most memory that was ever resident, in bytes.
    pub(crate) peak_bytes: f64,
}

/// The state letter and the CPU seconds of a process. They outlast it until its parent waits for it, unlike its memory.
///
/// # Errors
/// When there is no such process.
pub(crate) fn state_and_cpu(pid: u32) -> Outcome<(char, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before it may contain anything, also blanks and brackets.
    let behind_name = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?.1;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|ticks| ticks.parse::<f64>().ok());
    let state = fields.first().and_then(|state| state.chars().next());
    match (state, ticks(11), ticks(12)) {
        (Some(state), Some(user), Some(system)) => Ok((state, (user + system) / TICKS_PER_SECOND)),
        _ => Err("cannot read /proc/PID/stat".into()),
    }
}

/// The most memory that was ever resident, in bytes.
///
/// # Errors
/// When the process has ended.
pub(crate) fn peak_bytes(pid: u32) -> Outcome<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    Ok(kibibytes.ok_or("no VmHWM in /proc/PID/status")? * 1024.0)
}
