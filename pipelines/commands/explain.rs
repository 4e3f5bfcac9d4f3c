//! `aqueduct explain`: the last reports about connections, of pipelines that run and of those that have ended.

use crate::say::{say, show, tell};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;

use crate::commands::FAILED;
use crate::framework::flight::{JournalFile, Report};
use crate::{admin, reports, words};

/// Say why connections ended
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The pipeline's name; all of this user's without it
    pipeline: Option<String>,
    /// Show only so many of the newest reports
    #[arg(long, value_name = "N", default_value_t = 5)]
    last: usize,
    /// Print JSON, one report a line, with the history of each connection's last seconds
    #[arg(long)]
    json: bool,
    /// The folder of the reports, where `[admin] reports` sets another than the usual one
    #[arg(long, value_name = "FOLDER")]
    reports: Option<PathBuf>,
}

impl Explain {
    pub(crate) fn run(&self) -> ExitCode {
        let folder = self.reports.as_deref();
        if let (None, Err(error)) = (folder, admin::trusted()) {
            say!("{error}; nothing in it is believed, see XDG_RUNTIME_DIR and --reports");
            return ExitCode::from(FAILED);
        }
        let files = match &self.pipeline {
            Some(pipeline) => vec![reports::path(folder, pipeline)],
            None => reports::all(folder),
        };
        if files.is_empty() {
            let folder = folder.map_or_else(admin::folder, Path::to_owned);
            say!(
                "no reports in {}; where `[admin] reports` names another folder, so must --reports",
                folder.display()
            );
            return ExitCode::from(FAILED);
        }
        let (mut found, mut code) = (Vec::new(), ExitCode::SUCCESS);
        for file in &files {
            match admin::believe_file(file).and_then(|()| JournalFile::read(file)) {
                Ok((reports, unreadable)) => {
                    found.extend(in_order(reports));
                    if unreadable > 0 {
                        say!(
                            "{}: {unreadable} lines are no reports; a crash cut them short, or another version wrote them",
                            file.display()
                        );
                    }
                }
                Err(error) => {
                    say!(
                        "{}: {error}; no pipeline of this name has run here as this user",
                        file.display()
                    );
                    code = ExitCode::from(FAILED);
                }
            }
        }
        if found.is_empty() && code != ExitCode::SUCCESS {
            return code;
        }
        found.sort_by_key(|(at_ns, _)| *at_ns);
        let found: Vec<Report> = found.into_iter().map(|(_, report)| report).collect();
        let newest = &found[found.len().saturating_sub(self.last)..];
        if let Err(error) = self.print(newest) {
            say!("a report cannot be shown: {error}");
            return ExitCode::from(FAILED);
        }
        code
    }

    fn print(&self, reports: &[Report]) -> serde_json::Result<()> {
        if reports.is_empty() && !self.json {
            tell!("no connection has ended or failed yet");
        }
        for report in reports {
            let mut value = serde_json::to_value(report)?;
            if self.json {
                show!("{}", words::json(&value));
            } else {
                words::clean(&mut value);
                tell!("{}", text(&serde_json::from_value(value)?));
            }
        }
        Ok(())
    }
}

/// The reports of one file with the times to sort them by: what was written later is newer, also when the clock was set back in between.
fn in_order(reports: Vec<Report>) -> Vec<(u64, Report)> {
    let mut latest_ns = 0;
    let timed = reports.into_iter().map(|report| {
        latest_ns = report.at_ns.max(latest_ns);
        (latest_ns, report)
    });
    timed.collect()
}

fn text(report: &Report) -> String {
    let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(report.at_ns);
    let ago = at.elapsed().unwrap_or_default().as_secs_f64();
    let Report {
        pipeline,
        actor,
        peer,
        cause,
        sureness,
        ..
    } = report;
    let mut text = format!(
        "{}  {} ago  {pipeline}/{actor}  {peer}\n  {}\n  cause: {cause} ({sureness})",
        humantime::format_rfc3339_millis(at),
        words::time(ago),
        report.sentence
    );
    if report.count > 1 {
        text += &format!(", number {} of its kind in a row", report.count);
    }
    text.push('\n');
    for evidence in &report.evidence {
        text += &format!("  - {evidence}\n");
    }
    text + &format!("  what to do: {}\n", report.advice)
}
