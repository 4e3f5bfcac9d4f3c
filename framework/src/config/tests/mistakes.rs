//! Every class of mistake has a small file in `cases/`, and beside it the exact text that is told.
//! `NAME.second.toml` is a second pipeline of the same process.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::catalog::Fake;
use crate::config::{LoadOptions, Mistake, load};

/// What `aqueduct check` would print.
fn told(files: &[PathBuf]) -> String {
    let mistakes = match load(files, &LoadOptions::default(), &Fake) {
        Ok(loaded) => loaded.warnings,
        Err(mistakes) => mistakes,
    };
    mistakes.iter().fold(String::new(), |mut text, mistake: &Mistake| {
        writeln!(text, "{mistake}").unwrap();
        text
    })
}

#[test]
fn every_mistake_is_told_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/cases");
    let mut wrong = String::new();
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let expected = entry.unwrap().path();
        if expected.extension().is_none_or(|extension| extension != "expected") {
            continue;
        }
        let second = expected.with_extension("second.toml");
        let first = ["toml", "yaml", "json"].map(|extension| expected.with_extension(extension));
        let files: Vec<PathBuf> = first.into_iter().chain([second]).filter(|file| file.exists()).collect();
        let told = told(&files).replace(&format!("{}/", folder.display()), "");
        if told != std::fs::read_to_string(&expected).unwrap() {
            writeln!(wrong, "--- {}\n{told}", expected.display()).unwrap();
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "told otherwise:\n{wrong}");
    assert!(count > 30, "the cases are not where they were: {}", folder.display());
}
