//! Whether what the pipelines may have open at once is more than the process may: files and sockets count together.

use super::Catalog;
use super::actors::Actor;
use super::host::HostConfig;
use super::mistake::Mistake;
use super::pipeline::Role;
use super::report::Report;

/// Of the process itself: its threads' event queues, the admin sockets, the log, name servers.
const OF_THE_PROCESS: u64 = 64;

/// Of a store: the lock, cursors, two segments, the side file that is written just now, and those in reserve.
const OF_A_STORE: u64 = 16;

/// What an actor may have open.
#[derive(Debug)]
pub(super) struct Need {
    files: u64,
    /// The warning that it is too much, without its words.
    mistake: Mistake,
}

/// What the actors of a pipeline without mistakes may have open.
pub(super) fn of(actors: &[Actor], catalog: &dyn Catalog, report: &Report) -> Vec<Need> {
    let configured = actors.iter().filter_map(|actor| Some((actor, actor.config.as_ref()?)));
    let needs = configured.map(|(actor, config)| {
        let plugin = |role| catalog.open_files(role, &config.plugin, &config.settings);
        let files = match &config.host {
            HostConfig::Source(_) => plugin(Role::Source),
            HostConfig::Sink(_) => plugin(Role::Sink),
            HostConfig::Processor(_) => 0,
            HostConfig::Spill(spill) if spill.retain_bytes.is_some() => OF_A_STORE + u64::from(spill.max_cursors),
            HostConfig::Spill(_) => OF_A_STORE,
        };
        Need {
            files,
            mistake: report.at(&actor.key, ""),
        }
    });
    needs.collect()
}

/// A warning at the actor that may have the most open, when all together are more than the process may have.
pub(super) fn warning(needs: &[Need], limit: u64) -> Option<Mistake> {
    let sum = needs
        .iter()
        .map(|need| need.files)
        .fold(OF_THE_PROCESS, u64::saturating_add);
    let most = needs.iter().max_by_key(|need| need.files).filter(|_| sum > limit)?;
    let message = format!(
        "{} files and sockets may be open here and {sum} in all, but the process may open {limit} (`ulimit -Hn`): connections past that wait until others are closed",
        most.files
    );
    let mut warning = Mistake {
        message,
        ..most.mistake.clone()
    };
    warning.expected(format!(
        "a limit of {sum} or more (`ulimit -n {sum}`, or LimitNOFILE={sum} of its service), or fewer connections (max_connections, max_clients, max_streams)"
    ));
    Some(warning)
}
