//! What a snapshot holds for a restore.

use std::collections::BTreeMap;
use std::sync::Arc;

use copal_repository::format::tree::Node;
use copal_repository::{Repository, walk};
use copal_sandbox::{Engine, Plugin, Tree};

use super::{PLAIN, RestoreJob};
use crate::error::Error;
use crate::manifest::{Manifest, STREAMS};
use crate::proposal::Offer;
use crate::snapshot_tree::SnapshotTree;

/// The parts of a snapshot.
pub(super) struct Loaded {
    pub(super) plugin: Option<(Plugin, Manifest)>,
    /// The directory of each root.
    pub(super) trees: BTreeMap<String, Node>,
    /// The folder of the streams.
    streams_folder: Option<Node>,
    /// The file of each stream.
    pub(super) streams: BTreeMap<String, Node>,
}

impl Loaded {
    pub(super) fn load(job: &RestoreJob, engine: &Engine) -> Result<Self, Error> {
        let tree = &job.snapshot.1.tree;
        let find = |path: &str| walk::find(&job.repository, tree, path.as_bytes());
        let Some(manifest) = Manifest::read(&job.repository, tree)? else {
            let all = find("")?;
            return Ok(Self {
                plugin: None,
                trees: all.into_iter().map(|all| (PLAIN.to_owned(), all)).collect(),
                streams_folder: None,
                streams: BTreeMap::new(),
            });
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
        let plugin = match &job.plugin {
            Some(plugin) => plugin.clone(),
            None => engine.load(&manifest.plugin(&job.repository, tree)?)?,
        };
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
        Ok(Self {
            plugin: Some((plugin, manifest)),
            trees,
            streams_folder: find(STREAMS)?,
            streams,
        })
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

    /// What a plan is made from.
    pub(super) fn offer(&self, repository: &Repository, manifest: &Manifest) -> Offer {
        Offer {
            trees: self.trees(repository),
            facts: manifest.contract_facts(),
            streams: manifest.streams.clone(),
        }
    }
}
