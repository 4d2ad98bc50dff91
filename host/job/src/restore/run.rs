//! A restore while it runs: placements, feeds, verification.

use std::path::Path;
use std::sync::Arc;

use copal_repository::format::tree::Node;
use copal_repository::pass::Passes;
use copal_repository::{SnapshotId, comparer};
use copal_sandbox::types::{Direction, Feed, Finding, PlacementContent, Severity, VerifyRequest};

use super::{PlannedRestore, RestoreOutcome};
use crate::context::Context;
use crate::error::Error;
use crate::manifest::STREAMS;
use crate::observer::Observer;
use crate::passes::PluginPasses;
use crate::probe::GrantedProbe;
use crate::proposal::directories;
use crate::safety::{Recipe, Saving};
use crate::steps::Steps;
use crate::{convert, feed, safety};

/// A restore while it runs.
pub(super) struct Run<'a> {
    pub(super) planned: &'a PlannedRestore,
    pub(super) context: &'a Context,
    pub(super) observer: &'a dyn Observer,
    pub(super) steps: Steps<'a>,
    pub(super) outcome: RestoreOutcome,
    /// Whether content is missing: then the rest is left out. Metadata that is not exact stops nothing.
    pub(super) lost: bool,
}

impl Run<'_> {
    pub(super) fn restore(
        &mut self,
        saved: &mut dyn FnMut(SnapshotId) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let planned = self.planned;
        self.steps.perform(&planned.plan.before)?;
        if planned.job.safety {
            let safety = self.save()?;
            saved(safety)?;
            self.outcome.safety = Some(safety);
        }
        let safety = self.outcome.safety;
        self.replace().map_err(|work| match safety {
            Some(safety) => Error::Replaced {
                work: work.into(),
                safety,
            },
            None => work,
        })
    }

    /// Saves what is about to be replaced.
    fn save(&self) -> Result<SnapshotId, Error> {
        let planned = self.planned;
        let plugin = planned.loaded.plugin.as_ref().map(|(plugin, _)| plugin);
        let saving = Saving {
            repository: &planned.job.repository,
            plugin: plugin.ok_or_else(|| Error::Roots(super::NO_SAFETY.to_owned()))?,
            release: &planned.loaded.release,
            before: planned.snapshot,
            intent: planned.intent,
            targets: &planned.targets,
            looked_at: &planned.looked_at,
            recipe: &Recipe::from(&planned.plan),
            config: &planned.config,
            grants: &planned.job.grants,
            rollback: false,
        };
        safety::take(&saving, &self.steps, self.context, self.observer)
    }

    fn replace(&mut self) -> Result<(), Error> {
        let planned = self.planned;
        for placement in &planned.plan.placements {
            match &placement.content {
                PlacementContent::Tree(name) => self.tree(name)?,
                PlacementContent::Feed(feed) => self.feed(feed)?,
            }
            if self.lost {
                return Ok(());
            }
        }
        self.steps.perform(&planned.plan.after)?;
        self.outcome.complete = self.outcome.missing.is_empty();
        match planned.job.extent.is_part() {
            // The plugin knows how to judge all of it.
            true => Ok(()),
            false => self.verify(),
        }
    }

    fn tree(&mut self, name: &str) -> Result<(), Error> {
        let planned = self.planned;
        let target = planned.targets.iter().find(|root| root.name == name);
        if let Some(target) = target {
            let place = target.path.display();
            self.observer.phase(&format!("Restoring {name} to {place}"));
        }
        let placed = planned.place(name, false, self.context, self.observer.progress())?;
        self.outcome.files += placed.summary.files;
        self.outcome.bytes += placed.summary.bytes;
        self.outcome.missing.extend(placed.missing.iter().cloned());
        self.lost |= placed.lost;
        self.note(placed.findings.clone())?;
        self.outcome.placed.push(placed);
        match (
            planned.job.rehearsal,
            planned.loaded.trees.get(name),
            target,
        ) {
            (true, Some(node), Some(target)) => self.compare(name, node, &target.path),
            _ => Ok(()),
        }
    }

    /// Holds what was placed against the snapshot, before the plugin's steps alter it.
    fn compare(&self, name: &str, node: &Node, target: &Path) -> Result<(), Error> {
        let PlannedRestore {
            loaded, plan, job, ..
        } = self.planned;
        self.observer.phase(&format!("Comparing {name}"));
        let passes = loaded
            .plugin
            .as_ref()
            .map(|(plugin, _)| PluginPasses::new(plugin, Direction::Restore, &plan.state, name));
        let comparison = comparer::compare(
            &job.repository,
            node,
            target,
            passes.as_ref().map(|passes| passes as &dyn Passes),
            &self.context.cancel,
            self.observer.progress(),
        );
        self.observer
            .compared(name, &comparison.map_err(convert::engine_error)?);
        // What the pass has to say was said when the files were placed.
        passes.map_or(Ok(()), |passes| passes.finish().map(drop))
    }

    fn feed(&mut self, feed: &Feed) -> Result<(), Error> {
        let PlannedRestore {
            loaded, plan, job, ..
        } = self.planned;
        let (Some((plugin, _)), Some(node)) = (&loaded.plugin, loaded.streams.get(&feed.name))
        else {
            return Err(Error::Roots(format!(
                "the snapshot has no stream `{}`",
                feed.name
            )));
        };
        self.observer.phase(&format!("Feeding {}", feed.name));
        let passes = PluginPasses::new(plugin, Direction::Restore, &plan.state, STREAMS);
        feed::feed(
            &job.repository,
            (&feed.name, node),
            &feed.command,
            feed.filter.then_some(&passes),
            &self.steps,
        )?;
        self.note(passes.finish()?)
    }

    fn note(&mut self, findings: Vec<Finding>) -> Result<(), Error> {
        for finding in findings {
            self.observer.finding(&finding);
            self.outcome.findings.push(finding);
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<(), Error> {
        let roots = self.planned.roots();
        let PlannedRestore {
            loaded,
            intent,
            settings,
            job,
            ..
        } = self.planned;
        let Some((plugin, manifest)) = &loaded.plugin else {
            return Ok(());
        };
        self.observer.phase("Verifying");
        let request = VerifyRequest {
            intent: *intent,
            config: settings.clone(),
            facts: manifest.contract_facts(),
            captures: self.steps.captures().to_vec(),
            rehearsal: job.rehearsal,
        };
        let probe = GrantedProbe::new(job.grants.clone(), &roots, self.context.cancel.clone());
        let findings = plugin.verify(
            directories(&roots)?,
            loaded.trees(&job.repository),
            Arc::new(probe),
            request,
        )?;
        let errors: Vec<_> = findings
            .iter()
            .filter(|f| f.severity == Severity::Error)
            .cloned()
            .collect();
        self.note(findings)?;
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Error::Verify(errors))
        }
    }
}
