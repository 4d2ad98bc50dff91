//! What new projects are made of, as this program carries it.

use crate::Language;

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The files of a new project in this language, without those of `copal/`: paths and contents.
pub(crate) fn template(language: Language) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    beneath(format!(
        "template/{language}/",
        language = language.as_str()
    ))
}

/// The files of a project's folder `copal/`.
pub(crate) fn copal(language: Language) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    beneath("copal/all/".to_owned()).chain(beneath(format!("copal/{}/", language.as_str())))
}

fn beneath(folder: String) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    FILES
        .iter()
        .filter_map(move |(path, content)| Some((path.strip_prefix(&folder)?, *content)))
}
