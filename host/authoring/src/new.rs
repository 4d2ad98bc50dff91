//! New projects, and what Copal keeps in them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, Language, Name, Result, embedded};

/// The version of Copal, which is that of the SDK and the contract too.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The folder of a project that holds the contract and the SDK.
const COPY: &str = "copal";

/// By this file a folder `copal` is known to be one that [`create`] made.
const MARK: &str = "wit/world.wit";

/// A project to be made.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// Where: a folder that is empty or not there yet.
    pub directory: &'a Path,
    /// What the plugin is called.
    pub name: &'a Name,
    /// What it is written in.
    pub language: Language,
}

/// A project that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Where it is.
    pub directory: PathBuf,
    /// The author's own files in it; all others are in `copal/`.
    pub files: Vec<String>,
}

/// A project whose `copal/` was written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The folder.
    pub directory: PathBuf,
    /// What the project is written in.
    pub language: Language,
    /// The version of Copal that it now is of.
    pub version: &'static str,
}

/// Writes a project that builds and passes its tests as it is, in Python and JavaScript once their compiler is installed.
pub fn create(new: &New<'_>) -> Result<Created> {
    let there = fs::symlink_metadata(new.directory).is_ok();
    let empty = || fs::read_dir(new.directory).is_ok_and(|mut entries| entries.next().is_none());
    if there && !empty() {
        return Err(Error::Exists(new.directory.to_owned()));
    }
    write_copy(&new.directory.join(COPY), new.language)?;
    let mut files = Vec::new();
    for (path, content) in embedded::template(new.language) {
        write(&new.directory.join(path), &filled_in(content, new.name))?;
        files.push(path.to_owned());
    }
    Ok(Created {
        directory: new.directory.to_owned(),
        files,
    })
}

/// Writes the folder `copal/` of a project anew, with the contract and the SDK of this program. The author's own files stay as they are.
pub fn renew(directory: &Path) -> Result<Renewed> {
    let language = Language::of_project(directory)?;
    let copy = directory.join(COPY);
    if !copy.join(MARK).is_file() {
        return Err(Error::NoCopy(directory.to_owned()));
    }
    // Whole before the old one goes.
    let beside = tempfile::Builder::new()
        .prefix(".copal-")
        .tempdir_in(directory)
        .map_err(Error::file("write", directory))?;
    let (fresh, old) = (beside.path().join("new"), beside.path().join("old"));
    write_copy(&fresh, language)?;
    fs::rename(&copy, &old).map_err(Error::file("write", &copy))?;
    if let Err(error) = fs::rename(&fresh, &copy) {
        // What can't be put back either goes with the folder beside.
        fs::rename(&old, &copy).ok();
        return Err(Error::file("write", &copy)(error));
    }
    Ok(Renewed {
        directory: copy,
        language,
        version: VERSION,
    })
}

fn write_copy(folder: &Path, language: Language) -> Result<()> {
    for (path, content) in embedded::copal(language) {
        write(&folder.join(path), content)?;
    }
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::file("write", parent))?;
    }
    fs::write(path, content).map_err(Error::file("write", path))
}

/// A template's file for this plugin. What is not text stays as it is.
fn filled_in(content: &[u8], name: &Name) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(content) else {
        return content.to_owned();
    };
    [
        ("{{publisher}}", name.publisher()),
        ("{{name}}", name.name()),
        ("{{name_}}", &name.name().replace('-', "_")),
        ("{{Name}}", &name.type_name()),
        ("{{version}}", VERSION),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (marker, value)| {
        text.replace(marker, value)
    })
    .into_bytes()
}

#[cfg(test)]
mod tests;
