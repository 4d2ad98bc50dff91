//! A release that may be installed, on its way to being installed.

use jiff::Timestamp;
use semver::Version;

use crate::bundle::Bundle;
use crate::capability::{Capability, Described, capability_lines};
use crate::name::PluginName;
use crate::refusal::Refusal;
use crate::statement::Statement;

/// Under which terms a release may be installed.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What the clock says.
    pub now: Timestamp,
    /// The version of this Copal.
    pub host: Version,
    /// The plugin that was asked for; none where any will do.
    pub name: Option<PluginName>,
    /// Where the operator allows an unsigned plugin: what the component says of itself, since nobody else says anything of it.
    pub unsigned: Option<Described>,
}

/// What installing a release would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The plugin is not installed.
    New,
    /// This very component is installed.
    Again,
    /// Another release is installed.
    Update {
        /// Its version.
        from: Version,
    },
}

/// One thing that a plugin may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `grant …` or `import …`, as [`capability_lines`] has it.
    pub line: String,
    /// The plugin's reason; none for an import.
    pub reason: Option<String>,
    /// Whether it was not approved before.
    pub new: bool,
}

/// A release that the rules let pass so far. Before it is installed, the component itself must confirm what is said of it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The plugin.
    pub name: PluginName,
    /// Its version.
    pub version: Version,
    /// The SHA-256 of its component.
    pub digest: String,
    /// The statement; none for a bare component.
    pub statement: Option<Statement>,
    /// Whether nobody vouches for it.
    pub unsigned: bool,
    /// The version of the publisher document that it was checked by; none where it is unsigned.
    pub publisher_version: Option<u32>,
    /// What installing it would be.
    pub change: Change,
    /// All that it may ask for.
    pub asks: Vec<Asked>,
    /// The hash of that.
    pub capability_hash: String,
    pub(crate) bundle: Bundle,
    pub(crate) terms: Terms,
}

impl Candidate {
    /// What the operator has not approved yet.
    pub fn new_asks(&self) -> impl Iterator<Item = &Asked> {
        self.asks.iter().filter(|asked| asked.new)
    }

    /// Whether the operator must approve its capabilities.
    pub fn needs_approval(&self) -> bool {
        self.new_asks().next().is_some()
    }

    /// The release's files.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Holds what is said of the component against what it says of itself, once the sandbox has loaded it.
    ///
    /// # Errors
    /// They differ.
    pub fn confirm(self, described: &Described) -> Result<Confirmed, Refusal> {
        match (&self.statement, &self.terms.unsigned) {
            (Some(statement), _) => statement.confirm(described)?,
            (None, Some(before)) if before == described => {}
            (None, _) => return Err(Refusal::Changed(self.name.to_string())),
        }
        Ok(Confirmed(self))
    }

    /// Refuses capabilities that the operator did not approve. Where all of them were approved before, no hash is asked for, and none refused: it may
    /// be meant for another plugin that is updated at the same time.
    pub(crate) fn require_approval(&self, approved: Option<&str>) -> Result<(), Refusal> {
        match approved {
            _ if !self.needs_approval() => Ok(()),
            Some(approved) if approved != self.capability_hash => Err(Refusal::OtherApproved {
                plugin: self.name.clone(),
                version: self.version.clone(),
                approved: crate::text::shown(approved),
                capability_hash: self.capability_hash.clone(),
            }),
            None => Err(Refusal::NotApproved {
                plugin: self.name.clone(),
                version: self.version.clone(),
                capability_hash: self.capability_hash.clone(),
                new: self.new_asks().map(|asked| asked.line.clone()).collect(),
            }),
            Some(_) => Ok(()),
        }
    }
}

/// A candidate whose component says the same as its statement.
#[derive(Clone, Debug)]
pub struct Confirmed(pub(crate) Candidate);

impl Confirmed {
    /// The candidate.
    pub fn candidate(&self) -> &Candidate {
        &self.0
    }
}

/// All that a plugin may ask for, and which of it is not among the lines approved.
pub(crate) fn asks(
    imports: &[String],
    capabilities: &[Capability],
    approved: &[String],
) -> Vec<Asked> {
    let reason = |line: &str| {
        let grant = line.strip_prefix("grant ")?;
        let capability = capabilities.iter().find(|c| c.grant == grant)?;
        Some(capability.reason.clone())
    };
    capability_lines(imports, capabilities)
        .into_iter()
        .map(|line| Asked {
            reason: reason(&line),
            new: !approved.contains(&line),
            line,
        })
        .collect()
}
