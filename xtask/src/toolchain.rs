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
    /// The way asked for, or the first that works here; installs what is missing and prints the choice.
    pub(crate) fn choose(asked: Option<&str>) -> Result<Self> {
        let asked = match asked {
            Some(asked) => Some(asked.to_owned()),
            None => env::var("COPAL_WASM_TOOLCHAIN").ok(),
        };
        let chosen = match asked.as_deref() {
            None | Some("") => {
                first_that_works().with_context(|| format!("no compiler for {TARGET}"))?
            }
            Some("rustup") => {
                if !has_target() {
                    add_target()?;
                }
                Self::Rustup
            }
            Some("debian") => {
                debian::install(&PACKAGES)?;
                Self::Debian
            }
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

/// What is here already comes first, so that a server which can't be reached is waited for once at most.
fn first_that_works() -> Result<Toolchain> {
    if has_target() {
        return Ok(Toolchain::Rustup);
    }
    if debian::missing(&PACKAGES).is_empty() {
        return Ok(Toolchain::Debian);
    }
    let Err(reason) = add_target() else {
        return Ok(Toolchain::Rustup);
    };
    println!("    {reason:#}");
    println!("    falling back on Debian's packages");
    debian::install(&PACKAGES).map(|()| Toolchain::Debian)
}

/// Adds the target to the toolchain that runs this task.
fn add_target() -> Result<()> {
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
