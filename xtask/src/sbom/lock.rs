//! Checksums out of `Cargo.lock`.

use std::collections::HashMap;

use anyhow::Result;
use serde::Deserialize;

/// The SHA-256 of each crate's archive, by name and version. Crates of the workspace have none.
pub(super) struct Checksums(HashMap<(String, String), String>);

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl Checksums {
    pub(super) fn read(lock: &str) -> Result<Self> {
        let lock: Lock = toml::from_str(lock)?;
        let checksums = lock
            .package
            .into_iter()
            .filter_map(|package| Some(((package.name, package.version), package.checksum?)));
        Ok(Self(checksums.collect()))
    }

    pub(super) fn of(&self, name: &str, version: &str) -> Option<&str> {
        let key = (name.to_owned(), version.to_owned());
        self.0.get(&key).map(String::as_str)
    }
}
