//! What a snapshot says of itself: `.copal/manifest.json`.

use std::collections::BTreeMap;

use copal_repository::archiver::Archiver;
use copal_repository::progress::ItemError;
use copal_repository::{Repository, TreeId, walk};
use copal_sandbox::Plugin;
use copal_sandbox::types::{Description, Fact, Finding};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::authority::Release;
use crate::context::Context;
use crate::error::Error;
use crate::places::Root;
use crate::roots::is_root_name;
use crate::safety::Safety;
use crate::steps::StepOutcome;

/// The folder of what a snapshot says of itself.
pub(crate) const OWN: &str = ".copal";
/// Where the manifest lies in a snapshot.
pub const MANIFEST_PATH: &str = ".copal/manifest.json";
/// Where the plugin's component lies in a snapshot.
pub const PLUGIN_PATH: &str = ".copal/plugin.wasm";
/// The folder of the streams.
pub(crate) const STREAMS: &str = "streams";

const FORMAT: u32 = 1;
const MANIFEST_LIMIT: u64 = 64 << 20;
const PLUGIN_LIMIT: u64 = 128 << 20;

/// A plugin as a manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginIdentity {
    /// `publisher/name`.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// SHA-256 of the component, 64 hex digits.
    pub digest: String,
}

impl PluginIdentity {
    pub(crate) fn new(plugin: &Plugin, description: &Description) -> Self {
        let (name, version) = (description.name.clone(), description.version.clone());
        Self {
            name,
            version,
            digest: plugin.digest().to_owned(),
        }
    }
}

/// Something that was to be saved and was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// `ROOT/PATH` or `streams/NAME`.
    pub path: String,
    /// Why.
    pub error: String,
}

impl From<&ItemError> for Missing {
    fn from(error: &ItemError) -> Self {
        Self {
            path: error.path.clone(),
            error: error.message.clone(),
        }
    }
}

/// The manifest of a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format: 1.
    pub format: u32,
    /// The program that wrote it, such as `copal 0.1.0`.
    pub created_by: String,
    /// When the backup was planned.
    pub time: Timestamp,
    /// The machine.
    pub hostname: String,
    /// The plugin, whose component lies beside the manifest.
    pub plugin: PluginIdentity,
    /// The roots, each a directory of the snapshot.
    pub roots: Vec<Root>,
    /// The plugin's streams, each a file beneath `streams/`.
    pub streams: Vec<String>,
    /// The operator's own streams, which lie beside them.
    #[serde(default)]
    pub operator_streams: Vec<String>,
    /// The plugin's configuration, without secrets.
    pub config: Map<String, Value>,
    /// What the operator had allowed, as it was written.
    pub grants: Vec<String>,
    /// What the plugin noted for a restore.
    pub facts: BTreeMap<String, Value>,
    /// What the plugin and the host had to say.
    pub findings: Vec<Finding>,
    /// How the steps ended.
    pub steps: Vec<StepOutcome>,
    /// SHA-256 of the plan's state, 64 hex digits.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state_digest: String,
    /// The roots whose passes had nothing to say: filters need not run again there for files that have not changed since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent_roots: Vec<String>,
    /// The sources in the order in which they were read.
    pub sources: Vec<String>,
    /// Whether everything that the plan names is in the snapshot.
    pub complete: bool,
    /// What is not.
    pub missing: Vec<Missing>,
    /// What it was taken for, where it is a safety snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety: Option<Safety>,
}

impl Manifest {
    /// A manifest made here and now, of a snapshot that holds nothing yet and lacks nothing.
    pub(crate) fn new(plugin: PluginIdentity, context: &Context) -> Self {
        Self {
            format: FORMAT,
            created_by: context.program.clone(),
            time: Timestamp::now(),
            hostname: context.identity.hostname.clone(),
            plugin,
            roots: Vec::new(),
            streams: Vec::new(),
            operator_streams: Vec::new(),
            config: Map::new(),
            grants: Vec::new(),
            facts: BTreeMap::new(),
            findings: Vec::new(),
            steps: Vec::new(),
            state_digest: String::new(),
            silent_roots: Vec::new(),
            sources: Vec::new(),
            complete: true,
            missing: Vec::new(),
            safety: None,
        }
    }

    /// Puts the manifest and the plugin's component with its release into a snapshot.
    pub(crate) fn add_to(
        &self,
        archiver: &mut Archiver<'_>,
        plugin: &Plugin,
        release: &Release,
    ) -> Result<(), Error> {
        let bytes = self.to_bytes()?;
        archiver.add_file(PLUGIN_PATH, plugin.bytes())?;
        release.add_to(archiver)?;
        Ok(archiver.add_file(MANIFEST_PATH, &bytes)?)
    }

    /// As it is stored.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec_pretty(self).map_err(|e| Error::Snapshot {
            what: "manifest",
            problem: e.to_string(),
        })
    }

    /// The tag by which snapshots of this plugin are found.
    pub(crate) fn plugin_tag(&self) -> String {
        format!("plugin:{}", self.plugin.name)
    }

    /// Reads the manifest of a snapshot; none where there is none, as in a snapshot that restic wrote.
    ///
    /// # Errors
    /// The repository can't be read, or the manifest is none of this format or has names that are no names of roots and streams.
    pub fn read(repository: &Repository, tree: &TreeId) -> Result<Option<Self>, Error> {
        let bytes = read_file(repository, tree, MANIFEST_PATH, MANIFEST_LIMIT)?;
        bytes.map(|bytes| Self::parse(&bytes)).transpose()
    }

    /// Reads a manifest as it is stored.
    ///
    /// # Errors
    /// It is none of this format, or has names that are no names of roots and streams.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let unusable = |problem: String| Error::Snapshot {
            what: "manifest",
            problem,
        };
        // The version first: a newer format may not fit the rest.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version =
            serde_json::from_slice(bytes).map_err(|e| unusable(e.to_string()))?;
        if version.format != FORMAT {
            let problem = format!(
                "it has format {}, and this version of Copal reads {FORMAT}",
                version.format
            );
            return Err(unusable(problem));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| unusable(e.to_string()))?;
        manifest.check_names().map_err(unusable)?;
        Ok(manifest)
    }

    /// Refuses names that would be more than one name where they become part of a path: whoever may write to a repository chooses them.
    fn check_names(&self) -> Result<(), String> {
        let absent = self.safety.iter().flat_map(|safety| &safety.absent);
        for Root { name, .. } in self.roots.iter().chain(absent) {
            if !is_root_name(name) {
                return Err(format!("`{}` is no name of a root", name.escape_debug()));
            }
        }
        for name in self.streams.iter().chain(&self.operator_streams) {
            if !is_file_name(name) {
                return Err(format!("`{}` is no name of a stream", name.escape_debug()));
            }
        }
        Ok(())
    }

    /// Reads the plugin's component out of the snapshot, and checks that it is the one that the manifest names.
    pub fn plugin(&self, repository: &Repository, tree: &TreeId) -> Result<Vec<u8>, Error> {
        let unusable = |problem: String| Error::Snapshot {
            what: "plugin",
            problem,
        };
        let bytes = match read_file(repository, tree, PLUGIN_PATH, PLUGIN_LIMIT) {
            Err(Error::Repository(error)) if error.is_loss() => {
                return Err(unusable(format!("{PLUGIN_PATH}: {error}")));
            }
            bytes => bytes?,
        };
        let bytes = bytes.ok_or_else(|| unusable(format!("there is no {PLUGIN_PATH}")))?;
        let digest = copal_sandbox::digest(&bytes);
        if digest != self.plugin.digest {
            return Err(unusable(format!(
                "its digest is {digest}, and the manifest names {}",
                self.plugin.digest
            )));
        }
        Ok(bytes)
    }

    /// Refuses a component that calls itself something else than the manifest does: what is known of that name would be taken for its own.
    pub(crate) fn confirm(&self, found: &PluginIdentity) -> Result<(), Error> {
        if *found == self.plugin {
            return Ok(());
        }
        Err(Error::Snapshot {
            what: "plugin",
            problem: format!(
                "it says that it is {} {}, and the manifest names {} {}",
                found.name, found.version, self.plugin.name, self.plugin.version
            ),
        })
    }

    /// The facts as the contract hands them to the plugin.
    pub(crate) fn contract_facts(&self) -> Vec<Fact> {
        let facts = self.facts.iter();
        facts
            .map(|(name, value)| Fact {
                name: name.clone(),
                value: value.to_string(),
            })
            .collect()
    }
}

fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

pub(crate) fn read_file(
    repository: &Repository,
    tree: &TreeId,
    path: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(node) = walk::find(repository, tree, path.as_bytes())? else {
        return Ok(None);
    };
    if node.size > limit {
        let problem = format!(
            "{path} has {} bytes, and at most {limit} are read",
            node.size
        );
        return Err(Error::Snapshot {
            what: "manifest",
            problem,
        });
    }
    // Its size is what the repository says; no more than that is taken.
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(Some(walk::read_range(repository, &node, 0, limit)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(root: &str, streams: [&str; 2]) -> Result<Manifest, Error> {
        let manifest = json!({
            "format": FORMAT,
            "created_by": "copal 0.1.0",
            "time": "2026-11-21T00:00:00Z",
            "hostname": "db1",
            "plugin": {"name": "copal/files", "version": "0.1.0", "digest": ""},
            "roots": [{"name": root, "path": "/srv"}],
            "streams": streams[..1],
            "operator_streams": streams[1..],
            "config": {},
            "grants": [],
            "facts": {},
            "findings": [],
            "steps": [],
            "sources": [],
            "complete": true,
            "missing": [],
        });
        Manifest::parse(manifest.to_string().as_bytes())
    }

    #[test]
    fn names_that_lead_out_of_their_folder_are_refused() {
        assert!(parse("home-2", ["CC.sql", "a b.dump"]).is_ok());
        for root in ["/x", "../x", "..", ".copal", "streams", "a/b", ""] {
            let refused = parse(root, ["a", "b"]).unwrap_err().to_string();
            assert!(refused.contains("no name of a root"), "{refused}");
        }
        for stream in ["../x", "/x", "..", "a/b", ""] {
            for streams in [[stream, "b"], ["a", stream]] {
                let refused = parse("home", streams).unwrap_err().to_string();
                assert!(refused.contains("no name of a stream"), "{refused}");
            }
        }
    }
}
