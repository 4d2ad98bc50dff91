//! What the suite shows to a plugin.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use copal_sandbox::types::{BackupRequest, Command, Description, Failure, FailureKind, Output};
use copal_sandbox::{Probe, Tree};

use super::restores::of_roots;
use crate::case::{Case, trees};
use crate::hostile;
use crate::memory::{EPOCH, MemoryTree};

/// Trees to back up, and how.
pub(super) struct Sample<'a> {
    /// What it is called in reports.
    pub(super) name: String,
    pub(super) roots: Vec<Arc<MemoryTree>>,
    pub(super) case: Option<&'a Case>,
    /// Whether the trees are hostile.
    pub(super) hostile: bool,
    /// Whether a command that looks was run since this was last asked.
    probed: Arc<AtomicBool>,
}

impl<'a> Sample<'a> {
    pub(super) fn of_case(case: &'a Case) -> Self {
        Self {
            name: format!("case {}", case.name()),
            roots: case.root_trees().to_vec(),
            case: Some(case),
            hostile: false,
            probed: Arc::default(),
        }
    }

    /// The samples that need no knowledge of the application: an empty and a hostile tree for each root.
    pub(super) fn made(description: &Description) -> Vec<Self> {
        let roots = description.roots.iter().map(|root| root.name.as_str());
        let mut roots: Vec<_> = roots.collect();
        if roots.is_empty() {
            roots.push("data");
        }
        let one = |name: String, tree: MemoryTree, hostile: bool| Self {
            name,
            roots: vec![Arc::new(tree)],
            case: None,
            hostile,
            probed: Arc::default(),
        };
        roots
            .into_iter()
            .flat_map(|root| {
                let empty = MemoryTree::new(root, format!("/empty/{root}"));
                [
                    one(format!("an empty tree as `{root}`"), empty, false),
                    one(
                        format!("a hostile tree as `{root}`"),
                        hostile::tree(root),
                        true,
                    ),
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

    /// Where a snapshot of it is restored to: the targets of its case, and an absent directory for each further root.
    pub(super) fn targets(&self, snapshot: &[Arc<MemoryTree>]) -> Vec<Arc<MemoryTree>> {
        match self.case {
            Some(case) => case.targets(snapshot),
            None => of_roots(snapshot, |root| {
                MemoryTree::new(root, format!("/targets/{root}"))
            }),
        }
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
        let probe: Arc<dyn Probe> = match self.case {
            Some(case) => case.probe(),
            None => Arc::new(Ungranted),
        };
        let probed = self.probed.clone();
        Arc::new(Noted { probe, probed })
    }

    /// Whether a command that looks was run since this was last asked. One that the plugin does not declare reaches no probe.
    pub(super) fn was_probed(&self) -> bool {
        self.probed.swap(false, Ordering::Relaxed)
    }
}

/// Notes that a command was run.
struct Noted {
    probe: Arc<dyn Probe>,
    probed: Arc<AtomicBool>,
}

impl Probe for Noted {
    fn run(&self, command: &Command) -> Result<Output, Failure> {
        self.probed.store(true, Ordering::Relaxed);
        self.probe.run(command)
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
