//! Which overlay, variable and setting belongs to which file.

use std::path::{Path, PathBuf};

use super::LoadOptions;
use super::actors::is_name;
use super::load::PROCESS_TABLES;
use super::mistake::Mistake;
use super::report::Report;
use super::tree::{File, Layers, Setting, key_of};
use super::url::without_secrets;

/// A file and everything that is laid over it.
pub(super) struct Sheet {
    pub(super) path: PathBuf,
    name: String,
    pub(super) layers: Layers,
}

/// All files with what belongs to each.
pub(super) struct Plan {
    pub(super) pipelines: Vec<Sheet>,
    /// The process-wide settings, unless they stand in the file of the only pipeline.
    pub(super) process: Option<Sheet>,
}

impl Plan {
    /// Reads all files and deals out what is laid over them.
    pub(super) fn new(files: &[PathBuf], options: &LoadOptions, mistakes: &mut Vec<Mistake>) -> Self {
        if files.is_empty() {
            mistakes.push(Report::new("config").at("", "no pipeline file is given"));
        }
        let mut plan = Self {
            pipelines: Vec::new(),
            process: None,
        };
        plan.pipelines
            .extend(files.iter().filter_map(|path| sheet(path, mistakes)));
        plan.process = match &options.process {
            Some(path) => sheet(path, mistakes),
            None if files.len() > 1 => Some(Sheet {
                path: "--process".into(),
                name: String::new(),
                layers: Layers::default(),
            }),
            None => None,
        };
        if plan.pipelines.len() == files.len() {
            plan.lay(options, mistakes);
        }
        plan
    }

    fn lay(&mut self, options: &LoadOptions, mistakes: &mut Vec<Mistake>) {
        for overlay in &options.overlays {
            let (pipeline, path) = prefix(overlay);
            match (self.target(pipeline, "", "--overlay"), File::read(Path::new(path))) {
                (Ok(sheet), Ok(file)) => sheet.layers.files.push(file),
                (target, file) => mistakes.extend(target.err().into_iter().chain(file.err()).map(|mistake| *mistake)),
            }
        }
        for (variable, value) in &options.variables {
            let Some(key) = key_of(variable) else { continue };
            match self.target(None, &key, &format!("variable {variable}")) {
                Ok(sheet) => sheet.layers.variables.push((variable.clone(), value.clone())),
                Err(mistake) => mistakes.push(*mistake),
            }
        }
        for setting in &options.settings {
            let Some((key, value)) = setting.split_once('=') else {
                let mut mistake = Report::new("--set").at("", format!("`{}` has no `=`", without_secrets(setting)));
                mistake.expected("key=value");
                mistakes.push(mistake);
                continue;
            };
            let (pipeline, key) = prefix(key);
            match self.target(pipeline, key, "--set") {
                Ok(sheet) => sheet.layers.settings.push(Setting {
                    key: key.trim().into(),
                    value: value.trim().into(),
                }),
                Err(mistake) => mistakes.push(*mistake),
            }
        }
    }

    /// The sheet that `key` belongs to.
    fn target(&mut self, pipeline: Option<&str>, key: &str, file: &str) -> Result<&mut Sheet, Box<Mistake>> {
        let names: Vec<String> = self.pipelines.iter().map(|sheet| sheet.name.clone()).collect();
        let names = names.iter().map(String::as_str);
        let report = Report::new(file);
        let table = key.split('.').next().unwrap_or_default();
        match (pipeline, &mut self.process, self.pipelines.as_mut_slice()) {
            (None, Some(process), _) if PROCESS_TABLES.contains(&table) => Ok(process),
            (None, _, [only]) => Ok(only),
            (None, _, _) => {
                let mut mistake = report.at(key, "does not say which of the pipelines it is for");
                mistake.one_of(names, "");
                Err(Box::new(mistake))
            }
            (Some(name), _, pipelines) => match pipelines.iter_mut().find(|sheet| sheet.name == name) {
                Some(sheet) => Ok(sheet),
                None => {
                    let mut mistake = report.at(key, format!("no pipeline is called `{name}`"));
                    mistake.one_of(names, name);
                    Err(Box::new(mistake))
                }
            },
        }
    }
}

/// Splits `PIPELINE:` off.
fn prefix(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((name, rest)) if is_name(name, "_-") => (Some(name), rest),
        _ => (None, text),
    }
}

fn sheet(path: &Path, mistakes: &mut Vec<Mistake>) -> Option<Sheet> {
    match File::read(path) {
        Ok(file) => {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let name = file.text_of("name").map_or(stem, str::to_owned);
            Some(Sheet {
                path: path.to_owned(),
                name,
                layers: Layers {
                    files: vec![file],
                    ..Layers::default()
                },
            })
        }
        Err(mistake) => {
            mistakes.push(*mistake);
            None
        }
    }
}
