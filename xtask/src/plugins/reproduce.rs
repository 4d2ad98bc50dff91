//! `cargo xtask plugins --reproduce`: the same plugins come out of the same sources in another place.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use copal_authoring::Toolchain;

use super::{Guest, PROFILE, components};
use crate::{command, workspace};

/// The plugin that takes the least time.
const SMALLEST: &str = "files";

/// What plugins are made of, copied.
const SOURCES: [&str; 3] = ["plugins", "sdk", "wit"];

/// What the workspace needs besides to be one; nothing of it goes into a plugin.
const REST: [&str; 6] = [
    "Cargo.toml",
    "Cargo.lock",
    "host",
    "rust-toolchain.toml",
    "tests",
    "xtask",
];

/// Builds plugins from a copy of the sources, at a path that differs in length and has a blank in it, into a target directory of its own, and
/// compares them with those that were just built. Only the macros, which run here and are in no plugin, are not compiled again.
pub(super) fn check(toolchain: Toolchain, which: Which) -> Result<()> {
    let place = workspace::target().join("reproduce");
    let copy = place.join("a copy of the sources");
    lay_out(&copy)?;
    let mut guests = Guest::all(&copy, "plugins")?;
    if let Which::Smallest = which {
        guests.retain(|guest| guest.name == SMALLEST);
    }
    let built = place.join("built");
    share_macros(&built)?;
    let made = components(toolchain, &copy, &built, &guests, true)?;
    let mut different = Vec::new();
    for (guest, component) in guests.iter().zip(made) {
        let path = workspace::target().join(format!("plugins/{}.wasm", guest.name));
        let expected =
            fs::read(&path).with_context(|| format!("cannot read {}", workspace::shown(&path)))?;
        if component == expected {
            command::say(&format!("{} is the same again", guest.name));
            continue;
        }
        let other = place.join(format!("{}.wasm", guest.name));
        fs::write(&other, component)?;
        different.push(format!(
            "{} and {}",
            workspace::shown(&path),
            workspace::shown(&other)
        ));
    }
    match different.is_empty() {
        true => Ok(()),
        false => bail!(
            "the same sources gave other bytes in another place: {}",
            different.join(", ")
        ),
    }
}

/// Which plugins are built again.
pub(super) enum Which {
    /// The one that takes the least time.
    Smallest,
    All,
}

/// Copies the sources to `copy`. What was there is removed, so that nothing of it is taken for a source.
fn lay_out(copy: &Path) -> Result<()> {
    if copy.exists() {
        fs::remove_dir_all(copy)?;
    }
    fs::create_dir_all(copy)?;
    let root = workspace::root();
    for part in SOURCES {
        copy_folder(&root.join(part), &copy.join(part))?;
    }
    for part in REST {
        symlink(root.join(part), copy.join(part))?;
    }
    Ok(())
}

/// Has cargo find in the target directory `built` what it compiled for this machine in the usual one.
fn share_macros(built: &Path) -> Result<()> {
    let macros = built.join(PROFILE);
    fs::create_dir_all(built)?;
    match macros.is_symlink() {
        true => Ok(()),
        false => Ok(symlink(
            workspace::target().join("guests").join(PROFILE),
            macros,
        )?),
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let entries = fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let target: PathBuf = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &target)?,
            false => {
                fs::copy(entry.path(), target)?;
            }
        }
    }
    Ok(())
}
