//! `release.json`: what a publisher states about one component.

use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::bundle::{MAX_COMPONENT, STATEMENT};
use crate::candidate::{Asked, asks};
use crate::capability::{self, Capability, Described, capability_hash, capability_lines};
use crate::document::{self, Format};
use crate::name::PluginName;
use crate::refusal::Refusal;
use crate::text::{is_sha256, line, shown, spelt};

/// Bytes of a version. More than any version in use has.
const MAX_VERSION: usize = 64;
/// Bytes of the description and of the source.
const MAX_TEXT: usize = 1024;
/// Bytes of the contract, the world and the licence.
const MAX_WORD: usize = 128;

/// The statement about one component. Its bytes are what is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The format that it is written in.
    pub format: Format,
    /// The plugin.
    pub name: PluginName,
    /// Its version. Without build metadata, which would make two versions of the same rank.
    #[serde(with = "spelt")]
    pub version: Version,
    /// The SHA-256 of the component, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Bytes of the component.
    pub size: u64,
    /// The contract's package, such as `copal:plugin@0.1.0`.
    pub contract: String,
    /// The world that it implements, such as `copal:plugin/plugin`.
    pub world: String,
    /// All imports, as the component spells them.
    pub imports: Vec<String>,
    /// The grants that the plugin may ask for.
    pub capabilities: Vec<Capability>,
    /// The oldest Copal that it works with.
    #[serde(with = "spelt")]
    pub minimum_host: Version,
    /// When the release was made, in whole seconds.
    #[serde(with = "spelt")]
    pub created: Timestamp,
    /// What the plugin is for.
    pub description: String,
    /// Its licence, as an SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Where its source is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Statement {
    /// Reads a statement, and believes nothing of it.
    ///
    /// # Errors
    /// It is not what format 1 is: too large, a field too many, too few or twice, a name or text that may not be.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        document::parse(STATEMENT, bytes, Self::validate)
    }

    /// The statement as it is signed and stored; the same statement always has the same bytes.
    ///
    /// # Errors
    /// It would not be read again.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Refusal> {
        document::write(STATEMENT, self, Self::validate)
    }

    /// What the operator approves of it, as [`capability_lines`] has it.
    pub fn capability_lines(&self) -> Vec<String> {
        capability_lines(&self.imports, &self.capabilities)
    }

    /// The same with the publisher's reasons.
    pub fn asks(&self) -> Vec<Asked> {
        asks(&self.imports, &self.capabilities, &[])
    }

    /// The hash of all that the plugin may ever ask for.
    pub fn capability_hash(&self) -> String {
        capability_hash(&self.capability_lines())
    }

    /// Holds the statement against the component that it is about.
    ///
    /// # Errors
    /// The component says something else of itself.
    pub fn confirm(&self, described: &Described) -> Result<(), Refusal> {
        if described.name != self.name.as_str() {
            return Err(self.differs("name", self.name.as_str(), &described.name));
        }
        let version = self.version.to_string();
        if described.version != version {
            return Err(self.differs("version", &version, &described.version));
        }
        self.confirm_imports(&described.imports)?;
        let (stated, found) = difference(&self.capabilities, &described.capabilities);
        if !stated.is_empty() || !found.is_empty() {
            let each = |c: &Capability| format!("{} ({})", c.grant, c.reason);
            let list = |capabilities: Vec<&Capability>| list(capabilities.into_iter().map(each));
            return Err(self.differs("capabilities", &list(stated), &list(found)));
        }
        Ok(())
    }

    /// Holds the statement against what the loaded component says of itself without being run: the contract and the world that it implements, and what it
    /// imports.
    ///
    /// # Errors
    /// The component has something else.
    pub fn confirm_shape(
        &self,
        contract: &str,
        world: &str,
        imports: &[String],
    ) -> Result<(), Refusal> {
        for (what, stated, found) in [
            ("contract", &self.contract, contract),
            ("world", &self.world, world),
        ] {
            if stated != found {
                return Err(self.differs(what, stated, found));
            }
        }
        self.confirm_imports(imports)
    }

    fn confirm_imports(&self, imports: &[String]) -> Result<(), Refusal> {
        let (stated, found) = difference(&self.imports, imports);
        if stated.is_empty() && found.is_empty() {
            return Ok(());
        }
        let list = |imports: Vec<&String>| list(imports.into_iter().cloned());
        Err(self.differs("imports", &list(stated), &list(found)))
    }

    fn differs(&self, what: &'static str, stated: &str, found: &str) -> Refusal {
        Refusal::Described {
            plugin: self.name.clone(),
            what,
            stated: shown(stated),
            found: shown(found),
        }
    }

    fn validate(&self) -> Result<(), String> {
        version("version", &self.version)?;
        version("minimum_host", &self.minimum_host)?;
        sha256("sha256", &self.sha256)?;
        if self.size > MAX_COMPONENT as u64 {
            return Err(format!(
                "its component has {} bytes, at most {MAX_COMPONENT} are allowed",
                self.size
            ));
        }
        line("contract", &self.contract, MAX_WORD)?;
        line("world", &self.world, MAX_WORD)?;
        capability::validate(&self.imports, &self.capabilities)?;
        whole_seconds("created", self.created)?;
        line("description", &self.description, MAX_TEXT)?;
        if let Some(license) = &self.license {
            line("license", license, MAX_WORD)?;
        }
        if let Some(source) = &self.source {
            line("source", source, MAX_TEXT)?;
        }
        Ok(())
    }
}

/// What only the one list has, and what only the other.
fn difference<'a, T: PartialEq>(one: &'a [T], other: &'a [T]) -> (Vec<&'a T>, Vec<&'a T>) {
    let lacks = |list: &'a [T], item: &T| !list.contains(item);
    (
        one.iter().filter(|item| lacks(other, item)).collect(),
        other.iter().filter(|item| lacks(one, item)).collect(),
    )
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// A version as releases have it.
pub(crate) fn version(what: &str, version: &Version) -> Result<(), String> {
    let text = version.to_string();
    if text.len() > MAX_VERSION {
        return Err(format!("its {what} has more than {MAX_VERSION} characters"));
    }
    if !version.build.is_empty() {
        return Err(format!(
            "its {what} `{text}` has build metadata (`+{}`), and versions that differ in nothing else have the same rank",
            version.build
        ));
    }
    Ok(())
}

/// A digest as [`crate::text::sha256`] spells it.
pub(crate) fn sha256(what: &str, digest: &str) -> Result<(), String> {
    if is_sha256(digest) {
        return Ok(());
    }
    Err(format!(
        "its {what} `{}` is not 64 lower-case hexadecimal digits",
        shown(digest)
    ))
}

/// A time as people write it.
pub(crate) fn whole_seconds(what: &str, time: Timestamp) -> Result<(), String> {
    if time.subsec_nanosecond() == 0 {
        return Ok(());
    }
    Err(format!("its {what} `{time}` is not in whole seconds"))
}
