use std::hint::black_box;

use super::{
    cpu_seconds, ignore_sigxfsz, open_file_limit, parse_status_bytes, peak_resident_bytes, raise_open_file_limit,
    resident_bytes,
};

#[test]
fn memory_that_was_written_to_is_resident() {
    const BYTES: usize = 32 << 20;
    let held = black_box(vec![1_u8; BYTES]);
    assert!(resident_bytes().unwrap() >= BYTES as u64);
    drop(held);
    assert!(peak_resident_bytes().unwrap() >= BYTES as u64);
}

#[test]
fn work_costs_cpu_time() {
    let before = cpu_seconds();
    black_box((0..10_000_000_u64).fold(0, |sum, next| black_box(sum ^ next)));
    assert!(cpu_seconds() > before);
}

#[test]
fn the_limit_of_open_files_can_be_raised_to_the_hard_one() {
    let (soft, hard) = open_file_limit();
    assert!(soft <= hard);
    assert_eq!(raise_open_file_limit().unwrap(), hard);
    assert_eq!(open_file_limit(), (hard, hard));
}

#[test]
fn the_file_size_signal_is_ignored() {
    ignore_sigxfsz().unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(mask.trim(), 16).unwrap();
    assert_ne!(ignored & 1 << (libc::SIGXFSZ - 1), 0);
}

#[test]
fn kilobytes_of_proc_become_bytes() {
    let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t     12 kB\n";
    assert_eq!(parse_status_bytes(status, "VmHWM:"), Some(2 << 20));
    assert_eq!(parse_status_bytes(status, "VmSwap:"), None);
}
