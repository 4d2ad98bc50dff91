//! The languages that plugins are written in.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::{Error, Result};

/// A language that there is a template for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Rust, compiled by cargo.
    Rust,
    /// Python, made a component by componentize-py.
    Python,
    /// JavaScript, made a component by componentize-js.
    Javascript,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rust, Self::Python, Self::Javascript];

    /// The word for it on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Javascript => "javascript",
        }
    }

    /// The file by which a project of this language is known.
    pub fn manifest(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::Python => "pyproject.toml",
            Self::Javascript => "package.json",
        }
    }

    /// The language of the project in a folder: that of the first manifest in it, in the order of [`ALL`](Self::ALL).
    pub fn of_project(directory: &Path) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|language| directory.join(language.manifest()).is_file())
            .ok_or_else(|| Error::NotAProject(directory.to_owned()))
    }

    /// The words of all languages, for a message.
    pub(crate) fn known() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    /// The manifests of all languages, for a message.
    pub(crate) fn manifests() -> String {
        Self::ALL.map(Self::manifest).join(", ")
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Javascript => "JavaScript",
        })
    }
}

impl FromStr for Language {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.as_str() == word)
            .ok_or_else(|| Error::Language(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_a_project_is_told_by_its_files() {
        let place = tempfile::tempdir().unwrap();
        let error = Language::of_project(place.path()).unwrap_err();
        assert_eq!(error.kind(), "no-project");
        assert!(
            error
                .to_string()
                .contains("Cargo.toml, pyproject.toml, package.json"),
            "{error}"
        );
        // A later one does not hide an earlier: tools of another language may have their manifest beside the project's.
        for language in [Language::Javascript, Language::Python, Language::Rust] {
            std::fs::write(place.path().join(language.manifest()), "").unwrap();
            assert_eq!(Language::of_project(place.path()).unwrap(), language);
        }
    }

    #[test]
    fn every_language_is_read_back_from_its_word() {
        for language in Language::ALL {
            assert_eq!(language.as_str().parse::<Language>().unwrap(), language);
        }
        let error = "cobol".parse::<Language>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no language `cobol`: rust, python, javascript are known"
        );
    }
}
