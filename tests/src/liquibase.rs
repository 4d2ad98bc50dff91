//! The real Liquibase, as npm's package `liquibase` brings it, with Java.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::TestEnvironment;
use crate::postgres::Database;
use crate::programs;
use crate::run::Program;

/// The release that the tests are written for.
const PACKAGE: &str = "liquibase@4.28.1";

/// Where Liquibase's own folder lies within the package.
const HOME: &str = "package/dist/liquibase";

/// H2 1.4, whose databases have format 1; the newer H2 in [`HOME`] makes format 3.
const OLD_H2: &str = "package/dist/drivers/h2-1.4.200.jar";

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
            "#!/bin/sh\nexport LIQUIBASE_HOME='{}'\nexec '{}' -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -jar '{}' \"$@\"\n",
            self.home.display(),
            self.java.display(),
            self.jar().display()
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
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar"])
            .arg(self.jar())
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

    fn jar(&self) -> PathBuf {
        self.home.join("internal/lib/liquibase-core.jar")
    }
}

/// Fetches the package into Cargo's target directory, where it stays.
fn fetch() -> Result<PathBuf, String> {
    let executable = std::env::current_exe().map_err(|e| e.to_string())?;
    // A test lies in `deps` of a profile's folder in Cargo's target directory.
    let parent = executable
        .ancestors()
        .nth(3)
        .ok_or("a test lies in Cargo's target directory")?;
    let folder = parent.join(PACKAGE.replace('@', "-"));
    let home = folder.join(HOME);
    if folder.join(OLD_H2).is_file() {
        return Ok(home);
    }
    // Into a folder of its own, which is then renamed: another test program may fetch it at the same time.
    let new = tempfile::tempdir_in(parent)
        .map_err(|e| format!("can't write to {}: {e}", parent.display()))?;
    let npm = programs::find("npm").ok_or("npm is not installed (Debian package npm)")?;
    let packed = run(
        Command::new(npm).args(["pack", "--silent", PACKAGE]),
        new.path(),
    )?;
    run(
        Command::new("tar").args(["-xzf", packed.trim(), HOME, OLD_H2]),
        new.path(),
    )?;
    std::fs::remove_file(new.path().join(packed.trim())).map_err(|e| e.to_string())?;
    let new = new.keep();
    if std::fs::rename(&new, &folder).is_err() {
        std::fs::remove_dir_all(&new).map_err(|e| e.to_string())?;
    }
    if home.is_dir() {
        Ok(home)
    } else {
        Err(format!("npm's package {PACKAGE} holds no {HOME}"))
    }
}

/// With everything that this process has in its environment: npm's settings lie there.
fn run(command: &mut Command, folder: &Path) -> Result<String, String> {
    let failed = |why: String| format!("can't fetch {PACKAGE} with npm: {why}");
    let output = command
        .current_dir(folder)
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}
