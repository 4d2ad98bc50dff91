//! Putting a root's tree in place, or finding out what that would do.

use std::path::PathBuf;

use copal_repository::pass::Passes;
use copal_repository::progress::{ItemErrorKind, Progress};
use copal_repository::restorer::{self, RestoreOptions, RestoreSummary};
use copal_sandbox::types::{Direction, Finding, PlacementContent, Severity};
use serde::Serialize;

use super::PlannedRestore;
use crate::context::Context;
use crate::convert;
use crate::error::Error;
use crate::manifest::Missing;
use crate::observer::Observer;
use crate::passes::PluginPasses;

/// What became of one root, or would become.
#[derive(Clone, Debug, Serialize)]
pub struct Placed {
    /// The root.
    pub root: String,
    /// Where it was restored to.
    pub target: PathBuf,
    /// How much, and what of what was there it changed.
    #[serde(flatten)]
    pub summary: RestoreSummary,
    /// What could not be restored, or not well.
    pub missing: Vec<Missing>,
    /// Whether content is missing, and not only metadata.
    #[serde(skip)]
    pub(super) lost: bool,
    /// What the plugin had to say.
    #[serde(skip)]
    pub(super) findings: Vec<Finding>,
}

impl PlannedRestore {
    /// Finds out what the restore would do to the targets as they are now, and notes it for whoever reads the plan; not of a plan that is refused.
    /// Changes nothing.
    ///
    /// # Errors
    /// The repository or a target can't be read, or a pass of the plugin fails.
    pub fn preview(mut self, context: &Context, observer: &dyn Observer) -> Result<Self, Error> {
        let refused = |finding: &Finding| finding.severity == Severity::Error;
        if self.plan.findings.iter().any(refused) {
            return Ok(self);
        }
        let mut preview = Vec::new();
        for placement in &self.plan.placements {
            if let PlacementContent::Tree(name) = &placement.content {
                observer.phase(&format!("Comparing {name} with what is there"));
                preview.push(self.place(name, true, context, observer.progress())?);
            }
        }
        self.preview = Some(preview);
        Ok(self)
    }

    /// Restores a root's tree. In a dry run nothing is changed.
    pub(super) fn place(
        &self,
        name: &str,
        dry_run: bool,
        context: &Context,
        progress: &dyn Progress,
    ) -> Result<Placed, Error> {
        let Self {
            targets,
            loaded,
            plan,
            job,
            ..
        } = self;
        let target = targets.iter().find(|root| root.name == name);
        let (Some(target), Some(node)) = (target, loaded.trees.get(name)) else {
            return Err(Error::Roots(format!(
                "there is nothing to restore for the root `{name}`"
            )));
        };
        let passes = loaded
            .plugin
            .as_ref()
            .map(|(plugin, _)| PluginPasses::new(plugin, Direction::Restore, &plan.state, name));
        let used = passes.as_ref().map(|passes| passes as &dyn Passes);
        let options = RestoreOptions {
            cancel: context.cancel.clone(),
            exact: job.extent.delete,
            spared: loaded.missing(),
            overwrite: job.extent.overwrite,
            choice: job.extent.choice.clone(),
            path: match &loaded.plugin {
                Some(_) => name.as_bytes().to_vec(),
                // All of a snapshot lies at its top.
                None => Vec::new(),
            },
            dry_run,
        };
        let (repository, path) = (&job.repository, &target.path);
        let restored = match (&used, node.subtree) {
            // All of a snapshot has no metadata of its own that its target could take.
            (None, Some(tree)) => {
                restorer::restore_tree(repository, tree, path, None, &options, progress)
            }
            _ => restorer::restore_node(repository, node, path, used, &options, progress),
        };
        let summary = restored.map_err(convert::engine_error)?;
        let findings = passes.map_or(Ok(Vec::new()), PluginPasses::finish)?;
        let mut errors = summary.errors.iter();
        Ok(Placed {
            root: name.to_owned(),
            target: target.path.clone(),
            missing: errors.clone().map(Missing::from).collect(),
            lost: errors.any(|error| error.kind == ItemErrorKind::Lost),
            findings,
            summary,
        })
    }
}
