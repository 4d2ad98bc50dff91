//! A migration while it runs.

use copal_repository::SnapshotId;
use copal_sandbox::Engine;
use copal_sandbox::types::RestorePlan;

use super::record::{Entered, Record, Stage};
use super::stages::Part;
use super::{MigrationJob, MigrationOutcome};
use crate::backup::{BackupOutcome, PlannedBackup};
use crate::context::Context;
use crate::error::{Error, UndoFailure};
use crate::observer::Observer;
use crate::restore::{PlannedRestore, RestoreOutcome};
use crate::rollback::RollbackJob;

/// A migration while it runs.
pub(super) struct Run<'a> {
    pub(super) job: MigrationJob,
    /// The plan of the restore that was approved.
    pub(super) shown: RestorePlan,
    pub(super) record: Record,
    pub(super) engine: &'a Engine,
    pub(super) context: &'a Context,
    pub(super) observer: &'a dyn Observer,
    /// Steps at the source that could not be taken back.
    pub(super) not_undone: Vec<UndoFailure>,
}

impl Run<'_> {
    pub(super) fn migrate(
        &mut self,
        backup: Option<PlannedBackup>,
        agree: &mut dyn FnMut(&PlannedRestore) -> bool,
    ) -> Result<(Option<BackupOutcome>, RestoreOutcome), Error> {
        let (snapshot, backup) = match (self.record.snapshot, backup) {
            (Some(snapshot), _) => (snapshot, None),
            (None, Some(planned)) => {
                let outcome = self.dump(planned)?;
                (outcome.snapshot, Some(outcome))
            }
            (None, None) => {
                let problem = "the migration has neither a snapshot nor a plan to make one";
                return Err(Error::Roots(problem.to_owned()));
            }
        };
        let restore = self.upload(snapshot, agree)?;
        Ok((backup, restore))
    }

    /// Reads the source.
    fn dump(&mut self, planned: PlannedBackup) -> Result<BackupOutcome, Error> {
        self.record.enter(Stage::Setup)?;
        let part = Part::new(
            self.observer,
            Stage::Setup,
            Some(Stage::Dump),
            Stage::Upload.percent(),
        );
        let approved = planned.approve()?;
        let outcome = approved.run(&self.job.repository, self.context, &part);
        if let Some(time) = part.reading_since() {
            self.record.stages.push(Entered {
                stage: Stage::Dump,
                time,
            });
        }
        let outcome = outcome?;
        self.not_undone.clone_from(&outcome.not_undone);
        if !outcome.complete {
            return Err(Error::Incomplete(outcome.missing));
        }
        self.record.snapshot = Some(outcome.snapshot);
        self.record.save()?;
        Ok(outcome)
    }

    /// Fills the target.
    fn upload(
        &mut self,
        snapshot: SnapshotId,
        agree: &mut dyn FnMut(&PlannedRestore) -> bool,
    ) -> Result<RestoreOutcome, Error> {
        self.record.enter(Stage::Upload)?;
        let part = Part::new(
            self.observer,
            Stage::Upload,
            None,
            Stage::Done.percent() - 1,
        );
        let saved = self.record.safety;
        if let Some(safety) = saved {
            self.put_back(safety, &part)?;
        }
        let job = self.job.restore_job(snapshot, saved.is_none())?;
        let planned = job.plan(self.engine, self.context)?;
        if !same(&planned.plan, &self.shown) && !agree(&planned) {
            return Err(Error::Declined);
        }
        let record = &mut self.record;
        let outcome = planned
            .approve()?
            .run_noting(self.context, &part, &mut |safety| {
                record.safety = Some(safety);
                record.save()
            })?;
        match outcome.complete {
            true => Ok(outcome),
            false => Err(Error::Incomplete(outcome.missing).and_not_undone(outcome.not_undone)),
        }
    }

    /// Makes the target what it was before an earlier attempt.
    pub(super) fn put_back(
        &self,
        safety: SnapshotId,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let repository = &self.job.repository;
        let job = RollbackJob {
            repository: repository.clone(),
            snapshot: repository.snapshot(&safety.to_string())?,
            settings: self.job.settings.clone(),
            grants: self.job.grants.clone(),
        };
        let planned = job.plan(self.engine, self.context)?;
        let outcome = planned.approve()?.run(self.context, observer)?;
        let error = match (outcome.missing.is_empty(), outcome.not_undone.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => Error::NotPutBack,
            (false, _) => Error::Incomplete(outcome.missing),
        };
        Err(error.and_not_undone(outcome.not_undone))
    }

    /// Notes how it ended.
    pub(super) fn end(
        mut self,
        ended: Result<(Option<BackupOutcome>, RestoreOutcome), Error>,
    ) -> Result<MigrationOutcome, Error> {
        let stage = match &ended {
            Ok(_) => Stage::Done,
            Err(error) if error.kind() == "interrupted" => Stage::Cancelled,
            Err(_) => Stage::Error,
        };
        let reached = self
            .record
            .stages
            .last()
            .map_or(0, |last| last.stage.percent());
        self.observer.stage(stage, reached.max(stage.percent()));
        match ended {
            Ok((backup, restore)) => {
                // Nothing of it may be taken up again.
                self.record.remove()?;
                self.record.stages.push(Entered::now(stage));
                Ok(MigrationOutcome {
                    backup,
                    restore,
                    safety: self.record.safety,
                    stages: self.record.stages,
                })
            }
            Err(error) => {
                self.record.problem = Some(error.to_string());
                if let Err(unsaved) = self.record.enter(stage) {
                    tracing::error!("{unsaved}");
                }
                let error = match self.record.safety {
                    Some(safety) if !matches!(error, Error::Replaced { .. }) => Error::Replaced {
                        work: error.into(),
                        safety,
                    },
                    _ => error,
                };
                Err(error.and_not_undone(self.not_undone))
            }
        }
    }
}

/// Whether two plans do the same.
fn same(one: &RestorePlan, other: &RestorePlan) -> bool {
    one.before == other.before
        && one.after == other.after
        && one.placements == other.placements
        && one.safeguards == other.safeguards
}
