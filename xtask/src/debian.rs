//! Debian packages that tasks need.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use crate::command;

/// How long apt may take for one command.
const LIMIT: Duration = Duration::from_secs(600);

/// Whether dpkg knows the package as installed.
pub(crate) fn installed(package: &str) -> bool {
    command::output(Command::new("dpkg-query").args(["--show", "--showformat=${Status}", package]))
        .is_ok_and(|status| status.ends_with(" installed"))
}

/// Installs packages; where that is not allowed here, the error says which command a person can run.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let by_hand = format!("sudo apt-get install {}", packages.join(" "));
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "no apt-get here; install what Debian calls {}",
            packages.join(" ")
        );
    }
    let Some(rights) = rights() else {
        bail!("not root, and sudo asks for a password; run: {by_hand}");
    };
    println!("    installing {}", packages.join(" "));
    apt(
        rights,
        &["install", "--yes", "--no-install-recommends"],
        packages,
    )
    .or_else(|_| {
        // The lists may be missing, as in a fresh container, or too old to download from.
        apt(rights, &["update"], &[])?;
        apt(
            rights,
            &["install", "--yes", "--no-install-recommends"],
            packages,
        )
    })
    .with_context(|| format!("try: {by_hand}"))
}

/// The words before a command that give it root's rights: none for root itself.
fn rights() -> Option<&'static [&'static str]> {
    if rustix::process::geteuid().is_root() {
        return Some(&[]);
    }
    command::output(Command::new("sudo").args(["-n", "true"]))
        .is_ok()
        .then_some(&["sudo", "-n"])
}

fn apt(rights: &[&str], verb: &[&str], packages: &[&str]) -> Result<()> {
    let words = rights.iter().copied().chain([
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "--quiet=2",
    ]);
    let words: Vec<&str> = words
        .chain(verb.iter().copied())
        .chain(packages.iter().copied())
        .collect();
    let Some((program, arguments)) = words.split_first() else {
        bail!("no command");
    };
    command::run_within(LIMIT, Command::new(program).args(arguments))
}
