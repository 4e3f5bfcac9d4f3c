//! Waiting for the last message, with the live line of act 3.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::runner::Running;
use super::{Done, PipelineStatus, Sample, Screen, Script, Server, number};
use crate::commands::demo::destination::{Mood, Progress};
use crate::terminal;
use crate::words::{bytes, count};

/// How often the live line is renewed.
const GLANCE: Duration = Duration::from_millis(100);
/// Rates are means over this many glances.
const SMOOTH: usize = 10;
/// Characters of the bar.
const BAR: usize = 24;

/// Waits until the server has ended and its last message has arrived; gives up, so that the losses can be counted, when nothing
/// arrives for the script's patience.
///
/// # Errors
/// When the server does not end, or the pipeline ends by itself.
pub(super) fn until_arrived(
    screen: &mut Screen,
    script: &Script,
    server: &mut Server,
    running: &Running<'_>,
    destination: &Progress,
) -> Result<Done, String> {
    let began = Instant::now();
    let mut line = Line::new(script, began);
    let (mut arrived, mut moved) = (0, began);
    while !running.is_over() {
        server.listen();
        if destination.last_number() > arrived {
            (arrived, moved) = (destination.last_number(), Instant::now());
        }
        line.draw(
            screen,
            &Sample::default().take(&running.view),
            destination,
            server.done.is_some(),
        );
        match &server.done {
            Some(done) if arrived >= done.sent_messages => return Ok(done.clone()),
            Some(done) if moved.elapsed() > script.patience => {
                return Ok(done.clone());
            }
            // It ends behind `push`, once its client has read everything.
            None if began.elapsed() > script.push + script.patience => return server.finish(Duration::ZERO),
            _ => {}
        }
        sleep(GLANCE);
    }
    Err("the pipeline ended by itself".to_owned())
}

struct Line {
    began: Instant,
    /// What the whole bar stands for, in bytes.
    whole: f64,
    mood: Option<Mood>,
    /// The last moments: when, bytes from the server, bytes at the destination.
    moments: Vec<(Instant, u64, u64)>,
}

impl Line {
    fn new(script: &Script, began: Instant) -> Self {
        Self {
            began,
            whole: script.expected_backlog(),
            mood: None,
            moments: vec![(began, 0, 0)],
        }
    }

    fn draw(&mut self, screen: &mut Screen, status: &PipelineStatus, destination: &Progress, ended: bool) {
        let now = (
            Instant::now(),
            number(status, "c_server", "bytes_out"),
            destination.bytes(),
        );
        self.moments.push(now);
        if self.moments.len() > SMOOTH {
            self.moments.remove(0);
        }
        let (then, read_then, taken_then) = self.moments[0];
        let seconds = now.0.duration_since(then).as_secs_f64().max(0.001);
        let read = now.1.saturating_sub(read_then) as f64 / seconds;
        let taken = now.2.saturating_sub(taken_then) as f64 / seconds;

        let mood = destination.mood();
        if self.mood.replace(mood).is_some_and(|before| before != mood) {
            // The last line of each mood stays.
            screen.end_line();
        }
        let waiting = number(status, "drain", "waiting_frames");
        let on_disk = number(status, "drain", "disk_bytes");
        let glance = Glance {
            seconds: self.began.elapsed().as_secs_f64(),
            server: if ended { "server ended " } else { "server pushes" },
            read: format!("{}/s", bytes(read)),
            share: now.1.saturating_sub(now.2) as f64 / self.whole,
            waiting: count(waiting as f64),
            on_disk: bytes(on_disk as f64),
            taken: format!("{}/s", bytes(taken)),
            mood,
        };
        // Two columns stand before it.
        screen.progress(&glance.fitted(screen.live_columns().saturating_sub(2)));
    }
}

/// What one live line shows.
struct Glance {
    seconds: f64,
    server: &'static str,
    read: String,
    share: f64,
    waiting: String,
    on_disk: String,
    taken: String,
    mood: Mood,
}

impl Glance {
    /// The most telling line that so many columns have room for: words are the first to go, then the bar, then the server; what is on disk, and the
    /// destination, always stay. Of the same width whatever the destination does, so that it does not change its form with that.
    fn fitted(&self, columns: usize) -> String {
        let Self {
            seconds,
            server,
            read,
            waiting,
            on_disk,
            taken,
            ..
        } = self;
        let bar = bar(self.share);
        let (long, short) = words(self.mood);
        let lines = [
            format!(
                "{seconds:4.1} s  {server} {read:>9} > {bar} {waiting:>7} waiting, {on_disk:>8} on disk > {taken:>9}  destination {long:<7}"
            ),
            format!(
                "{seconds:4.1} s  {read:>9} > {bar} {waiting:>7} waiting, {on_disk:>8} on disk > {taken:>9}  {short:<6}"
            ),
            format!("{seconds:4.1} s  {read:>9} > {waiting:>7} waiting, {on_disk:>8} on disk > {taken:>9}  {short:<6}"),
            format!("{seconds:4.1} s  {waiting:>7} waiting, {on_disk:>8} on disk > {taken:>9}  {short:<6}"),
            format!("{seconds:4.1} s  {waiting:>7}, {on_disk:>8} on disk > {taken:>9}  {short:<6}"),
        ];
        let [.., last] = &lines;
        let fitting = lines.iter().find(|line| terminal::width(line) <= columns);
        fitting.unwrap_or(last).clone()
    }
}

/// A bar that is full at 1.
fn bar(share: f64) -> String {
    let full = ((share * BAR as f64).round() as usize).min(BAR);
    format!("[{}{}]", "#".repeat(full), ".".repeat(BAR - full))
}

/// The destination's state, in a clause and in a word.
fn words(mood: Mood) -> (&'static str, &'static str) {
    match mood {
        Mood::Reading | Mood::Stalled | Mood::Slow => ("is slow", "slow"),
        Mood::Leaving => ("leaves", "leaves"),
        Mood::Away => ("is away", "away"),
        Mood::Back => ("is back", "back"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_and_destination_are_seen_at_any_width() {
        let glance = Glance {
            seconds: 23.4,
            server: "server pushes",
            read: "999.9 MB/s".to_owned(),
            share: 0.5,
            waiting: "999.9 k".to_owned(),
            on_disk: "999.9 MB".to_owned(),
            taken: "999.9 MB/s".to_owned(),
            mood: Mood::Leaving,
        };
        for columns in 58..200 {
            let line = glance.fitted(columns);
            assert!(terminal::width(&line) <= columns, "{columns}: {line}");
            assert!(
                line.contains("999.9 MB on disk > 999.9 MB/s") && line.trim_end().ends_with("leaves"),
                "{line}"
            );
        }
        assert_eq!(
            glance.fitted(58),
            "23.4 s  999.9 k, 999.9 MB on disk > 999.9 MB/s  leaves"
        );
    }

    #[test]
    fn the_bar_stays_within_its_frame() {
        assert_eq!(bar(0.0), format!("[{}]", ".".repeat(BAR)));
        assert_eq!(bar(7.0), format!("[{}]", "#".repeat(BAR)));
        assert_eq!(bar(0.5).matches('#').count(), BAR / 2);
    }
}
