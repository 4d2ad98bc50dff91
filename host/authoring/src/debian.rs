//! Debian's packages.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::{Error, Result, command};

/// How long apt may take for one command.
const LIMIT: Duration = Duration::from_secs(600);

/// Those of the packages that are not installed.
pub fn missing<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    let installed = |package: &&str| {
        let query = ["--show", "--showformat=${Status}", package];
        command::output(Command::new("dpkg-query").args(query))
            .is_ok_and(|status| status.ends_with(" installed"))
    };
    let packages = packages.iter().copied();
    packages.filter(|package| !installed(package)).collect()
}

/// Whether this is a system that installs Debian's packages.
pub fn is_here() -> bool {
    Path::new("/usr/bin/apt-get").exists()
}

/// What a person types to install the packages.
pub fn by_hand(packages: &[&str]) -> String {
    format!("sudo apt-get install {}", packages.join(" "))
}

/// Installs what is missing of the packages; where that is not allowed here, the error says what a person can run.
pub fn install(packages: &[&str], say: &dyn Fn(&str)) -> Result<()> {
    let packages = missing(packages);
    if packages.is_empty() {
        return Ok(());
    }
    let absent = |advice: String| Error::Missing {
        what: format!("package {}", packages.join(", ")),
        advice,
    };
    if !is_here() {
        return Err(absent(
            "There is no apt-get here: install what Debian calls so.".to_owned(),
        ));
    }
    let by_hand = by_hand(&packages);
    let Some(rights) = rights() else {
        return Err(absent(format!(
            "Not root, and sudo asks for a password; run `{by_hand}`."
        )));
    };
    say(&format!("installing {}", packages.join(" ")));
    let install = [&["install", "--yes", "--no-install-recommends"], &*packages].concat();
    apt(rights, &install)
        .or_else(|_| {
            // The lists may be missing, as in a fresh container, or too old to download from.
            apt(rights, &["update"])?;
            apt(rights, &install)
        })
        .map_err(|error| absent(format!("{error}; try `{by_hand}`.")))
}

/// How a command comes to have root's rights.
#[derive(Clone, Copy)]
enum Rights {
    /// This program has them.
    Own,
    /// sudo gives them without asking.
    Sudo,
}

fn rights() -> Option<Rights> {
    if rustix::process::geteuid().is_root() {
        return Some(Rights::Own);
    }
    let asked = command::output(Command::new("sudo").args(["-n", "true"]));
    asked.is_ok().then_some(Rights::Sudo)
}

fn apt(rights: Rights, arguments: &[&str]) -> Result<()> {
    let mut command = match rights {
        Rights::Own => Command::new("env"),
        Rights::Sudo => {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "env"]);
            sudo
        }
    };
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet=2"])
        .args(arguments);
    command::run_within(LIMIT, &mut command)
}
