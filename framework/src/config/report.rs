//! Where values came from, and the mistakes found in them.

use std::collections::{BTreeMap, BTreeSet};

use super::mistake::Mistake;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// What [`Mistake::file`] says.
    pub(super) file: String,
    /// Line and column, from 1.
    pub(super) spot: Option<(usize, usize)>,
    /// What kind of place it is.
    pub(super) kind: PlaceKind,
}

/// What a value's place means for reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaceKind {
    /// In a file: text may hold `${VAR}`, and has the type it was written with.
    File,
    /// On the command line: nothing is replaced, and it has the type it was written with.
    Setting,
    /// In a variable, at least in part: always text, read as whatever type the key wants.
    Variable,
}

/// The place of every key.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    places: BTreeMap<String, Place>,
    /// Keys whose text has a `$` in it that nothing was put in for.
    loose_dollars: BTreeSet<String>,
}

impl Places {
    /// Says where `key` came from, unless that is known.
    pub(super) fn first(&mut self, key: &str, place: Place) {
        self.places.entry(key.to_owned()).or_insert(place);
    }

    /// Says that the value of `key` is from here now.
    pub(super) fn replace(&mut self, key: &str, place: Place) {
        self.places.insert(key.to_owned(), place);
    }

    /// The place of `key`, or of the nearest table around it.
    pub(super) fn at(&self, key: &str) -> Option<&Place> {
        let mut key = key;
        loop {
            if let Some(place) = self.places.get(key) {
                return Some(place);
            }
            key = &key[..key.rfind(['.', '['])?];
        }
    }

    /// Notes that the text of `key` has a `$` in it that nothing was put in for.
    pub(super) fn loose_dollar(&mut self, key: &str) {
        self.loose_dollars.insert(key.to_owned());
    }

    /// Whether that was noted.
    pub(super) fn has_loose_dollar(&self, key: &str) -> bool {
        self.loose_dollars.contains(key)
    }

    /// True when `key` itself was written somewhere, and is not left at its default.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// True when the value came, as text, from a variable.
    pub(super) fn is_from_variable(&self, key: &str) -> bool {
        self.at(key).is_some_and(|place| place.kind == PlaceKind::Variable)
    }
}

/// The mistakes of one file and what is laid over it.
#[derive(Debug)]
pub(super) struct Report {
    file: String,
    pub(super) places: Places,
    pub(super) mistakes: Vec<Mistake>,
}

impl Report {
    /// An empty report; `file` is the place of what has no other.
    pub(super) fn new(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            places: Places::default(),
            mistakes: Vec::new(),
        }
    }

    /// Adds a mistake at `key`; the caller may add what was expected.
    pub(super) fn add(&mut self, key: &str, message: impl Into<String>) -> &mut Mistake {
        let mistake = self.at(key, message);
        self.mistakes.push(mistake);
        let last = self.mistakes.len() - 1;
        &mut self.mistakes[last]
    }

    /// A mistake at `key` that is not counted.
    pub(super) fn at(&self, key: &str, message: impl Into<String>) -> Mistake {
        let place = self.places.at(key);
        Mistake {
            file: place.map_or_else(|| self.file.clone(), |place| place.file.clone()),
            line: place.and_then(|place| place.spot).map(|(line, _)| line),
            column: place.and_then(|place| place.spot).map(|(_, column)| column),
            key: key.to_owned(),
            message: message.into(),
            expected: None,
            nearest: None,
        }
    }

    /// True when there is no mistake at `key` or inside it.
    pub(super) fn clean(&self, key: &str) -> bool {
        let inside = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
        !self
            .mistakes
            .iter()
            .any(|mistake| mistake.key.strip_prefix(key).is_some_and(inside))
    }

    /// All mistakes, in the order of the lines.
    pub(super) fn finish(mut self) -> Vec<Mistake> {
        let order = |a: &Mistake| (a.file.clone(), a.line, a.column, a.key.clone(), a.message.clone());
        self.mistakes.sort_by_key(order);
        self.mistakes.dedup();
        self.mistakes
    }
}

impl Mistake {
    /// Says what would have been right.
    pub(super) fn expected(&mut self, what: impl Into<String>) -> &mut Self {
        self.expected = Some(what.into());
        self
    }

    /// Says which names would have been right, and which of them is nearest to what was written.
    pub(super) fn one_of<'n>(&mut self, names: impl IntoIterator<Item = &'n str>, written: &str) -> &mut Self {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        self.nearest = nearest(&names, written);
        self.expected = match names.as_slice() {
            [] => None,
            [only] => Some(format!("`{only}`")),
            several => Some(format!("one of: {}", several.join(", "))),
        };
        self
    }
}

/// The name that differs from `written` in at most a third of its letters, if any.
pub fn nearest(names: &[&str], written: &str) -> Option<String> {
    let far = (written.chars().count() / 3).max(1);
    names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, written), name))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, name)| (*name).to_owned())
}

/// The full key of `name` in the table at `key`.
pub(super) fn join(key: &str, name: &str) -> String {
    if key.is_empty() {
        name.to_owned()
    } else {
        format!("{key}.{name}")
    }
}
