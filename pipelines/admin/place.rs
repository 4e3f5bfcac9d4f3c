//! Where admin sockets and reports are, whose they are, and who may look at them.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// The longest path of a Unix socket, in bytes (`sun_path` with its NUL, unix(7)).
const SOCKET_PATH_MAX: usize = 107;

/// Where the socket of a pipeline is, unless `[admin] socket` says otherwise: `$XDG_RUNTIME_DIR/aqueduct/NAME.sock`, or
/// `/tmp/aqueduct-UID/NAME.sock` without that variable. A name too long for the path of a socket is there by its hash.
pub(crate) fn path(pipeline: &str) -> PathBuf {
    let path = folder().join(format!("{pipeline}.sock"));
    if path.as_os_str().len() <= SOCKET_PATH_MAX {
        return path;
    }
    folder().join(format!("{:016x}.sock", hash(pipeline)))
}

/// FNV-1a: the same in every version of the program.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The folder of the sockets of this user's pipelines.
pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(runtime) if !runtime.is_empty() => PathBuf::from(runtime).join("aqueduct"),
        _ => std::env::temp_dir().join(format!("aqueduct-{}", user())),
    }
}

/// Who we are.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Makes a folder for what only its owner may see. The usual one must be ours, no link, and is made 0700 where it is laxer; one that a config names
/// may also be root's.
///
/// # Errors
/// With what to do, when it cannot be made, or belongs to somebody else.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let open = open(path)?;
    let stat = rustix::fs::fstat(&open)?;
    let usual = path == folder();
    if stat.st_uid != user() && (usual || stat.st_uid != 0) {
        return Err(somebody_elses(path, stat.st_uid));
    }
    if usual && stat.st_mode & 0o077 != 0 {
        rustix::fs::fchmod(&open, Mode::RWXU)?;
    }
    Ok(())
}

/// Whether the usual folder, if it is there, is ours: what is in somebody else's is not read.
pub(crate) fn trusted() -> io::Result<()> {
    let path = folder();
    match open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(open) => match rustix::fs::fstat(&open)?.st_uid {
            owner if owner == user() => Ok(()),
            owner => Err(somebody_elses(&path, owner)),
        },
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn somebody_elses(path: &Path, owner: u32) -> io::Error {
    let text = format!("{} belongs to user {owner}", path.display());
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

/// Whether a user's files and sockets are believed: our own, root's, and everybody's by root.
fn believed(owner: u32) -> bool {
    owner == user() || owner == 0 || user() == 0
}

/// That a file is of somebody who is believed.
///
/// # Errors
/// When it is somebody else's, or cannot be looked at.
pub(crate) fn believe_file(path: &Path) -> io::Result<()> {
    let owner = std::fs::symlink_metadata(path)?.uid();
    if believed(owner) {
        Ok(())
    } else {
        Err(somebody_elses(path, owner))
    }
}

/// The process that listens at the other end, if it is of somebody who is believed (`SO_PEERCRED`, unix(7)).
///
/// # Errors
/// When it is somebody else's.
pub(crate) fn believe_peer(stream: &UnixStream) -> io::Result<u32> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    let owner = peer.uid.as_raw();
    if !believed(owner) {
        let text = format!("user {owner} listens there, whose answer is not believed");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(peer.pid.as_raw_nonzero().get().unsigned_abs())
}
