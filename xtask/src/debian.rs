//! Debian packages that tasks need.

use std::path::Path;

use anyhow::Result;

use crate::command::{advised, say};

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

/// OpenSSH's server, with SFTP.
pub(crate) const SSHD: Provided = Provided {
    file: "/usr/sbin/sshd",
    package: "openssh-server",
};

/// OpenSSH's client.
pub(crate) const SSH: Provided = Provided {
    file: "/usr/bin/ssh",
    package: "openssh-client",
};

/// rclone, a server of WebDAV.
pub(crate) const RCLONE: Provided = Provided {
    file: "/usr/bin/rclone",
    package: "rclone",
};

/// faketime, a clock that is wrong.
pub(crate) const FAKETIME: Provided = Provided {
    file: "/usr/bin/faketime",
    package: "faketime",
};

/// npm, which brings Liquibase and Azurite.
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
    advised(copal_authoring::debian::install(&packages, &say))
}
