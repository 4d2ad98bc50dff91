//! Migrating an application: back up here, restore there, as one piece of work with one plan.

mod record;
mod run;
mod stages;

use std::path::PathBuf;

use copal_repository::{Repository, SnapshotId};
use copal_sandbox::types::{Intent, RestorePlan, SourceContent};
use copal_sandbox::{Engine, Grants};
use serde::Serialize;
use serde_json::{Map, Value};

pub use self::record::{Entered, Record, Stage};
use self::run::Run;
use crate::authority::Use;
use crate::backup::{BackupJob, BackupOutcome, PlannedBackup};
use crate::context::Context;
use crate::error::{Error, UndoFailure};
use crate::observer::Observer;
use crate::operator::OperatorFeed;
use crate::places::Root;
use crate::plan::{self, Needed};
use crate::proposal::{Offer, Proposal, Terms, directories, propose};
use crate::restore::{Extent, PlannedRestore, RestoreJob, RestoreOutcome, occupied};
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
    /// Whether the target is filled although the plugin's publisher took the plugin back since the source was read.
    pub allow_revoked: bool,
}

/// What becomes of an earlier migration of the same name that has not reached its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attempt {
    /// There must be none.
    #[default]
    First,
    /// It goes on from there.
    Resume,
    /// It begins again; what the target held is put back first.
    Restart,
}

/// A migration that was planned and not yet performed, or not to its end.
#[derive(Serialize)]
pub struct PlannedMigration {
    /// How the source is read; none where its snapshot is there already.
    pub backup: Option<PlannedBackup>,
    /// What happens at the target, as far as it can be known before there is a snapshot.
    pub restore: RestorePreview,
    /// What an earlier attempt did that has not reached its end.
    pub earlier: Option<Record>,
    /// What becomes of that.
    pub attempt: Attempt,
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
    /// The safety snapshot of what the target held.
    pub safety: Option<SnapshotId>,
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

/// The migrations of this machine that have not reached their ends.
pub fn unfinished(context: &Context) -> Result<Vec<Record>, Error> {
    Record::all(&context.state)
}

impl MigrationJob {
    /// Asks the plugin for both plans and checks them. Changes nothing.
    pub fn plan(
        self,
        engine: &Engine,
        attempt: Attempt,
        context: &Context,
    ) -> Result<PlannedMigration, Error> {
        let earlier = Record::find(&context.state, &self.name)?;
        match (&earlier, attempt) {
            (Some(record), Attempt::First) => {
                let stage = record.stages.last().map_or(Stage::Init, |last| last.stage);
                return Err(Error::Unfinished {
                    name: self.name.clone(),
                    stage: stage.word(),
                });
            }
            (None, Attempt::Resume) => {
                let problem = format!("there is no migration `{}` to resume", self.name);
                return Err(Error::Roots(problem));
            }
            _ => {}
        }
        let resumed = earlier.as_ref().filter(|_| attempt == Attempt::Resume);
        let (backup, restore) = match resumed.and_then(|record| record.snapshot) {
            Some(snapshot) => (None, self.planned_restore(snapshot, engine, context)?),
            None => {
                let backup = self.backup.clone().plan(context)?;
                let preview = self.preview(&backup, context)?;
                (Some(backup), preview)
            }
        };
        if let Some(record) = &earlier
            && record.targets != restore.targets
        {
            let places = record
                .targets
                .iter()
                .map(|root| root.path.display().to_string());
            let problem = format!(
                "the earlier migration `{}` went to {}: give the same targets, or take it back with `copal rollback` and another name",
                self.name,
                places.collect::<Vec<_>>().join(", ")
            );
            return Err(Error::Roots(problem));
        }
        Ok(PlannedMigration {
            backup,
            restore,
            earlier,
            attempt,
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
            allow_revoked: self.allow_revoked,
            extent: Extent::default(),
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
        let release = backup.release.clone();
        context.admit(&backup.plugin, release, Use::Restore)?;
        let mut grants = self.grants.clone();
        grants.extend(context.allowed(plugin)?);
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
        let location = self.repository.location();
        roots::check_spare(
            &targets,
            location,
            &context.state,
            "a rollback would remove",
        )?;
        roots::check_apart_from(&targets, &backup.roots)?;
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
        let extent = Extent::default();
        let terms = Terms {
            intent: Some(self.intent()),
            settings: &self.settings,
            grants: &grants,
            rehearsal: false,
            safety: true,
            extent: &extent,
        };
        let Proposal {
            intent,
            config,
            mut plan,
            grants,
            ..
        } = propose(plugin, offer, &targets, &looked_at, &terms, context)?;
        plan.findings.extend(occupied(targets.iter(), &extent));
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
    /// The safety snapshot from which the target is made what it was, before anything else is done there.
    pub fn put_back_first(&self) -> Option<SnapshotId> {
        self.earlier.as_ref().and_then(|record| record.safety)
    }

    /// Refuses the plans if one has an error among its findings or needs a grant that was not given.
    pub fn approve(self) -> Result<ApprovedMigration, Error> {
        if let Some(backup) = &self.backup {
            plan::approve(&backup.plan.findings, &backup.grants)?;
        }
        // What an earlier attempt left at the target is put back first, so what the plan says of it does not count.
        let findings = match self.put_back_first() {
            Some(_) => &[],
            None => self.restore.plan.findings.as_slice(),
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
            earlier,
            attempt,
            job,
        } = self.0;
        let new = || {
            let plugin = backup.as_ref().map_or("", |backup| &backup.plugin.name);
            let sources = backup.as_ref().map_or(&[][..], |backup| &backup.roots);
            Record::new(&context.state, &job.name, plugin, sources, &restore.targets)
        };
        let record = earlier.unwrap_or_else(new);
        let _claim = record.claim()?;
        let mut run = Run {
            job: job.clone(),
            shown: restore.plan.clone(),
            record,
            engine,
            context,
            observer,
            not_undone: Vec::new(),
        };
        if attempt == Attempt::Restart {
            if let Some(safety) = run.record.safety {
                run.put_back(safety, observer)?;
            }
            run.record = new();
        }
        observer.stage(Stage::Init, 0);
        let ended = run.migrate(backup, agree);
        run.end(ended)
    }
}
