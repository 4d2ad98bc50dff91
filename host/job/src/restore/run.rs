//! A restore while it runs: placements, feeds, verification.

use std::io::{self, Write};

use copal_repository::pass::{Pass, PassError, Passes};
use copal_repository::progress::ItemErrorKind;
use copal_repository::restorer::{self, RestoreOptions};
use copal_repository::walk;
use copal_sandbox::types::{Direction, Feed, Finding, PlacementContent, Severity, VerifyRequest};

use super::{PlannedRestore, RestoreOutcome, directories};
use crate::context::Context;
use crate::convert;
use crate::error::Error;
use crate::manifest::{Missing, STREAMS};
use crate::observer::Observer;
use crate::passes::PluginPasses;
use crate::probe::GrantedProbe;
use crate::process::{self, ProcessError};
use crate::steps::Steps;
use std::sync::Arc;

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
    pub(super) fn restore(&mut self) -> Result<(), Error> {
        let planned = self.planned;
        self.steps.perform(&planned.plan.before)?;
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
        self.verify()
    }

    fn tree(&mut self, name: &str) -> Result<(), Error> {
        let PlannedRestore {
            targets,
            loaded,
            plan,
            job,
            ..
        } = self.planned;
        let target = targets.iter().find(|root| root.name == name);
        let (Some(target), Some(node)) = (target, loaded.trees.get(name)) else {
            return Err(Error::Roots(format!(
                "there is nothing to restore for the root `{name}`"
            )));
        };
        self.observer
            .phase(&format!("Restoring {name} to {}", target.path.display()));
        let passes = loaded
            .plugin
            .as_ref()
            .map(|(plugin, _)| PluginPasses::new(plugin, Direction::Restore, &plan.state, name));
        let used = passes.as_ref().map(|passes| passes as &dyn Passes);
        let options = RestoreOptions {
            cancel: self.context.cancel.clone(),
        };
        let progress = self.observer.progress();
        let restored = match (&used, node.subtree) {
            // All of a snapshot has no metadata of its own that its target could take.
            (None, Some(tree)) => restorer::restore_tree(
                &job.repository,
                tree,
                &target.path,
                None,
                &options,
                progress,
            ),
            _ => restorer::restore_node(
                &job.repository,
                node,
                &target.path,
                used,
                &options,
                progress,
            ),
        };
        let summary = restored.map_err(convert::engine_error)?;
        self.outcome.files += summary.files;
        self.outcome.bytes += summary.bytes;
        self.lost |= summary
            .errors
            .iter()
            .any(|error| error.kind == ItemErrorKind::Lost);
        self.outcome
            .missing
            .extend(summary.errors.iter().map(Missing::from));
        passes.map_or(Ok(()), |passes| self.note(passes.finish()?))
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
        let fed = process::feed(
            &feed.command,
            self.steps.places(),
            self.steps.cancel(),
            |stdin| {
                if !feed.filter {
                    return Ok(walk::dump(&job.repository, node, stdin)?);
                }
                let mut pass = passes.start().map_err(PassFailed)?;
                pass.open(feed.name.as_bytes(), node).map_err(PassFailed)?;
                let mut filtered = Filtered {
                    pass: &mut *pass,
                    out: stdin,
                    failed: None,
                };
                let dumped = walk::dump(&job.repository, node, &mut filtered);
                if let Some(failed) = filtered.failed.take() {
                    return Err(PassFailed(failed).into());
                }
                dumped?;
                let rest = pass.finish_file().map_err(PassFailed)?;
                Ok(stdin
                    .write_all(&rest)
                    .map_err(|e| copal_repository::Error::io(&feed.name, e))?)
            },
        );
        fed.map_err(|error| match error {
            FeedError::Process(ProcessError::Interrupted(_)) => Error::interrupted(),
            FeedError::Process(source) => Error::Stream {
                name: feed.name.clone(),
                source,
            },
            FeedError::Repository(error) => convert::engine_error(error),
        })?;
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
        let PlannedRestore {
            targets,
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
        let probe = GrantedProbe::new(job.grants.clone(), targets, self.context.cancel.clone());
        let findings = plugin.verify(
            directories(targets)?,
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

/// Why feeding a command ended early.
enum FeedError {
    Process(ProcessError),
    Repository(copal_repository::Error),
}

impl From<ProcessError> for FeedError {
    fn from(error: ProcessError) -> Self {
        Self::Process(error)
    }
}

impl From<copal_repository::Error> for FeedError {
    fn from(error: copal_repository::Error) -> Self {
        Self::Repository(error)
    }
}

struct PassFailed(PassError);

impl From<PassFailed> for FeedError {
    fn from(PassFailed(error): PassFailed) -> Self {
        Self::Repository(copal_repository::Error::Pass(match error {
            PassError::Item(message) => message.into(),
            PassError::Fatal(error) => error,
        }))
    }
}

/// Sends what is written through a pass.
struct Filtered<'a> {
    pass: &'a mut dyn Pass,
    out: &'a mut dyn Write,
    failed: Option<PassError>,
}

impl Write for Filtered<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = &bytes[..bytes.len().min(1 << 20)];
        match self.pass.push(chunk) {
            Ok(ready) => self.out.write_all(&ready)?,
            Err(error) => {
                self.failed = Some(error);
                return Err(io::Error::other("the plugin's filter failed"));
            }
        }
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
