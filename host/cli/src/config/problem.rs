//! What is wrong with a file, and where.

use std::path::Path;

use serde::Serialize;

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// What it concerns can't be used.
    Error,
    /// It may be right, or become right; a person should look.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    pub(crate) level: Level,
    /// From 1 on.
    pub(crate) line: usize,
    /// In characters, from 1 on.
    pub(crate) column: usize,
    /// The place as a dotted key, such as `jobs.jpom.roots.home`; empty for the whole file.
    pub(crate) key: String,
    pub(crate) message: String,
    /// The place as a JSON Pointer.
    #[serde(skip)]
    pub(crate) pointer: String,
}

impl Problem {
    /// The problem as compilers write theirs: `FILE:LINE:COLUMN: error: KEY: MESSAGE`.
    pub(crate) fn line(&self, file: &Path) -> String {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let key = match self.key.as_str() {
            "" => String::new(),
            key => format!("{key}: "),
        };
        let (line, column) = (self.line, self.column);
        format!(
            "{}:{line}:{column}: {level}: {key}{}",
            file.display(),
            self.message
        )
    }

    /// Whether it concerns a job, or the whole file and so every job.
    pub(crate) fn concerns(&self, job: &str) -> bool {
        let mut path = self.pointer.split('/').skip(1);
        path.next() != Some("jobs") || path.next().is_none_or(|name| name == job)
    }
}

/// A JSON Pointer as a dotted key.
pub(super) fn dotted(pointer: &str) -> String {
    let bare = |key: &str| {
        !key.is_empty()
            && key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    let keys = pointer.split('/').skip(1).map(|key| {
        let key = key.replace("~1", "/").replace("~0", "~");
        if bare(&key) { key } else { format!("{key:?}") }
    });
    keys.collect::<Vec<_>>().join(".")
}
