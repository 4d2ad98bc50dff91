//! Installing and removing.

use semver::Version;

use super::ledger::{Entry, Record};
use super::{Store, files};
use crate::bundle::{Bundle, COMPONENT, STATEMENT};
use crate::candidate::Confirmed;
use crate::name::PluginName;
use crate::publisher::to_seconds;
use crate::refusal::Refusal;

/// Bytes of the place that a release came from: the longest path of Linux.
pub(super) const MAX_FROM: usize = 4096;

/// What an installation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The plugin.
    pub name: PluginName,
    /// Its version.
    pub version: Version,
    /// The SHA-256 of its component.
    pub digest: String,
    /// Grants of the release before that are still allowed: its publisher vouches for both, and both may ask for the same.
    pub carried: Vec<String>,
    /// Grants of the release before that are no longer allowed, because they were given to another component or under other capabilities.
    pub dropped: Vec<String>,
}

/// What a removal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The version that was installed.
    pub version: Version,
    /// Grants that it had.
    pub dropped: Vec<String>,
}

impl Store {
    /// Installs a release. `approved` is the capability hash that the operator approved; it may be missing where the release may ask for nothing new.
    /// `from` is where it came from and updates are looked for, without credentials.
    ///
    /// # Errors
    /// The capabilities are not approved; or `from` is too long to be kept; or a rule is broken by now, since another process may have changed what is known; or it can't be written.
    pub fn install(
        &self,
        confirmed: &Confirmed,
        approved: Option<&str>,
        from: &str,
    ) -> Result<Installation, Refusal> {
        if from.len() > MAX_FROM {
            return Err(Refusal::Source { limit: MAX_FROM });
        }
        let checked = confirmed.candidate();
        let _lock = self.lock()?;
        let (candidate, news) = self.check_all(&checked.bundle, &checked.terms)?;
        candidate.require_approval(approved)?;
        let (name, digest) = (candidate.name.clone(), candidate.digest.clone());
        self.add_documents(&news)?;
        self.add_release(&digest, &candidate.bundle)?;

        let mut ledger = self.ledger()?;
        let entry = ledger.plugins.entry(name.clone()).or_default();
        let before = entry.installed.take();
        entry.install(Record {
            version: candidate.version.clone(),
            digest: digest.clone(),
            unsigned: candidate.unsigned,
            publisher_version: candidate.publisher_version,
            capability_hash: candidate.capability_hash.clone(),
            capabilities: candidate.asks.into_iter().map(|asked| asked.line).collect(),
            installed: to_seconds(candidate.terms.now),
            from: from.to_owned(),
        });
        ledger.write(&self.ledger_path())?;

        let (mut carried, mut dropped) = (Vec::new(), Vec::new());
        if let Some(before) = before.filter(|before| before.digest != digest) {
            let same = before.capability_hash == candidate.capability_hash;
            if same && !before.unsigned && !candidate.unsigned {
                carried =
                    self.carry_over(&name, &before.digest, &digest, &candidate.capability_hash)?;
            }
            dropped = self.drop_approvals(&name, &before.digest)?;
            dropped.retain(|grant| !carried.contains(grant));
            files::remove_folder(&self.plugin_folder(&before.digest))?;
        }
        Ok(Installation {
            name,
            version: candidate.version,
            digest,
            carried,
            dropped,
        })
    }

    /// Removes a plugin and what was allowed it. The highest version seen and the publisher stay known, so that an older release is refused afterwards
    /// as before.
    ///
    /// # Errors
    /// It is not installed, or something can't be written.
    pub fn remove(&self, name: &PluginName) -> Result<Removal, Refusal> {
        let _lock = self.lock()?;
        let mut ledger = self.ledger()?;
        let record = ledger
            .plugins
            .get_mut(name)
            .and_then(|entry: &mut Entry| entry.installed.take())
            .ok_or_else(|| Refusal::NotInstalled(name.clone()))?;
        ledger.write(&self.ledger_path())?;
        let dropped = self.drop_approvals(name, &record.digest)?;
        files::remove_folder(&self.plugin_folder(&record.digest))?;
        Ok(Removal {
            version: record.version,
            dropped,
        })
    }

    /// Stores the files of a release; the publisher's documents lie elsewhere.
    fn add_release(&self, digest: &str, bundle: &Bundle) -> Result<(), Refusal> {
        files::make_folder(&self.plugins())?;
        let of_it = bundle
            .files()
            .filter(|(name, _)| *name == COMPONENT || name.starts_with(STATEMENT));
        files::replace_folder(&self.plugin_folder(digest), of_it)
    }
}
