//! The real Liquibase, as npm's package `liquibase` brings it, with Java.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::TestEnvironment;
use crate::postgres::Database;
use crate::run::Program;
use crate::{fetched, programs};

/// The release that the tests are written for.
const PACKAGE: &str = "liquibase@4.28.1";

/// Where Liquibase's own folder lies within the package.
const HOME: &str = "package/dist/liquibase";

/// H2 1.4, whose databases have format 1; the newer H2 in [`HOME`] makes format 3.
const OLD_H2: &str = "package/dist/drivers/h2-1.4.200.jar";

/// Liquibase, the libraries that it needs, and PostgreSQL's driver.
const JARS: [&str; 9] = [
    "liquibase-core",
    "picocli",
    "snakeyaml",
    "commons-collections4",
    "commons-io",
    "commons-lang3",
    "commons-text",
    "opencsv",
    "postgresql",
];

/// Liquibase and Java.
#[derive(Debug, Clone)]
pub struct Liquibase {
    java: PathBuf,
    home: PathBuf,
}

impl Liquibase {
    /// Liquibase, fetched by npm when it is first needed; none where Java is not installed or npm can't fetch it.
    pub fn find() -> Option<Self> {
        static HOMES: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let java = programs::require("java", "default-jre-headless")?;
        match HOMES.get_or_init(fetch) {
            Ok(home) => Some(Self {
                java,
                home: home.clone(),
            }),
            Err(problem) => {
                programs::missing(problem);
                None
            }
        }
    }

    /// Puts `liquibase` on a world's search path.
    pub fn install(&self, environment: &TestEnvironment) {
        let script = format!(
            "#!/bin/sh\nexport LIQUIBASE_HOME='{}'\nexec '{}' {} \"$@\"\n",
            self.home.display(),
            self.java.display(),
            self.options().join(" ")
        );
        environment.install_program("liquibase", &script);
    }

    /// `liquibase` with a changelog and a command, on a database.
    pub fn command(
        &self,
        database: &Database,
        folder: &Path,
        changelog: &str,
        command: &[&str],
    ) -> Program {
        Program::new(&self.java)
            .env("LIQUIBASE_HOME", &self.home)
            .env("LANG", "C.UTF-8")
            .args(self.options())
            .arg(format!("--search-path={}", folder.display()))
            .args(command)
            .arg(format!("--changelog-file={changelog}"))
            .arg(format!("--url={}", database.jdbc_url()))
    }

    /// Brings a database up to date.
    #[track_caller]
    pub fn update(&self, database: &Database, folder: &Path, changelog: &str) {
        self.command(database, folder, changelog, &["update"])
            .run()
            .succeeds();
    }

    /// The jars of H2 that come along: 1.4.200 and 2.2.224.
    pub fn h2_jars(&self) -> [PathBuf; 2] {
        let old = self.home.join("../../..").join(OLD_H2);
        [old, self.home.join("internal/lib/h2.jar")]
    }

    /// What Java takes to run Liquibase. Its own launcher would look through the drivers of all databases, which takes half of the time.
    fn options(&self) -> Vec<String> {
        let jars: Vec<_> = JARS
            .iter()
            .map(|name| format!("{}/internal/lib/{name}.jar", self.home.display()))
            .collect();
        vec![
            "-XX:TieredStopAtLevel=1".to_owned(),
            "-XX:+UseSerialGC".to_owned(),
            "-cp".to_owned(),
            jars.join(":"),
            "liquibase.integration.commandline.LiquibaseCommandLine".to_owned(),
        ]
    }
}

/// Fetches the package.
fn fetch() -> Result<PathBuf, String> {
    let folder = fetched::folder(&PACKAGE.replace('@', "-"), |folder| {
        let npm = programs::find("npm").ok_or("npm is not installed (Debian package npm)")?;
        let pack = ["pack", "--silent", PACKAGE];
        let packed = fetched::run(PACKAGE, Command::new(npm).args(pack), folder)?;
        let unpack = ["-xzf", packed.trim(), HOME, OLD_H2];
        fetched::run(PACKAGE, Command::new("tar").args(unpack), folder)?;
        std::fs::remove_file(folder.join(packed.trim())).map_err(|e| e.to_string())
    })?;
    Ok(folder.join(HOME))
}
