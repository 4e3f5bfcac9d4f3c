//! A terminal to run the program on: a real pseudo-terminal of a certain size, and what would be seen on it.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::picture::Picture;
use super::{Folder, wait_until};

/// The program with a terminal as its standard output and error.
pub(crate) struct OnTerminal {
    child: Child,
    terminal: OwnedFd,
    picture: Arc<Mutex<Picture>>,
    reader: Option<JoinHandle<()>>,
}

impl OnTerminal {
    /// Starts it on a terminal of so many columns and 40 rows.
    pub(crate) fn start(folder: &Folder, columns: u16, arguments: &[&str]) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let end = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        set_size(&terminal, columns);
        let child = Command::new(env!("CARGO_BIN_EXE_aqueduct"))
            .args(arguments)
            .current_dir(folder.path(""))
            .env("XDG_RUNTIME_DIR", folder.path(""))
            .env("TERM", "xterm-256color")
            .stdin(Stdio::null())
            .stdout(end.try_clone().unwrap())
            .stderr(end)
            .spawn()
            .unwrap();
        let picture = Arc::new(Mutex::new(Picture::new(usize::from(columns))));
        let (drawn, mut from) = (picture.clone(), std::fs::File::from(terminal.try_clone().unwrap()));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // EIO when the program has ended and nobody else has the other end.
            while let Ok(bytes @ 1..) = from.read(&mut buffer) {
                drawn.lock().unwrap().draw(&buffer[..bytes]);
            }
        });
        Self {
            child,
            terminal,
            picture,
            reader: Some(reader),
        }
    }

    /// What is seen now.
    pub(crate) fn picture(&self) -> MutexGuard<'_, Picture> {
        self.picture.lock().unwrap()
    }

    /// Somebody drags the window's edge.
    pub(crate) fn resize(&self, columns: u16) {
        let mut picture = self.picture();
        picture.resize(usize::from(columns));
        set_size(&self.terminal, columns);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        super::program::signal(&self.child, signal);
    }

    /// Waits for its end; gives the exit code, and all that was seen. With `fitting` no line may have been wider than the terminal.
    pub(crate) fn ended(mut self, fitting: bool) -> (Option<i32>, Vec<String>) {
        let status = wait_until("it ends", || self.child.try_wait().unwrap());
        self.reader.take().unwrap().join().unwrap();
        let lines = self.picture().lines();
        assert!(
            !(fitting && self.picture().overflowed()),
            "wider than the terminal: {lines:#?}"
        );
        (status.code(), lines)
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_size(terminal: &OwnedFd, columns: u16) {
    let size = Winsize {
        ws_row: 40,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}
