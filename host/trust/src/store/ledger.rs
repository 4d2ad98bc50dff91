//! `plugins.lock`: what is installed, and what was seen.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::files;
use crate::capability::capability_hash;
use crate::document::Format;
use crate::name::PluginName;
use crate::refusal::Refusal;
use crate::text::{is_sha256, spelt};

/// Bytes of the file; thousands of plugins have fewer.
const MAX_LEDGER: usize = 16 << 20;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ledger {
    format: Format,
    #[serde(default)]
    pub(crate) plugins: BTreeMap<PluginName, Entry>,
}

/// What is known of one name. It stays when the plugin is removed, so that an older version is still a downgrade afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// The highest version that its publisher vouched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seen: Option<Seen>,
    /// The highest version that nobody vouched for. It does not count against signed releases: otherwise anybody's 999.0.0 would be the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seen_unsigned: Option<Seen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) installed: Option<Record>,
}

/// A version and its component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    #[serde(with = "spelt")]
    pub(crate) version: Version,
    pub(crate) digest: String,
}

/// What is installed under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    #[serde(with = "spelt")]
    pub(crate) version: Version,
    pub(crate) digest: String,
    pub(crate) unsigned: bool,
    /// The publisher document that it was checked by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) publisher_version: Option<u32>,
    /// What the operator approved, and the hash of these lines.
    pub(crate) capability_hash: String,
    pub(crate) capabilities: Vec<String>,
    #[serde(with = "spelt")]
    pub(crate) installed: Timestamp,
    /// Where it came from.
    pub(crate) from: String,
}

impl Ledger {
    /// Reads the file; an empty ledger where there is none.
    pub(super) fn read(path: &Path) -> Result<Self, Refusal> {
        let Some(bytes) = files::read(path, MAX_LEDGER)? else {
            return Ok(Self::default());
        };
        let damaged = |problem: &dyn std::fmt::Display| Refusal::damaged(path, problem.to_string());
        let text = std::str::from_utf8(&bytes).map_err(|error| damaged(&error))?;
        let ledger: Self = toml::from_str(text).map_err(|error| damaged(&error.message()))?;
        for (name, entry) in &ledger.plugins {
            entry
                .validate()
                .map_err(|problem| damaged(&format_args!("{name}: {problem}")))?;
        }
        Ok(ledger)
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Refusal> {
        let text = toml::to_string(self)
            .map_err(|error| Refusal::state("write", path, std::io::Error::other(error)))?;
        let text = format!(
            "# Written by Copal: what is installed, and what must not be older. Change it with `copal plugin`.\n{text}"
        );
        files::write(path, text.as_bytes())
    }

    /// What is installed under a name.
    pub(crate) fn installed(&self, name: &PluginName) -> Option<&Record> {
        self.plugins.get(name)?.installed.as_ref()
    }
}

impl Entry {
    /// Notes what is installed from now on.
    pub(super) fn install(&mut self, record: Record) {
        let seen = match record.unsigned {
            true => &mut self.seen_unsigned,
            false => &mut self.seen,
        };
        if seen
            .as_ref()
            .is_none_or(|seen| seen.version <= record.version)
        {
            *seen = Some(Seen {
                version: record.version.clone(),
                digest: record.digest.clone(),
            });
        }
        self.installed = Some(record);
    }

    fn validate(&self) -> Result<(), String> {
        let seen = self.seen.iter().chain(&self.seen_unsigned);
        let installed = self.installed.as_ref();
        let mut digests = seen
            .map(|seen| &seen.digest)
            .chain(installed.map(|record| &record.digest));
        if let Some(digest) = digests.find(|digest| !is_sha256(digest)) {
            return Err(format!("`{digest}` is no SHA-256"));
        }
        match installed {
            Some(record) if capability_hash(&record.capabilities) != record.capability_hash => {
                Err("the capabilities are not those of the hash".to_owned())
            }
            _ => Ok(()),
        }
    }
}
