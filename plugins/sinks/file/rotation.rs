//! When a file is set aside, and under which name: `NAME.000001` is the oldest, higher numbers are newer.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use aqueduct_sys::file::sync_folder;

/// The rules.
#[derive(Debug)]
pub(super) struct Rotation {
    pub(super) bytes: Option<u64>,
    pub(super) every: Option<Duration>,
    pub(super) keep: Option<usize>,
}

impl Rotation {
    /// Whether a file of `bytes` and of this age must make room before a frame of `next_bytes`. An empty file never does.
    pub(super) fn is_due(&self, bytes: u64, age: Duration, next_bytes: u64) -> bool {
        let full = self.bytes.is_some_and(|most| bytes + next_bytes > most);
        let old = self.every.is_some_and(|most| age >= most);
        bytes > 0 && (full || old)
    }

    /// Renames the file to the next number, removes the oldest beyond `keep`, and returns how many those were.
    pub(super) fn set_aside(&self, path: &Path) -> io::Result<u64> {
        let mut numbers = numbers(path)?;
        let next = numbers.last().map_or(1, |last| last + 1);
        fs::rename(path, numbered(path, next))?;
        numbers.push(next);
        let excess = self.keep.map_or(0, |keep| numbers.len().saturating_sub(keep));
        for number in &numbers[..excess] {
            fs::remove_file(numbered(path, *number))?;
        }
        Ok(excess as u64)
    }
}

/// Makes the names beside `path` durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_folder)
}

/// The numbers in use, ascending.
fn numbers(path: &Path) -> io::Result<Vec<u64>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        numbers.extend(number_of(&entry?.file_name(), name));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn number_of(found: &OsStr, name: &OsStr) -> Option<u64> {
    let digits = found.to_str()?.strip_prefix(name.to_str()?)?.strip_prefix('.')?;
    let all_digits = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number:06}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_past_its_bytes_and_at_its_age_and_never_while_empty() {
        let rotation = |bytes, every| Rotation {
            bytes,
            every,
            keep: None,
        };
        let by_bytes = rotation(Some(100), None);
        assert!(!by_bytes.is_due(90, Duration::MAX, 10), "exactly full");
        assert!(by_bytes.is_due(90, Duration::ZERO, 11));
        assert!(
            !by_bytes.is_due(0, Duration::ZERO, 101),
            "a larger frame still gets a file"
        );
        let smallest = rotation(Some(1), None);
        assert!(smallest.is_due(1, Duration::ZERO, 1) && !smallest.is_due(0, Duration::ZERO, 1));
        let by_age = rotation(None, Some(Duration::from_secs(1)));
        assert!(!by_age.is_due(1, Duration::from_millis(999), 1));
        assert!(by_age.is_due(1, Duration::from_secs(1), 1) && !by_age.is_due(0, Duration::from_secs(9), 1));
    }

    #[test]
    fn keep_counts_the_files_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        for keep in [1, 2] {
            let rotation = Rotation {
                bytes: None,
                every: None,
                keep: Some(keep),
            };
            for _ in 0..4 {
                fs::write(&path, "x").expect("it is writable");
                rotation.set_aside(&path).expect("it can be renamed");
            }
            assert_eq!(numbers(&path).expect("it is readable").len(), keep);
        }
    }
}
