//! Who uses a store, found out without asking for its lock: that could turn away a pipeline that starts at this very moment.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::spill::disk::{self, Disk};

/// Where the kernel lists the locks that are held (proc_locks(5)).
const LOCKS: &str = "/proc/locks";

/// A process that uses a store. One in another process id namespace, such as another container, is not seen: the kernel does not show
/// its locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id, as it noted it itself.
    pub process: Option<u32>,
}

impl Holder {
    /// The holder of the store in `folder`; where the kernel lists no locks, the process that noted its id last, if there is one of that id.
    pub(super) fn of(disk: &dyn Disk, folder: &Path) -> Option<Self> {
        let path = folder.join("lock");
        let inode = fs::metadata(&path).ok()?.ino();
        let noted = disk::read(disk, &path).unwrap_or_default();
        let process = String::from_utf8_lossy(&noted).trim().parse().ok();
        let held = match fs::read_to_string(LOCKS) {
            Ok(locks) => locks.lines().any(|line| is_lock_of(line, inode)),
            Err(_) => process.is_some_and(|id| Path::new("/proc").join(u32::to_string(&id)).exists()),
        };
        held.then_some(Self { process })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            Some(id) => write!(f, "process {id}"),
            None => f.write_str("another process"),
        }
    }
}

/// Devices are not compared: some file systems show another one there than to stat(2), and to take a store for used is the safe side.
fn is_lock_of(line: &str, inode: u64) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| *word != "FLOCK");
    let file = words.nth(4).and_then(|file| file.rsplit(':').next());
    file.and_then(|file| file.parse().ok()) == Some(inode)
}
