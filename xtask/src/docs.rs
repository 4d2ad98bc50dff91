//! `cargo xtask docs`: the book's reference, written from `wit/`, and what keeps the book from rotting.

mod contract;
mod explained;
mod links;
mod markdown;
mod translations;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{command, workspace};

/// Where the reference of the contract lies.
const CONTRACT: &str = "docs/src/reference/contract";

/// `cargo xtask docs [--check]`
pub(crate) fn task(arguments: &[String]) -> Result<()> {
    match arguments {
        [] => write(),
        [check] if check == "--check" => check_all(),
        [other, ..] => bail!("unknown argument `{other}`"),
    }
}

/// Writes the reference, and removes pages of interfaces that are gone.
fn write() -> Result<()> {
    command::stage("Writing the reference of the contract", || {
        let folder = workspace::root().join(CONTRACT);
        let pages = contract::pages(&workspace::root().join("wit"))?;
        fs::create_dir_all(&folder)?;
        for present in present(&folder)?.keys() {
            if !pages.contains_key(present) {
                fs::remove_file(folder.join(present))?;
            }
        }
        for (name, text) in &pages {
            workspace::write_atomically(&folder.join(name), text.as_bytes())?;
            println!("    {CONTRACT}/{name}");
        }
        Ok(())
    })
}

/// Fails where the book disagrees with what it is about, and names every place.
fn check_all() -> Result<()> {
    command::stage("Checking the book", || {
        let root = workspace::root();
        let mut faults = stale()?;
        faults.extend(links::faults(&root)?);
        faults.extend(explained::faults(&root)?);
        faults.extend(translations::faults(&root)?);
        if !faults.is_empty() {
            bail!("the book needs mending:\n  {}", faults.join("\n  "));
        }
        Ok(())
    })
}

/// Pages of the contract that are not what `wit/` says.
fn stale() -> Result<Vec<String>> {
    let written = contract::pages(&workspace::root().join("wit"))?;
    let present = present(&workspace::root().join(CONTRACT))?;
    let differs = |name: &&String| written.get(*name) != present.get(*name);
    let mut names: Vec<&String> = written
        .keys()
        .chain(present.keys())
        .filter(differs)
        .collect();
    names.sort();
    names.dedup();
    Ok(names
        .into_iter()
        .map(|name| format!("{CONTRACT}/{name} is not what wit/ says: run `cargo xtask docs`"))
        .collect())
}

/// The files right in a folder, by name; none where there is no such folder.
fn present(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            files.insert(name, fs::read_to_string(entry.path())?);
        }
    }
    Ok(files)
}

/// The files beneath a folder whose names end so, sorted.
fn files_beneath(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("cannot list {}", workspace::shown(&folder)))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
