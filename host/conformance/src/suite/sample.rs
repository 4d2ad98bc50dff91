//! What the suite shows to a plugin.

use std::sync::Arc;

use copal_sandbox::types::{BackupRequest, Command, Description, Failure, FailureKind, Output};
use copal_sandbox::{Probe, Tree};

use crate::case::{Case, trees};
use crate::hostile;
use crate::memory::{EPOCH, MemoryTree};

/// Trees to back up, and how.
pub(super) struct Sample<'a> {
    /// What it is called in reports.
    pub(super) name: String,
    pub(super) roots: Vec<Arc<MemoryTree>>,
    pub(super) case: Option<&'a Case>,
}

impl<'a> Sample<'a> {
    pub(super) fn of_case(case: &'a Case) -> Self {
        Self {
            name: format!("case {}", case.name()),
            roots: case.root_trees().to_vec(),
            case: Some(case),
        }
    }

    /// The samples that need no knowledge of the application: an empty and a hostile tree for each root.
    pub(super) fn made(description: &Description) -> Vec<Self> {
        let roots = description.roots.iter().map(|root| root.name.as_str());
        let mut roots: Vec<_> = roots.collect();
        if roots.is_empty() {
            roots.push("data");
        }
        let one = |name: String, tree: MemoryTree| Self {
            name,
            roots: vec![Arc::new(tree)],
            case: None,
        };
        roots
            .into_iter()
            .flat_map(|root| {
                let empty = MemoryTree::new(root, format!("/empty/{root}"));
                [
                    one(format!("an empty tree as `{root}`"), empty),
                    one(format!("a hostile tree as `{root}`"), hostile::tree(root)),
                ]
            })
            .collect()
    }

    pub(super) fn trees(&self) -> Vec<Arc<dyn Tree>> {
        trees(&self.roots)
    }

    /// The same sample with another tree in the place of the one of that name.
    pub(super) fn with(&self, tree: &Arc<MemoryTree>) -> Vec<Arc<dyn Tree>> {
        let roots = self.roots.iter();
        let roots = roots.map(|root| match root.name() == tree.name() {
            true => tree.clone() as Arc<dyn Tree>,
            false => root.clone(),
        });
        roots.collect()
    }

    pub(super) fn request(&self) -> BackupRequest {
        match self.case {
            Some(case) => case.backup_request(),
            None => BackupRequest {
                config: "{}".to_owned(),
                now: EPOCH,
            },
        }
    }

    pub(super) fn probe(&self) -> Arc<dyn Probe> {
        match self.case {
            Some(case) => case.probe(),
            None => Arc::new(Ungranted),
        }
    }
}

/// Refuses every probe, as the host does where nothing is granted.
struct Ungranted;

impl Probe for Ungranted {
    fn run(&self, _: &Command) -> Result<Output, Failure> {
        Err(Failure::new(
            FailureKind::Denied,
            "copal.grant.missing",
            "no grant covers the command",
        ))
    }
}
