//! Where the figures were measured: they mean nothing without it.

use std::fs::read_to_string;

/// Cores, processor, kernel and load, in one line. A load near the number of cores makes figures worthless.
pub(crate) fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{cores} cores, {}, Linux {}, load before {}",
        model.map_or("unknown processor", |(_, model)| model),
        kernel.trim(),
        load.split(' ').next().unwrap_or("unknown")
    )
}
