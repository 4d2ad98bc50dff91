//! What is installed, checked again whenever it is used.

use jiff::Timestamp;
use semver::Version;

use super::ledger::Record;
use super::{Store, files};
use crate::bundle::{Bundle, COMPONENT, MAX_COMPONENT, MAX_DOCUMENT, STATEMENT};
use crate::name::PluginName;
use crate::refusal::Refusal;
use crate::statement::Statement;
use crate::text::sha256;

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

    /// The release with all that another machine needs to trust it: the component, whose digest is checked again, the statement, its signatures, and the
    /// publisher's documents.
    ///
    /// # Errors
    /// What lies there is not what was installed.
    pub fn bundle(&self) -> Result<Bundle, Refusal> {
        self.statement()?;
        let folder = self.store.plugin_folder(&self.digest);
        if !files::is_folder(&folder)? {
            return Err(self.swapped("", "it is missing"));
        }
        let component = files::read(&folder.join(COMPONENT), MAX_COMPONENT)?
            .ok_or_else(|| self.swapped(COMPONENT, "it is missing"))?;
        let found = sha256(&component);
        if found != self.digest {
            let problem = format!("its SHA-256 is {found}, not {}", self.digest);
            return Err(self.swapped(COMPONENT, &problem));
        }
        let mut bundle = Bundle::default();
        bundle.insert(COMPONENT, component)?;
        if let Some(statement) = files::read(&folder.join(STATEMENT), MAX_DOCUMENT)? {
            bundle.insert(STATEMENT, statement)?;
        }
        let signatures = self.store.signatures(&folder, STATEMENT)?;
        for (name, bytes) in Bundle::signature_names(STATEMENT).zip(signatures) {
            bundle.insert(&name, bytes)?;
        }
        if !self.unsigned
            && let Some(publisher) = self.store.publisher(self.name.publisher())?
        {
            publisher.add_to(&mut bundle)?;
        }
        Ok(bundle)
    }

    fn swapped(&self, file: &str, problem: &str) -> Refusal {
        Refusal::Swapped {
            plugin: self.name.clone(),
            path: self.store.plugin_folder(&self.digest).join(file),
            problem: problem.to_owned(),
        }
    }
}
