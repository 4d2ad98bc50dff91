//! Finding or installing a compiler of Rust for WebAssembly.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use crate::{Error, Result, command, debian};

/// How long `rustup target add` may take.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// Debian's newest Rust, the standard library's source and a linker for wasm.
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];

/// What a plugin in Rust is compiled for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// `wasm32-unknown-unknown`: the plugin imports the contract alone, and is small.
    #[default]
    Unknown,
    /// `wasm32-wasip2`: the plugin imports WASI too, which grants it nothing; for crates that don't compile without.
    Wasip2,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Unknown, Self::Wasip2];

    /// The target as rustc spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "wasm32-unknown-unknown",
            Self::Wasip2 => "wasm32-wasip2",
        }
    }

    /// All of them, for a message.
    pub(crate) fn known() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|target| target.as_str() == word)
            .ok_or_else(|| Error::Target(word.to_owned()))
    }
}

/// A way to compile for a [`Target`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The toolchain on the search path, with the standard library that rustup added to it, or whoever installed it.
    Own,
    /// Debian's packages, for `wasm32-unknown-unknown` alone; the standard library is compiled along.
    Debian,
}

impl Toolchain {
    /// The first way that works in this folder with what is installed.
    pub fn find(target: Target, directory: &Path) -> Result<Self> {
        if has_target(target, directory) {
            Ok(Self::Own)
        } else if target == Target::Unknown && debian::missing(&PACKAGES).is_empty() {
            Ok(Self::Debian)
        } else {
            Err(missing(target))
        }
    }

    /// The first way that works in this folder, after installing what it takes.
    pub fn provide(target: Target, directory: &Path, say: &dyn Fn(&str)) -> Result<Self> {
        // What is here already comes first, so that a server which can't be reached is waited for once at most.
        if let Ok(found) = Self::find(target, directory) {
            return Ok(found);
        }
        let Err(reason) = Self::add_target(target, directory, say) else {
            return Ok(Self::Own);
        };
        if target != Target::Unknown {
            return Err(reason);
        }
        say(&reason.to_string());
        say("falling back on Debian's packages");
        Self::install_packages(say)
    }

    /// The toolchain on the search path, after rustup has added the target to it where that was missing.
    pub fn add_target(target: Target, directory: &Path, say: &dyn Fn(&str)) -> Result<Self> {
        if has_target(target, directory) {
            return Ok(Self::Own);
        }
        if command::find("rustup").is_none() {
            return Err(missing(target));
        }
        let seconds = RUSTUP_LIMIT.as_secs();
        say(&format!("adding the target {target} (at most {seconds} s)"));
        let mut add = Command::new("rustup");
        add.current_dir(directory)
            .args(["target", "add", target.as_str()]);
        command::run_within(RUSTUP_LIMIT, &mut add)?;
        if !has_target(target, directory) {
            return Err(Error::Missing {
                what: format!("standard library for {target} where rustc looks for it"),
                advice: "rustup added it to another toolchain than the one in use: see `rustup show` and RUSTUP_TOOLCHAIN.".to_owned(),
            });
        }
        Ok(Self::Own)
    }

    /// Debian's packages, after installing those that were missing.
    pub fn install_packages(say: &dyn Fn(&str)) -> Result<Self> {
        debian::install(&PACKAGES, say).map(|()| Self::Debian)
    }

    /// A cargo that works in a folder.
    pub fn cargo(self, directory: &Path) -> Command {
        let mut command = match self {
            Self::Own => {
                // As cargo says where it runs this program: the toolchain stays the same.
                let cargo = std::env::var_os("CARGO").filter(|cargo| !cargo.is_empty());
                Command::new(cargo.unwrap_or_else(|| OsString::from("cargo")))
            }
            Self::Debian => {
                let mut command = Command::new("/usr/bin/cargo");
                command
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env(
                        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER",
                        "/usr/bin/wasm-ld-22",
                    )
                    .env_remove("RUSTUP_TOOLCHAIN")
                    // Of the toolchain that runs this program; Debian's rustc would load the wrong libraries.
                    .env_remove("LD_LIBRARY_PATH");
                command
            }
        };
        command.current_dir(directory);
        command
    }

    /// A `cargo build` for a target.
    pub(crate) fn cargo_build(self, target: Target, directory: &Path) -> Command {
        let mut command = self.cargo(directory);
        if self == Self::Debian {
            command.arg("-Zbuild-std=std,panic_abort");
        }
        command.args(["build", "--target", target.as_str()]);
        command
    }

    /// The compiler's version, and whose it is.
    pub fn description(self, directory: &Path) -> String {
        let (program, how) = match self {
            Self::Own => ("rustc", "with its own standard library"),
            Self::Debian => (
                "/usr/bin/rustc",
                "of Debian, compiling the standard library",
            ),
        };
        let mut ask = Command::new(program);
        let version = command::output(ask.current_dir(directory).arg("--version"));
        format!("{} {how}", version.unwrap_or_default().trim())
    }
}

/// What a person can do where nothing compiles for a target.
fn missing(target: Target) -> Error {
    let mut ways = Vec::new();
    if command::find("rustup").is_some() {
        ways.push(format!("run `rustup target add {target}`"));
    } else {
        ways.push(format!(
            "install Rust with rustup (https://rustup.rs) and run `rustup target add {target}`"
        ));
    }
    if target == Target::Unknown && debian::is_here() {
        ways.push(format!("run `{}`", debian::by_hand(&PACKAGES)));
    }
    ways.push("let `--install` do it".to_owned());
    let mut advice = ways.join(", or ");
    if let Some(first) = advice.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Error::Missing {
        what: format!("compiler of Rust for {target}"),
        advice: format!("{advice}."),
    }
}

/// Whether the standard library of the target lies where the rustc of this folder looks for it.
fn has_target(target: Target, directory: &Path) -> bool {
    let mut ask = Command::new("rustc");
    ask.current_dir(directory)
        .args(["--print", "target-libdir", "--target", target.as_str()]);
    command::output(&mut ask).is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_read_back_from_its_name() {
        for target in Target::ALL {
            assert_eq!(target.as_str().parse::<Target>().unwrap(), target);
        }
        let error = "wasm64".parse::<Target>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no target `wasm64`: wasm32-unknown-unknown, wasm32-wasip2 are known"
        );
    }

    #[test]
    fn what_is_missing_is_said_with_the_commands_that_bring_it() {
        let advice = missing(Target::Wasip2).advice().unwrap();
        assert!(
            advice.contains("`rustup target add wasm32-wasip2`"),
            "{advice}"
        );
        assert!(advice.ends_with("let `--install` do it."), "{advice}");
        assert!(
            !advice.contains("lld"),
            "Debian has nothing for it: {advice}"
        );
    }
}
