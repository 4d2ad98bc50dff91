//! `cargo xtask deny`: holds the dependencies to `deny.toml`, by [cargo-deny](https://embarkstudios.github.io/cargo-deny/).

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    command::{self, advised, say},
    workspace,
};

/// Where the workspaces are: Copal's, that of the fuzz targets, and that of rustic's library.
const WORKSPACES: [&str; 3] = [".", "fuzz", "tests/rustic"];

/// What is asked of `deny.toml` alone.
const CHECKS: [&str; 3] = ["licenses", "bans", "sources"];

/// Which program, and its digests.
const PINS: &str = "xtask/assets/cargo-deny.txt";

/// What cargo-deny says where it can't have the list of known vulnerabilities.
const UNREACHABLE: &str = "failed to fetch advisory database";

/// `cargo xtask deny [--advisories]`
pub(crate) fn task(arguments: &[String]) -> Result<()> {
    let mut advisories_needed = false;
    for argument in arguments {
        match argument.as_str() {
            "--advisories" => advisories_needed = true,
            other => bail!("unknown argument `{other}`"),
        }
    }
    let program = command::stage("Finding cargo-deny", find)?;
    command::stage("Checking licences, bans and sources", || {
        for workspace in WORKSPACES {
            command::run(check(&program, workspace).args(CHECKS))?;
        }
        Ok(())
    })?;
    command::stage("Checking advisories", || {
        for workspace in WORKSPACES {
            if !advisories(&program, workspace)? {
                if advisories_needed {
                    bail!("the database of advisories could not be reached");
                }
                break;
            }
        }
        Ok(())
    })
}

/// Compares the versions in a workspace's `Cargo.lock` with the advisories; false where these can't be had.
fn advisories(program: &PathBuf, workspace: &str) -> Result<bool> {
    let output = check(program, workspace)
        .arg("advisories")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && text.contains(UNREACHABLE) {
        say(
            "SKIPPED: the database of advisories could not be reached, so nothing is known of vulnerabilities",
        );
        return Ok(false);
    }
    eprint!("{text}");
    if !output.status.success() {
        bail!("cargo-deny ended with {}", output.status);
    }
    Ok(true)
}

fn check(program: &PathBuf, workspace: &str) -> Command {
    let manifest = PathBuf::from(workspace).join("Cargo.toml");
    let mut command = Command::new(program);
    command
        .args(["--locked", "--config", "deny.toml", "--manifest-path"])
        .arg(manifest)
        .args(["check", "--hide-inclusion-graph"])
        .current_dir(workspace::root());
    command
}

/// The program on `PATH`, or else one that is installed into `target/cargo-deny`.
fn find() -> Result<PathBuf> {
    if let Some(found) = command::find("cargo-deny") {
        say(&found.display().to_string());
        return Ok(found);
    }
    let place = workspace::target().join("cargo-deny");
    let pins = fs::read_to_string(workspace::root().join(PINS))?;
    let program = place.join("bin/cargo-deny");
    let installed = place.join("installed.txt");
    if program.is_file() && fs::read_to_string(&installed).is_ok_and(|there| there == pins) {
        return Ok(program);
    }
    install(&place).context(
        "cannot install cargo-deny; `cargo install cargo-deny --locked` compiles it, in some minutes",
    )?;
    fs::write(installed, pins)?;
    Ok(program)
}

/// Installs the pinned program, and nothing else, into a Python environment of its own.
fn install(place: &PathBuf) -> Result<()> {
    let modules = ["-c", "import ensurepip, venv"];
    if command::output(Command::new("python3").args(modules)).is_err() {
        advised(copal_authoring::debian::install(&["python3-venv"], &say))?;
    }
    command::run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(place),
    )?;
    let mut pip = Command::new(place.join("bin/pip"));
    pip.args(["--quiet", "--disable-pip-version-check", "install"])
        .args(["--no-deps", "--only-binary", ":all:", "--require-hashes"])
        .args(["--requirement", PINS])
        .current_dir(workspace::root());
    command::run(&mut pip)
}
