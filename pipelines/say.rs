//! What commands print. The macros of the standard library panic where nothing can be written: a full device, a pipe that nobody reads.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

use crate::commands::FAILED;
use crate::terminal::{self, Fitted};

/// A line on standard error, wrapped between words where that is a terminal. Nobody is left to tell when that takes nothing, so it is no failure.
macro_rules! say {
    ($($what:tt)*) => { crate::say::to_stderr(format_args!($($what)*)) };
}

/// A line on standard output, which is what the command is for: when it cannot be written the command ends.
macro_rules! show {
    () => { crate::say::to_stdout(format_args!("\n")) };
    ($($what:tt)*) => { crate::say::to_stdout(format_args!("{}\n", format_args!($($what)*))) };
}

/// The same, wrapped between words where it goes to a terminal.
macro_rules! tell {
    ($($what:tt)*) => { crate::say::to_stdout_fitted(format_args!("{}\n", format_args!($($what)*))) };
}

/// The same as `show`, without the end of the line.
macro_rules! show_as_is {
    ($($what:tt)*) => { crate::say::to_stdout(format_args!($($what)*)) };
}

pub(crate) use {say, show, show_as_is, tell};

pub(crate) fn to_stderr(what: Arguments<'_>) {
    let out = io::stderr();
    let columns = terminal::columns_of(&out);
    let _ = writeln!(Fitted::new(out, columns), "{what}");
}

pub(crate) fn to_stdout(what: Arguments<'_>) {
    write(io::stdout(), what);
}

pub(crate) fn to_stdout_fitted(what: Arguments<'_>) {
    write(Fitted::new(io::stdout(), terminal::columns()), what);
}

fn write(mut out: impl Write, what: Arguments<'_>) {
    let Err(error) = out.write_fmt(what).and_then(|()| out.flush()) else {
        return;
    };
    // A reader that has seen enough, such as `head`, needs no word.
    if error.kind() != ErrorKind::BrokenPipe {
        to_stderr(format_args!("cannot write to standard output: {error}"));
    }
    std::process::exit(i32::from(FAILED));
}
