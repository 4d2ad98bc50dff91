//! What is installed, checked again whenever it is used.

use bytes::Bytes;
use jiff::Timestamp;
use semver::Version;

use super::ledger::Record;
use super::publishers::Publisher;
use super::{Store, files};
use crate::bundle::{Bundle, COMPONENT, MAX_COMPONENT, MAX_DOCUMENT, STATEMENT};
use crate::capability::{Described, capability_lines};
use crate::name::PluginName;
use crate::refusal::Refusal;
use crate::statement::Statement;
use crate::text::{sha256, shown};

/// A plugin that is installed.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The plugin.
    pub name: PluginName,
    /// Its version.
    pub version: Version,
    /// The SHA-256 of its component.
    pub digest: String,
    /// Whether nobody vouches for it.
    pub unsigned: bool,
    /// The version of the publisher document that it was checked by; none where it is unsigned.
    pub publisher_version: Option<u32>,
    /// The hash of the capabilities that the operator approved.
    pub capability_hash: String,
    /// These capabilities, as [`crate::capability_lines`] has them.
    pub capabilities: Vec<String>,
    /// When it was installed.
    pub installed: Timestamp,
    /// Where it came from.
    pub from: String,
    store: Store,
}

impl Installed {
    pub(super) fn new(store: Store, name: PluginName, record: Record) -> Self {
        Self {
            name,
            version: record.version,
            digest: record.digest,
            unsigned: record.unsigned,
            publisher_version: record.publisher_version,
            capability_hash: record.capability_hash,
            capabilities: record.capabilities,
            installed: record.installed,
            from: record.from,
            store,
        }
    }

    /// The statement; none for a component that came without.
    ///
    /// # Errors
    /// It is not the one that was installed.
    pub fn statement(&self) -> Result<Option<Statement>, Refusal> {
        if !self.store.has_plugin(&self.digest)? {
            return Err(self.swapped("", "it is missing"));
        }
        let path = self.store.plugin_folder(&self.digest).join(STATEMENT);
        let swapped = |problem: &str| self.swapped(STATEMENT, problem);
        let Some(bytes) = files::read(&path, MAX_DOCUMENT)? else {
            return match self.unsigned {
                true => Ok(None),
                false => Err(swapped("it is missing")),
            };
        };
        let statement =
            Statement::parse(&bytes).map_err(|refusal| swapped(&refusal.to_string()))?;
        let same = statement.name == self.name
            && statement.version == self.version
            && statement.sha256 == self.digest
            && statement.capability_hash() == self.capability_hash;
        match same {
            true => Ok(Some(statement)),
            false => Err(swapped("it states something else")),
        }
    }

    /// The component, whose digest is checked again.
    ///
    /// # Errors
    /// What lies there is not what was installed.
    pub fn component(&self) -> Result<Bytes, Refusal> {
        self.statement()?;
        let folder = self.store.plugin_folder(&self.digest);
        let component = files::read(&folder.join(COMPONENT), MAX_COMPONENT)?
            .ok_or_else(|| self.swapped(COMPONENT, "it is missing"))?;
        let found = sha256(&component);
        if found != self.digest {
            let problem = format!("its SHA-256 is {found}, not {}", self.digest);
            return Err(self.swapped(COMPONENT, &problem));
        }
        Ok(component)
    }

    /// Holds what the component says of itself when it is used against what it said when it was installed: one that sees a clock may say something else
    /// by then.
    ///
    /// # Errors
    /// They differ.
    pub fn confirm(&self, described: &Described) -> Result<(), Refusal> {
        let lines = capability_lines(&described.imports, &described.capabilities);
        let said = [
            ("name", self.name.to_string(), described.name.clone()),
            (
                "version",
                self.version.to_string(),
                described.version.clone(),
            ),
            (
                "capabilities",
                self.capabilities.join("; "),
                lines.join("; "),
            ),
        ];
        match said.into_iter().find(|(_, before, now)| before != now) {
            None => Ok(()),
            Some((what, before, now)) => Err(Refusal::SaysOtherwise {
                plugin: self.name.clone(),
                what,
                before: shown(&before),
                now: shown(&now),
            }),
        }
    }

    /// What goes with the component wherever it is used: the statement, its signatures, and the publisher's newest document.
    ///
    /// # Errors
    /// What lies there is not what was installed.
    pub fn release(&self) -> Result<Bundle, Refusal> {
        let mut bundle = self.documents()?;
        if let Some(publisher) = self.publisher()? {
            publisher.add_newest_to(&mut bundle)?;
        }
        Ok(bundle)
    }

    /// The release with all that another machine needs to trust it, whatever version of the publisher's document that knows: the component, the
    /// statement, its signatures, and all of the publisher's documents.
    ///
    /// # Errors
    /// What lies there is not what was installed, or is more than a release may be.
    pub fn bundle(&self) -> Result<Bundle, Refusal> {
        let component = self.component()?;
        let mut bundle = self.documents()?;
        bundle.insert(COMPONENT, component)?;
        if let Some(publisher) = self.publisher()? {
            publisher.add_to(&mut bundle)?;
        }
        Ok(bundle)
    }

    /// The statement and its signatures.
    fn documents(&self) -> Result<Bundle, Refusal> {
        self.statement()?;
        let folder = self.store.plugin_folder(&self.digest);
        let mut bundle = Bundle::default();
        if let Some(statement) = files::read(&folder.join(STATEMENT), MAX_DOCUMENT)? {
            bundle.insert(STATEMENT, statement)?;
        }
        let signatures = self.store.signatures(&folder, STATEMENT)?;
        for (name, bytes) in Bundle::signature_names(STATEMENT).zip(signatures) {
            bundle.insert(&name, bytes)?;
        }
        Ok(bundle)
    }

    /// Who signed it.
    fn publisher(&self) -> Result<Option<Publisher>, Refusal> {
        match self.unsigned {
            true => Ok(None),
            false => self.store.publisher(self.name.publisher()),
        }
    }

    fn swapped(&self, file: &str, problem: &str) -> Refusal {
        Refusal::Swapped {
            plugin: self.name.clone(),
            path: self.store.plugin_folder(&self.digest).join(file),
            problem: problem.to_owned(),
        }
    }
}
