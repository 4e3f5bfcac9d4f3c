//! Where the reports about connections are kept: one bounded file per pipeline, written on the system's own thread.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::admin;
use crate::framework::config::AdminConfig;
use crate::framework::flight::{Journal, JournalFile};

/// How long the last reports may take to be written at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the files are called behind their pipeline's name.
const ENDING: &str = "reports";

/// The file of a pipeline's reports.
pub(crate) fn path(folder: Option<&Path>, pipeline: &str) -> PathBuf {
    let folder = folder.map_or_else(admin::folder, Path::to_owned);
    folder.join(format!("{pipeline}.{ENDING}"))
}

/// Every file of reports in the folder, by pipeline, sorted.
pub(crate) fn all(folder: Option<&Path>) -> Vec<PathBuf> {
    let folder = folder.map_or_else(admin::folder, Path::to_owned);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == ENDING));
    paths.sort();
    paths
}

/// The task that writes the reports of one pipeline.
pub(crate) struct Writer(JoinHandle<()>);

impl Writer {
    /// Waits until the last report is written. To be called when the pipeline has ended and nobody writes any more.
    pub(crate) async fn finish(self) {
        // Reports are told in the log too, so what is not written in time is not worth waiting for.
        let _ = tokio::time::timeout(LAST_WORDS, self.0).await;
    }
}

/// Keeps a pipeline's reports. A file that cannot be opened or written is said once: the pipeline runs without.
pub(crate) fn keep(pipeline: &str, config: &AdminConfig) -> (Journal, Writer) {
    let path = path(config.reports.as_deref(), pipeline);
    let max_bytes = config.reports_bytes.bytes();
    let pipeline = pipeline.to_owned();
    let (journal, mut reports) = Journal::new();
    let writer = actix_rt::spawn(async move {
        let opened = path
            .parent()
            .map_or(Ok(()), admin::make_private)
            .and_then(|()| JournalFile::open(&path, max_bytes));
        let mut file = opened.inspect_err(|error| warn(&pipeline, &path, error)).ok();
        let mut said = false;
        while let Some(report) = reports.recv().await {
            if let Some(Err(error)) = file.as_mut().map(|file| file.append(&report))
                && !std::mem::replace(&mut said, true)
            {
                warn(&pipeline, &path, &error);
            }
        }
    });
    (journal, Writer(writer))
}

fn warn(pipeline: &str, path: &Path, error: &std::io::Error) {
    tracing::warn!(
        pipeline,
        "reports about connections are not kept in {}: {error}; `aqueduct explain` will miss them; `[admin] reports` or XDG_RUNTIME_DIR names another folder",
        path.display()
    );
}
