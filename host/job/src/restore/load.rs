//! What a snapshot holds for a restore.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use copal_repository::format::tree::Node;
use copal_repository::{Repository, walk};
use copal_sandbox::{Engine, Grant, Plugin, Tree};

use super::{PLAIN, RestoreJob};
use crate::authority::{Release, Use};
use crate::context::Context;
use crate::error::Error;
use crate::manifest::{Manifest, PluginIdentity, STREAMS};
use crate::proposal::Offer;
use crate::snapshot_tree::SnapshotTree;

/// The parts of a snapshot.
pub(super) struct Loaded {
    pub(super) plugin: Option<(Plugin, Manifest)>,
    /// The plugin's release.
    pub(super) release: Release,
    /// The directory of each root.
    pub(super) trees: BTreeMap<String, Node>,
    /// The folder of the streams.
    streams_folder: Option<Node>,
    /// The file of each stream.
    pub(super) streams: BTreeMap<String, Node>,
}

impl Loaded {
    /// Reads the snapshot, and lets its plugin work; gives what is allowed to that for good besides.
    pub(super) fn load(
        job: &RestoreJob,
        engine: &Engine,
        context: &Context,
    ) -> Result<(Self, Vec<Grant>), Error> {
        let tree = &job.snapshot.1.tree;
        let find = |path: &str| walk::find(&job.repository, tree, path.as_bytes());
        let Some(manifest) = Manifest::read(&job.repository, tree)? else {
            let all = find("")?;
            let plain = Self {
                plugin: None,
                release: Release::default(),
                trees: all.into_iter().map(|all| (PLAIN.to_owned(), all)).collect(),
                streams_folder: None,
                streams: BTreeMap::new(),
            };
            return Ok((plain, Vec::new()));
        };
        if let Some(safety) = &manifest.safety {
            return Err(Error::Snapshot {
                what: "manifest",
                problem: format!(
                    "it is a safety snapshot, taken before snapshot {} was restored: `copal rollback` puts it back",
                    safety.before.short()
                ),
            });
        }
        let to = match job.allow_revoked {
            true => Use::RestoreRevoked,
            false => Use::Restore,
        };
        let admit = |plugin, release| context.admit(plugin, release, to);
        let (plugin, release) = match &job.plugin {
            Some(plugin) => {
                let identity = PluginIdentity::new(plugin, plugin.describe()?);
                (plugin.clone(), admit(&identity, Release::default())?)
            }
            None => {
                let release = Release::read(&job.repository, tree)?;
                let release = admit(&manifest.plugin, release)?;
                let component = manifest.plugin(&job.repository, tree)?;
                let plugin = engine.load(&component)?;
                manifest.confirm(&PluginIdentity::new(&plugin, plugin.describe()?))?;
                (plugin, release)
            }
        };
        let allowed = context.allowed(&plugin)?;
        let mut trees = BTreeMap::new();
        for root in &manifest.roots {
            if let Some(node) = find(&root.name)? {
                trees.insert(root.name.clone(), node);
            }
        }
        let mut streams = BTreeMap::new();
        for name in manifest.streams.iter().chain(&manifest.operator_streams) {
            if let Some(node) = find(&format!("{STREAMS}/{name}"))? {
                streams.insert(name.clone(), node);
            }
        }
        let loaded = Self {
            plugin: Some((plugin, manifest)),
            release,
            trees,
            streams_folder: find(STREAMS)?,
            streams,
        };
        Ok((loaded, allowed))
    }

    /// What the plugin sees of the snapshot.
    pub(super) fn trees(&self, repository: &Repository) -> Vec<Arc<dyn Tree>> {
        let streams = self.streams_folder.iter().map(|node| (STREAMS, node));
        let roots = self.trees.iter().map(|(name, node)| (name.as_str(), node));
        roots
            .chain(streams)
            .map(|(name, node)| {
                let tree = SnapshotTree::new(repository.clone(), name.to_owned(), node.clone());
                Arc::new(tree) as Arc<dyn Tree>
            })
            .collect()
    }

    /// What the backup could not save.
    pub(super) fn missing(&self) -> HashSet<String> {
        let manifest = self.plugin.iter().map(|(_, manifest)| manifest);
        let missing = manifest.flat_map(|manifest| &manifest.missing);
        missing.map(|missing| missing.path.clone()).collect()
    }

    /// What a plan is made from.
    pub(super) fn offer(&self, repository: &Repository, manifest: &Manifest) -> Offer {
        Offer {
            trees: self.trees(repository),
            facts: manifest.contract_facts(),
            streams: manifest.streams.clone(),
        }
    }
}
