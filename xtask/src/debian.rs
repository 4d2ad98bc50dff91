//! Debian packages that tasks need.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use crate::command;

/// How long apt may take for one command.
const LIMIT: Duration = Duration::from_secs(600);

/// A file, and the package that brings it.
pub(crate) struct Provided {
    /// The file, which may also be there by other means.
    pub(crate) file: &'static str,
    package: &'static str,
}

/// restic, the oracle of the repository format.
pub(crate) const RESTIC: Provided = Provided {
    file: "/usr/bin/restic",
    package: "restic",
};

/// minisign, the oracle of keys and signatures.
pub(crate) const MINISIGN: Provided = Provided {
    file: "/usr/bin/minisign",
    package: "minisign",
};

/// Java, for H2.
pub(crate) const JAVA: Provided = Provided {
    file: "/usr/bin/java",
    package: "default-jre-headless",
};

/// H2 2.1.214, the database of Jpom.
pub(crate) const H2: Provided = Provided {
    file: "/usr/share/java/h2.jar",
    package: "libh2-java",
};

/// PostgreSQL 15, server and clients.
pub(crate) const POSTGRESQL: Provided = Provided {
    file: "/usr/lib/postgresql/15/bin/initdb",
    package: "postgresql-15",
};

/// npm, which brings Liquibase.
pub(crate) const NPM: Provided = Provided {
    file: "/usr/bin/npm",
    package: "npm",
};

/// A registry of the Open Container Initiative.
pub(crate) const DOCKER_REGISTRY: Provided = Provided {
    file: "/usr/bin/docker-registry",
    package: "docker-registry",
};

/// Installs the packages of those files that are not there.
pub(crate) fn provide(needs: &[Provided]) -> Result<()> {
    let needs = needs.iter().filter(|need| !Path::new(need.file).exists());
    let packages: Vec<&str> = needs.map(|need| need.package).collect();
    install(&packages)
}

/// Those of the packages that are not installed.
pub(crate) fn missing<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    let installed = |package: &&str| {
        let query = ["--show", "--showformat=${Status}", package];
        command::output(Command::new("dpkg-query").args(query))
            .is_ok_and(|status| status.ends_with(" installed"))
    };
    let packages = packages.iter().copied();
    packages.filter(|package| !installed(package)).collect()
}

/// Installs what is missing of the packages; where that is not allowed here, the error says what a person can run.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let packages = missing(packages);
    if packages.is_empty() {
        return Ok(());
    }
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
    let install = [&["install", "--yes", "--no-install-recommends"], &*packages].concat();
    apt(rights, &install)
        .or_else(|_| {
            // The lists may be missing, as in a fresh container, or too old to download from.
            apt(rights, &["update"])?;
            apt(rights, &install)
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

fn apt(rights: &[&str], arguments: &[&str]) -> Result<()> {
    let quiet = [
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "--quiet=2",
    ];
    let words = [rights, &quiet, arguments].concat();
    let (program, arguments) = words.split_first().context("no command")?;
    command::run_within(LIMIT, Command::new(program).args(arguments))
}
