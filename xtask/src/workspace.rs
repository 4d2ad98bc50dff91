//! Where things lie in the workspace.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    // As cargo says now: what it said at compile time would be wrong in a clone that was moved.
    let xtask =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let xtask = PathBuf::from(xtask);
    xtask.parent().unwrap_or(&xtask).to_owned()
}

/// `target` of the workspace, also where `CARGO_TARGET_DIR` points elsewhere: the place of what tasks make themselves.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// Where cargo puts the host's binaries.
pub(crate) fn cargo_target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(target, |given| root().join(given))
}

/// A cargo of the toolchain that runs this task, working at the root.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// A cargo for crates of the host, which embed the plugins of [`target`].
pub(crate) fn host_cargo() -> Command {
    let mut command = cargo();
    if cargo_target() != target() {
        command.env("COPAL_PLUGINS_DIR", target().join("plugins"));
    }
    command
}

/// Writes a file beside its place and renames it there, so that no reader meets half of it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, bytes).with_context(|| format!("cannot write {}", beside.display()))?;
    fs::rename(&beside, path).with_context(|| format!("cannot write {}", path.display()))
}

/// `path` as a person at the root would name it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}
