//! What a plugin's past allows: no step back, no second component, no second name.

use semver::Version;

use crate::candidate::Change;
use crate::name::PluginName;
use crate::refusal::Refusal;
use crate::store::ledger::{Ledger, Seen};

/// What is about to be installed.
pub(crate) struct Offer<'a> {
    pub(crate) name: &'a PluginName,
    pub(crate) version: &'a Version,
    pub(crate) digest: &'a str,
    pub(crate) unsigned: bool,
}

impl Offer<'_> {
    /// What installing it would be.
    pub(crate) fn judge(&self, ledger: &Ledger) -> Result<Change, Refusal> {
        self.one_name(ledger)?;
        let Some(entry) = ledger.plugins.get(self.name) else {
            return Ok(Change::New);
        };
        // An unsigned component may be built again under its version, while it is worked on. It never stands in for a signed one.
        if let Some(seen) = &entry.seen {
            self.no_step_back(seen)?;
            self.one_component(seen)?;
        }
        if let Some(seen) = &entry.seen_unsigned
            && self.unsigned
        {
            self.no_step_back(seen)?;
        }
        Ok(match &entry.installed {
            Some(record) if record.digest == self.digest => Change::Again,
            Some(record) => Change::Update {
                from: record.version.clone(),
            },
            None => Change::New,
        })
    }

    /// The lines that were approved and go on being so: those of a release by the same publisher, or of this very component.
    pub(crate) fn approved<'l>(&self, ledger: &'l Ledger) -> &'l [String] {
        match ledger.installed(self.name) {
            Some(record) if record.digest == self.digest || !(record.unsigned || self.unsigned) => {
                &record.capabilities
            }
            _ => &[],
        }
    }

    fn one_name(&self, ledger: &Ledger) -> Result<(), Refusal> {
        let mut installed = ledger
            .plugins
            .iter()
            .filter_map(|(name, entry)| Some((name, entry.installed.as_ref()?)));
        match installed.find(|(name, record)| *name != self.name && record.digest == self.digest) {
            Some((other, _)) => Err(Refusal::TwoNames {
                plugin: self.name.clone(),
                other: other.clone(),
            }),
            None => Ok(()),
        }
    }

    fn no_step_back(&self, seen: &Seen) -> Result<(), Refusal> {
        if *self.version >= seen.version {
            return Ok(());
        }
        Err(Refusal::Downgrade {
            plugin: self.name.clone(),
            version: self.version.clone(),
            highest: seen.version.clone(),
        })
    }

    fn one_component(&self, seen: &Seen) -> Result<(), Refusal> {
        if *self.version != seen.version || self.digest == seen.digest {
            return Ok(());
        }
        Err(Refusal::TwoComponents {
            plugin: self.name.clone(),
            version: self.version.clone(),
            known: seen.digest.clone(),
            found: self.digest.to_owned(),
        })
    }
}
