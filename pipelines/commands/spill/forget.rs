//! `aqueduct spill DIR forget`: removes the cursor of a client; and how cursors are told.

use crate::say::say;
use std::io::Write;

use clap::Args;

use super::skip::open;
use super::{Done, Failure, counted, time_of};
use crate::commands::WRONG;
use crate::framework::spill::inspect::Inspection;
use crate::framework::spill::named::Recovered;
use crate::words;

#[derive(Debug, Args)]
pub(super) struct Forget {
    /// The cursor's name, as `info` shows it
    name: String,
}

impl Forget {
    pub(super) fn carry_out(&self, found: &Inspection, out: &mut dyn Write) -> Done {
        let name = &self.name;
        let mut storage = open(found)?;
        let forgotten = storage.forget_named(name)?;
        storage.close()?;
        if !forgotten {
            let names: Vec<&str> = found.cursors.iter().map(|cursor| &*cursor.name).collect();
            let known = match names.as_slice() {
                [] => "it has none".to_owned(),
                names => format!("it has {}", names.join(", ")),
            };
            say!("{}: there is no cursor `{name}`; {known}", found.path.display());
            return Ok(WRONG);
        }
        writeln!(
            out,
            "forgot {name}: frames that only it needed go at the next start; should its client come back, it begins anew"
        )?;
        Ok(0)
    }
}

/// The cursors of a store, each in a line.
pub(super) fn cursors(found: &Inspection, out: &mut dyn Write) -> Result<(), Failure> {
    if found.cursors.is_empty() {
        return Ok(());
    }
    let tail = found.tail()?;
    let count = counted(found.cursors.len() as u64, "named cursor");
    writeln!(out, "  {count}; the cursor above is what none of them needs any more")?;
    for cursor in &found.cursors {
        writeln!(out, "    {}", sentence(cursor, found.settled, tail))?;
    }
    Ok(())
}

/// `b: at 700, 3300 frames behind, 600 of them not retained, moved 3 h ago`
fn sentence(cursor: &Recovered, settled: u64, tail: u64) -> String {
    let Recovered {
        name, position, whole, ..
    } = cursor;
    let behind = counted(tail.saturating_sub(*position), "frame");
    let mut words = format!("{name}: at {position}, {behind} behind");
    if settled > *position {
        words += &format!(
            ", {} of them not retained",
            (settled - position).min(tail.saturating_sub(*position))
        );
    }
    if let Some(moved_ns) = cursor.moved_ns {
        let ago = time_of(moved_ns).elapsed().unwrap_or_default();
        words += &format!(", moved {} ago", words::time(ago.as_secs_f64()));
    }
    if !whole {
        words += "; its file is damaged, so frames may come again";
    }
    words
}
