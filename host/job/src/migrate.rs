//! Migrating an application: back up here, restore there, as one piece of work with one plan.

mod record;
mod stages;

use std::path::PathBuf;

use copal_repository::{Repository, SnapshotId};
use copal_sandbox::types::{Intent, RestorePlan, SourceContent};
use copal_sandbox::{Engine, Grants};
use serde::Serialize;
use serde_json::{Map, Value};

pub use self::record::{Entered, Record, Stage};
use self::stages::Part;
use crate::backup::{BackupJob, BackupOutcome, PlannedBackup};
use crate::context::Context;
use crate::error::{Error, UndoFailure};
use crate::observer::Observer;
use crate::operator::OperatorFeed;
use crate::places::Root;
use crate::plan::{self, Needed};
use crate::proposal::{Offer, Proposal, Terms, directories, propose};
use crate::restore::{PlannedRestore, RestoreJob, RestoreOutcome};
use crate::rollback::RollbackJob;
use crate::roots;
use crate::settings::Settings;

/// A migration as the operator asks for it.
#[derive(Clone)]
pub struct MigrationJob {
    /// By what it is found again where it was cut off: the job's name, or what the operator calls it.
    pub name: String,
    /// Where the snapshots go.
    pub repository: Repository,
    /// How the source is read.
    pub backup: BackupJob,
    /// The directories to fill.
    pub targets: Vec<(Option<String>, PathBuf)>,
    /// Why; none for `migrate`.
    pub intent: Option<Intent>,
    /// The plugin's configuration at the target.
    pub settings: Settings,
    /// Commands of the operator's that take the operator's own streams.
    pub feeds: Vec<OperatorFeed>,
    /// What the operator allows at the target.
    pub grants: Grants,
}

/// A migration that was planned and not yet performed, or not to its end.
#[derive(Serialize)]
pub struct PlannedMigration {
    /// How the source is read; none where its snapshot is there already.
    pub backup: Option<PlannedBackup>,
    /// What happens at the target, as far as it can be known before there is a snapshot.
    pub restore: RestorePreview,
    /// What was done before it was cut off.
    pub resumed: Option<Record>,
    #[serde(skip)]
    job: MigrationJob,
}

/// The plan of a restore whose snapshot is yet to be made. It is made again from the snapshot, and then refused if it needs more than was granted.
#[derive(Serialize)]
pub struct RestorePreview {
    /// Why the restore happens.
    pub intent: Intent,
    /// The directories to fill.
    pub targets: Vec<Root>,
    /// The directories that the plugin only looks at.
    pub looked_at: Vec<Root>,
    /// The plugin's configuration, without secrets.
    pub config: Map<String, Value>,
    /// What the plugin is going to have done.
    pub plan: RestorePlan,
    /// The grants that it needs.
    pub grants: Vec<Needed>,
}

/// What a migration left.
#[derive(Debug, Serialize)]
pub struct MigrationOutcome {
    /// How the source was read; none where its snapshot was there already.
    pub backup: Option<BackupOutcome>,
    /// How the target was filled.
    pub restore: RestoreOutcome,
    /// The stages, with the times at which they began.
    pub stages: Vec<Entered>,
}

impl MigrationOutcome {
    /// Steps that could not be taken back, at the source and at the target.
    pub fn not_undone(&self) -> impl Iterator<Item = &UndoFailure> {
        let backup = self.backup.iter().flat_map(|backup| &backup.not_undone);
        backup.chain(&self.restore.not_undone)
    }
}

impl MigrationJob {
    /// The migration of this name that was cut off, failed or was cancelled.
    pub fn unfinished(&self, context: &Context) -> Result<Option<Record>, Error> {
        Record::find(&context.state, &self.name)
    }

    /// Forgets what was done of an earlier attempt. Its snapshots stay.
    pub fn forget(&self, context: &Context) -> Result<(), Error> {
        match self.unfinished(context)? {
            Some(record) => record.remove(),
            None => Ok(()),
        }
    }

    /// Asks the plugin for both plans and checks them. Changes nothing. With `resume`, takes up what an earlier attempt left.
    pub fn plan(
        self,
        engine: &Engine,
        resume: bool,
        context: &Context,
    ) -> Result<PlannedMigration, Error> {
        let unfinished = self.unfinished(context)?;
        match (&unfinished, resume) {
            (Some(record), false) => {
                let stage = record.stages.last().map_or(Stage::Init, |last| last.stage);
                return Err(Error::Unfinished {
                    name: self.name.clone(),
                    stage: stage.word(),
                });
            }
            (None, true) => {
                let problem = format!("there is no migration `{}` to resume", self.name);
                return Err(Error::Roots(problem));
            }
            _ => {}
        }
        let snapshot = unfinished.as_ref().and_then(|record| record.snapshot);
        let (backup, restore) = match snapshot {
            Some(snapshot) => (None, self.planned_restore(snapshot, engine, context)?),
            None => {
                let backup = self.backup.clone().plan(context)?;
                let preview = self.preview(&backup, context)?;
                (Some(backup), preview)
            }
        };
        Ok(PlannedMigration {
            backup,
            restore,
            resumed: unfinished,
            job: self,
        })
    }

    fn intent(&self) -> Intent {
        self.intent.unwrap_or(Intent::Migrate)
    }

    fn restore_job(&self, snapshot: SnapshotId, safety: bool) -> Result<RestoreJob, Error> {
        Ok(RestoreJob {
            repository: self.repository.clone(),
            snapshot: self.repository.snapshot(&snapshot.to_string())?,
            plugin: None,
            targets: self.targets.clone(),
            intent: Some(self.intent()),
            settings: self.settings.clone(),
            feeds: self.feeds.clone(),
            grants: self.grants.clone(),
            rehearsal: false,
            safety,
        })
    }

    /// The plan of a restore whose snapshot is there.
    fn planned_restore(
        &self,
        snapshot: SnapshotId,
        engine: &Engine,
        context: &Context,
    ) -> Result<RestorePreview, Error> {
        let planned = self.restore_job(snapshot, true)?.plan(engine, context)?;
        Ok(RestorePreview {
            intent: planned.intent,
            targets: planned.targets,
            looked_at: planned.looked_at,
            config: planned.config,
            plan: planned.plan,
            grants: planned.grants,
        })
    }

    /// The plan of a restore from the source as it is, which is what the snapshot will hold.
    fn preview(&self, backup: &PlannedBackup, context: &Context) -> Result<RestorePreview, Error> {
        let plugin = &self.backup.plugin;
        let mut held = Vec::new();
        let mut streams = Vec::new();
        for source in &backup.plan.sources {
            match &source.content {
                SourceContent::Tree(root) => held.push(root.clone()),
                SourceContent::Command(stream) => streams.push(stream.name.clone()),
            }
        }
        streams.retain(|name| !backup.operator_streams.contains(name));
        let (targets, looked_at) = roots::targets(&self.targets, &held, &plugin.describe()?.roots)?;
        roots::check_spare(&targets, self.repository.location(), &context.state)?;
        let read: Vec<Root> = backup
            .roots
            .iter()
            .filter(|root| held.contains(&root.name))
            .cloned()
            .collect();
        let offer = Offer {
            trees: directories(&read)?,
            facts: backup.plan.facts.clone(),
            streams,
        };
        let terms = Terms {
            intent: Some(self.intent()),
            settings: &self.settings,
            grants: &self.grants,
            rehearsal: false,
            safety: true,
        };
        let Proposal {
            intent,
            config,
            plan,
            grants,
            ..
        } = propose(plugin, offer, &targets, &looked_at, &terms, context)?;
        Ok(RestorePreview {
            intent,
            targets,
            looked_at,
            config,
            plan,
            grants,
        })
    }
}

impl PlannedMigration {
    /// Refuses the plans if one has an error among its findings or needs a grant that was not given.
    pub fn approve(self) -> Result<ApprovedMigration, Error> {
        if let Some(backup) = &self.backup {
            plan::approve(&backup.plan.findings, &backup.grants)?;
        }
        // What an earlier attempt left at the target is put back first, so what the plan says of it does not count.
        let replaced = self
            .resumed
            .as_ref()
            .is_some_and(|record| record.safety.is_some());
        let findings = match replaced {
            true => &[],
            false => self.restore.plan.findings.as_slice(),
        };
        plan::approve(findings, &self.restore.grants)?;
        Ok(ApprovedMigration(self))
    }
}

/// A migration that may be carried out.
pub struct ApprovedMigration(PlannedMigration);

impl ApprovedMigration {
    /// Carries both plans out, from where an earlier attempt was cut off. `agree` is asked where the restore turns out other than it was shown.
    ///
    /// # Errors
    /// Something fails or the operator interrupts: the application is as it was at the source, and what was done is kept for another attempt.
    pub fn run(
        self,
        engine: &Engine,
        context: &Context,
        observer: &dyn Observer,
        agree: &mut dyn FnMut(&PlannedRestore) -> bool,
    ) -> Result<MigrationOutcome, Error> {
        let PlannedMigration {
            backup,
            restore,
            resumed,
            job,
        } = self.0;
        let record = match resumed {
            Some(record) => record,
            None => Record::new(
                &context.state,
                &job.name,
                &backup
                    .as_ref()
                    .map(|backup| backup.plugin.name.clone())
                    .unwrap_or_default(),
                backup
                    .as_ref()
                    .map_or(&[], |backup| backup.roots.as_slice()),
                &restore.targets,
            ),
        };
        let mut run = Run {
            job,
            shown: restore.plan,
            record,
            engine,
            context,
            observer,
        };
        observer.stage(Stage::Init, 0);
        let ended = run.migrate(backup, agree);
        run.end(ended)
    }
}

/// A migration while it runs.
struct Run<'a> {
    job: MigrationJob,
    /// The plan of the restore that was approved.
    shown: RestorePlan,
    record: Record,
    engine: &'a Engine,
    context: &'a Context,
    observer: &'a dyn Observer,
}

impl Run<'_> {
    fn migrate(
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
            false => Err(Error::Incomplete(outcome.missing)),
        }
    }

    /// Makes the target what it was before an earlier attempt.
    fn put_back(&self, safety: SnapshotId, observer: &dyn Observer) -> Result<(), Error> {
        let repository = &self.job.repository;
        let job = RollbackJob {
            repository: repository.clone(),
            snapshot: repository.snapshot(&safety.to_string())?,
            settings: self.job.settings.clone(),
            grants: self.job.grants.clone(),
        };
        let planned = job.plan(self.engine, self.context)?;
        let outcome = planned.approve()?.run(self.context, observer)?;
        match outcome.missing.is_empty() {
            true => Ok(()),
            false => Err(Error::Incomplete(outcome.missing)),
        }
    }

    /// Notes how it ended.
    fn end(
        mut self,
        ended: Result<(Option<BackupOutcome>, RestoreOutcome), Error>,
    ) -> Result<MigrationOutcome, Error> {
        let stage = match &ended {
            Ok(_) => Stage::Done,
            Err(error) if error.kind() == "interrupted" => Stage::Cancelled,
            Err(_) => Stage::Error,
        };
        self.record.problem = ended.as_ref().err().map(ToString::to_string);
        let noted = self.record.enter(stage);
        self.observer.stage(stage, stage.percent());
        let (backup, restore) = ended?;
        noted?;
        self.record.remove()?;
        Ok(MigrationOutcome {
            backup,
            restore,
            stages: self.record.stages,
        })
    }
}

/// Whether two plans do the same.
fn same(one: &RestorePlan, other: &RestorePlan) -> bool {
    one.before == other.before
        && one.after == other.after
        && one.placements == other.placements
        && one.safeguards == other.safeguards
}
