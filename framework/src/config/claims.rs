//! What may be had only once in a process: a pipeline's name, an address to listen on, a path to write.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::actors::Actor;
use super::host::HostConfig;
use super::listened::Listened;
use super::mistake::Mistake;
use super::report::{Report, join};

/// Something wanted for oneself, and the mistake it is when somebody else has it.
#[derive(Debug)]
pub(super) struct Claim {
    thing: Thing,
    mistake: Mistake,
}

#[derive(Debug, PartialEq)]
enum Thing {
    Name(String),
    Address(Listened),
    /// As it was given, and where that is.
    Path(PathBuf, PathBuf),
}

/// The claims of a pipeline and its actors.
pub(super) fn of(name: &str, actors: &[Actor], report: &Report) -> Vec<Claim> {
    let mut claims = vec![Claim {
        thing: Thing::Name(name.to_owned()),
        mistake: report.at("name", ""),
    }];
    for actor in actors {
        let Some(config) = &actor.config else { continue };
        let mut claim = |name: &str, thing: Thing| {
            claims.push(Claim {
                thing,
                mistake: report.at(&join(&actor.key, name), ""),
            });
        };
        if let HostConfig::Spill(spill) = &config.host {
            claim("directory", Thing::path(&spill.directory));
        }
        let Some(info) = &actor.info else { continue };
        let text = |name: &str| config.settings.get(name).and_then(Value::as_str).map(str::to_owned);
        for name in &info.listens {
            text(name)
                .into_iter()
                .for_each(|address| claim(name, Thing::Address(Listened::of(address))));
        }
        for name in &info.paths {
            text(name)
                .into_iter()
                .for_each(|path| claim(name, Thing::path(Path::new(&path))));
        }
    }
    claims
}

/// A mistake for every claim to what an earlier one has.
pub(super) fn conflicts(claims: &[Claim]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (index, claim) in claims.iter().enumerate() {
        if let Some(first) = claims[..index].iter().find(|first| first.thing.excludes(&claim.thing)) {
            let owner = &first.mistake;
            let elsewhere = if owner.file == claim.mistake.file {
                String::new()
            } else {
                format!(" in {}", owner.file)
            };
            let message = match &claim.thing {
                Thing::Name(name) => format!("`{name}` is already the name of the pipeline{elsewhere}"),
                Thing::Address(Listened { text, .. }) => {
                    let listens = format!("is already listened on by {}{elsewhere}", owner.key);
                    match &first.thing {
                        Thing::Address(all) if all.text != *text => format!("{text} {listens}, with {}", all.text),
                        _ => format!("{text} {listens}"),
                    }
                }
                Thing::Path(path, real) => {
                    let linked = if first.thing.is_named(path) {
                        String::new()
                    } else {
                        format!(", through a symbolic link: both are {}", real.display())
                    };
                    format!("the same path is used by {}{elsewhere}{linked}", owner.key)
                }
            };
            mistakes.push(Mistake {
                message,
                ..claim.mistake.clone()
            });
        }
    }
    mistakes
}

impl Thing {
    fn path(path: &Path) -> Self {
        Self::Path(path.to_owned(), real(path))
    }

    fn is_named(&self, other: &Path) -> bool {
        matches!(self, Self::Path(path, _) if path == other)
    }

    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address(one), Self::Address(other)) => one.overlaps(other),
            (Self::Path(_, one), Self::Path(_, other)) => one == other,
            _ => self == other,
        }
    }
}

/// The path without symbolic links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(above), Some(name)) => real(above).join(name),
        (Err(_), ..) => path.to_owned(),
    }
}
