//! Finding or installing a compiler for `wasm32-unknown-unknown`.

use std::{env, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use crate::{command, debian, workspace};

/// What plugins are compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// How long `rustup target add` may take.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// Debian's newest Rust, the standard library's source and a linker for wasm.
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];

/// A way to compile for [`TARGET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The toolchain that runs this task, with the target added by rustup.
    Rustup,
    /// Debian's packages; the standard library is compiled along.
    Debian,
}

impl Toolchain {
    /// The first way that works here, or the one asked for; installs what is missing and prints the choice.
    pub(crate) fn choose(asked: Option<&str>) -> Result<Self> {
        let asked = match asked {
            Some(asked) => Some(asked.to_owned()),
            None => env::var("COPAL_WASM_TOOLCHAIN").ok(),
        };
        let chosen = match asked.as_deref() {
            None | Some("") => prepare_rustup()
                .map(|()| Self::Rustup)
                .or_else(|reason| {
                    println!("    {reason:#}");
                    println!("    falling back on Debian's packages");
                    prepare_debian().map(|()| Self::Debian)
                })
                .with_context(|| format!("no compiler for {TARGET}"))?,
            Some("rustup") => prepare_rustup().map(|()| Self::Rustup)?,
            Some("debian") => prepare_debian().map(|()| Self::Debian)?,
            Some(other) => {
                bail!("unknown toolchain `{other}`: `rustup` and `debian` are known")
            }
        };
        println!("    compiler: {}", chosen.description());
        Ok(chosen)
    }

    /// A `cargo build` for [`TARGET`] at the workspace's root.
    pub(crate) fn cargo_build(self) -> Command {
        let mut command = match self {
            Self::Rustup => workspace::cargo(),
            Self::Debian => {
                let mut command = Command::new("/usr/bin/cargo");
                command
                    .current_dir(workspace::root())
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env(
                        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER",
                        "/usr/bin/wasm-ld-22",
                    )
                    .env_remove("RUSTUP_TOOLCHAIN")
                    // Of the toolchain that runs this task; Debian's rustc would load the wrong libraries.
                    .env_remove("LD_LIBRARY_PATH")
                    .arg("-Zbuild-std=std,panic_abort");
                command
            }
        };
        command.args(["build", "--target", TARGET]);
        command
    }

    fn description(self) -> String {
        let (program, how) = match self {
            Self::Rustup => ("rustc", "with its own standard library"),
            Self::Debian => (
                "/usr/bin/rustc",
                "of Debian, compiling the standard library",
            ),
        };
        let version = command::output(Command::new(program).arg("--version"));
        format!("{} {how}", version.unwrap_or_default().trim())
    }
}

/// Makes sure that the toolchain which runs this task has the target.
fn prepare_rustup() -> Result<()> {
    if has_target() {
        return Ok(());
    }
    if command::find("rustup").is_none() {
        bail!("rustc has no target {TARGET}, and there is no rustup to add it");
    }
    println!(
        "    adding the target {TARGET} (at most {} s)",
        RUSTUP_LIMIT.as_secs()
    );
    command::run_within(
        RUSTUP_LIMIT,
        Command::new("rustup").args(["target", "add", TARGET]),
    )?;
    if !has_target() {
        bail!("rustup added {TARGET} to another toolchain than the one in use");
    }
    Ok(())
}

/// Whether the standard library of the target lies where rustc looks for it.
fn has_target() -> bool {
    let folder = command::output(Command::new("rustc").current_dir(workspace::root()).args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ]));
    folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn prepare_debian() -> Result<()> {
    let missing: Vec<&str> = PACKAGES
        .into_iter()
        .filter(|package| !debian::installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    debian::install(&missing)
}
