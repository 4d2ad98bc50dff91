//! What tests fetch from other registries or make when they first need it, and keep in Cargo's target directory.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder `name` in Cargo's target directory, filled by `fill` where it is not there yet. One that is begun is never seen: it is filled
/// elsewhere and renamed, since another test may do so at the same time.
///
/// # Errors
/// What `fill` says, or the target directory can't be written.
pub fn folder(
    name: &str,
    fill: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let executable = std::env::current_exe().map_err(|e| e.to_string())?;
    // A test lies in `deps` of a profile's folder in Cargo's target directory.
    let parent = executable
        .ancestors()
        .nth(3)
        .ok_or("a test lies in Cargo's target directory")?;
    let folder = parent.join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    let new = tempfile::tempdir_in(parent)
        .map_err(|e| format!("can't write to {}: {e}", parent.display()))?;
    fill(new.path())?;
    let new = new.keep();
    if std::fs::rename(&new, &folder).is_err() {
        std::fs::remove_dir_all(&new).map_err(|e| e.to_string())?;
    }
    Ok(folder)
}

/// Runs a package manager in a folder, with everything that this process has in its environment: its settings lie there.
///
/// # Errors
/// What it says when it fails.
pub fn run(what: &str, command: &mut Command, folder: &Path) -> Result<String, String> {
    let failed = |why: String| format!("can't fetch {what}: {why}");
    let output = command
        .current_dir(folder)
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}
