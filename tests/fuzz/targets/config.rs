//! Config: whatever somebody writes into a pipeline's file.

use std::cell::RefCell;
use std::path::PathBuf;

use aqueduct::framework::config::{LoadOptions, load};
use aqueduct::framework::plugin::Registry;

struct Place {
    registry: Registry,
    folder: tempfile::TempDir,
}

thread_local! {
    static PLACE: RefCell<Place> = RefCell::new(Place::new());
}

impl Place {
    fn new() -> Self {
        let mut registry = Registry::default();
        aqueduct::plugins::register(&mut registry);
        let folder = tempfile::tempdir().expect("temporary folders can be made");
        Self { registry, folder }
    }

    fn load(&self, name: &str, text: &[u8], settings: Vec<String>) {
        let file: PathBuf = self.folder.path().join(name);
        std::fs::write(&file, text).expect("the folder is writable");
        let options = LoadOptions {
            settings,
            variables: vec![("HOME".to_owned(), "/home/somebody".to_owned())],
            ..LoadOptions::default()
        };
        match load(&[file], &options, &self.registry) {
            Ok(loaded) => assert_eq!(loaded.pipelines.len(), 1, "one file is one pipeline"),
            Err(mistakes) => assert!(!mistakes.is_empty(), "a refusal says why"),
        }
    }
}

/// The first byte chooses the form; what follows is the file. A part behind a zero byte is a `--set`.
pub(crate) fn config(data: &[u8]) {
    let [form, text @ ..] = data else { return };
    let name = ["p.toml", "p.yaml", "p.json"][usize::from(form % 3)];
    let mut parts = text.splitn(2, |byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let settings = parts.next().map(|set| String::from_utf8_lossy(set).into_owned());
    PLACE.with_borrow(|place| place.load(name, text, settings.into_iter().collect()));
}
