//! What is wrong with a config, and how it is told.

use std::fmt;

/// One mistake (or, in [`Loaded::warnings`](super::Loaded::warnings), one warning).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file; or `variable NAME` or `--set`, when the value came from there.
    pub file: String,
    /// From 1; `None` outside files, and where the line is not known.
    pub line: Option<usize>,
    /// In characters, from 1; `None` where the line is, and where only that is known.
    pub column: Option<usize>,
    /// The full key: `sinks.network.adress`. Empty for the whole file.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would have been right: `one of: a, b`.
    pub expected: Option<String>,
    /// The valid name nearest to what was written.
    pub nearest: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "\n    expected {expected}")?;
        }
        match &self.nearest {
            Some(nearest) => write!(f, "\n    did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}
