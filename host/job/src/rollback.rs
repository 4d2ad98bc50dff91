//! Putting back what a restore replaced, from the safety snapshot that was taken before it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use copal_repository::format::snapshot::Snapshot;
use copal_repository::restorer::{self, RestoreOptions};
use copal_repository::{LockGuard, LockMode, Repository, SnapshotId, walk};
use copal_sandbox::types::{Intent, Safeguard, Step};
use copal_sandbox::{Engine, Grants, Plugin, needs};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::authority::{Release, Use};
use crate::context::Context;
use crate::error::{Error, UndoFailure};
use crate::manifest::{Manifest, Missing, STREAMS};
use crate::observer::Observer;
use crate::places::Root;
use crate::plan::{self, Needed, Needs};
use crate::restore::{Extent, RestoreJob};
use crate::safety::{ROLLBACK_TAG, Recipe, Safety, Saving, Taken, is_safety};
use crate::settings::Settings;
use crate::steps::{StepOutcome, Steps};
use crate::{convert, feed, roots, safety};

/// A rollback as the operator asks for it.
#[derive(Clone)]
pub struct RollbackJob {
    /// Where the safety snapshot lies.
    pub repository: Repository,
    /// The safety snapshot.
    pub snapshot: (SnapshotId, Snapshot),
    /// The configuration of the restore, for the secrets that its commands need.
    pub settings: Settings,
    /// What the operator allows.
    pub grants: Grants,
}

/// A rollback that was planned and not yet performed.
#[derive(Serialize)]
pub struct PlannedRollback {
    /// The safety snapshot.
    pub snapshot: SnapshotId,
    /// When it was taken.
    pub time: Timestamp,
    /// The snapshot whose restore is taken back.
    pub restored: SnapshotId,
    /// The directories that become what they were; nothing else stays in them.
    pub targets: Vec<Root>,
    /// The directories at which there was nothing: they are removed.
    pub removed: Vec<Root>,
    /// What happens first and last, and which commands take what was saved.
    #[serde(flatten)]
    pub(crate) recipe: Recipe,
    /// The grants that it needs.
    pub grants: Vec<Needed>,
    #[serde(skip)]
    job: RollbackJob,
    /// The restore's configuration, without secrets.
    #[serde(skip)]
    config: Map<String, Value>,
    #[serde(skip)]
    intent: Intent,
    #[serde(skip)]
    looked_at: Vec<Root>,
    #[serde(skip)]
    plugin: Plugin,
    #[serde(skip)]
    release: Release,
    #[serde(skip)]
    _lock: Option<LockGuard>,
}

/// What a rollback left.
#[derive(Debug, Serialize)]
pub struct RollbackOutcome {
    /// The safety snapshot.
    pub snapshot: SnapshotId,
    /// The directories that are what they were.
    pub targets: Vec<Root>,
    /// The directories that were removed.
    pub removed: Vec<Root>,
    /// Files written.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// What could not be put back.
    pub missing: Vec<Missing>,
    /// The safety snapshot of what was there before.
    pub safety: Option<SnapshotId>,
    /// How the steps ended.
    pub steps: Vec<StepOutcome>,
    /// Steps that could not be taken back.
    pub not_undone: Vec<UndoFailure>,
}

/// The newest safety snapshot that this user of this machine took before a restore, of these directories where they are given.
///
/// # Errors
/// The repository can't be read, or has none.
pub fn latest_safety(
    repository: &Repository,
    directories: Option<&[PathBuf]>,
    context: &Context,
) -> Result<(SnapshotId, Snapshot), Error> {
    let of_these = |snapshot: &Snapshot| {
        directories.is_none_or(|directories| {
            let paths = snapshot.paths.iter().map(Path::new);
            let shown: Result<BTreeSet<PathBuf>, Error> = directories
                .iter()
                .map(|path| roots::absolute(path))
                .collect();
            shown.is_ok_and(|wanted| wanted == paths.map(Path::to_owned).collect())
        })
    };
    let mut snapshots = repository.snapshots()?;
    snapshots.retain(|(id, snapshot)| {
        let before_a_restore =
            is_safety(snapshot) && !snapshot.tags.iter().any(|tag| tag == ROLLBACK_TAG);
        before_a_restore && Taken::exists(&context.state, id) && of_these(snapshot)
    });
    snapshots.pop().ok_or_else(|| {
        let of = if directories.is_some() {
            " of these directories"
        } else {
            ""
        };
        Error::Roots(format!(
            "the repository has no safety snapshot{of} that this machine took"
        ))
    })
}

impl RollbackJob {
    /// Reads what was saved and how it goes back. Changes nothing.
    pub fn plan(mut self, engine: &Engine, context: &Context) -> Result<PlannedRollback, Error> {
        let lock = self.repository.lock(LockMode::Read)?;
        let (id, snapshot) = &self.snapshot;
        let manifest = Manifest::read(&self.repository, &snapshot.tree)?;
        let parts = manifest.and_then(|manifest| Some((manifest.safety.clone()?, manifest)));
        let Some((safety, manifest)) = parts else {
            let problem = format!(
                "snapshot {} is no safety snapshot: `copal restore` restores it",
                id.short()
            );
            return Err(Error::Roots(problem));
        };
        if !Taken::of(&manifest).is_known(&context.state, id) {
            let problem = format!(
                "this machine knows nothing of the safety snapshot {}: another machine or user took it, and only there it says what may be removed; \
                 restic restores it to any other place",
                id.short()
            );
            return Err(Error::Roots(problem));
        }
        let all: Vec<Root> = manifest
            .roots
            .iter()
            .chain(&safety.absent)
            .cloned()
            .collect();
        let location = self.repository.location();
        roots::check_spare(&all, location, &context.state, "a rollback removes")?;
        let release = Release::read(&self.repository, &snapshot.tree)?;
        // What was there before comes back, whatever is thought of the plugin since.
        let release = context.admit(&manifest.plugin, release, Use::RestoreRevoked)?;
        let plugin = engine.load(&manifest.plugin(&self.repository, &snapshot.tree)?)?;
        self.grants.extend(context.allowed(&plugin)?);
        let (recipe, config) = match safety.recipe() {
            Some(recipe) => (recipe, manifest.config),
            None => self.plan_again(&manifest, &safety, &plugin, engine, context)?,
        };
        let known: Vec<_> = recipe.safeguards.iter().map(|guard| &guard.name).collect();
        if let Some(name) = manifest.streams.iter().find(|name| !known.contains(name)) {
            let problem = format!(
                "the plugin does not say how {name} is put back: take it out with `copal dump {} {STREAMS}/{name}`",
                id.short()
            );
            return Err(Error::Roots(problem));
        }
        let ceiling = plugin.ceiling(&Value::Object(config.clone()).to_string())?;
        let mut needs = Needs::new(&self.grants, &ceiling);
        let free = |root: &str| all.iter().any(|target| target.name == root);
        needs.add(needs::of_steps(&recipe.before, &free))?;
        needs.add(needs::of_safeguards(&recipe.safeguards))?;
        Ok(PlannedRollback {
            snapshot: *id,
            time: manifest.time,
            restored: safety.before,
            targets: manifest.roots,
            removed: safety.absent,
            recipe,
            grants: needs.finish(),
            config,
            intent: safety.intent,
            looked_at: safety.looked_at,
            plugin,
            release,
            job: self,
            _lock: Some(lock),
        })
    }

    /// The recipe with its secrets and its configuration, from the plugin that made it and from the settings given now.
    fn plan_again(
        &self,
        manifest: &Manifest,
        safety: &Safety,
        plugin: &Plugin,
        engine: &Engine,
        context: &Context,
    ) -> Result<(Recipe, Map<String, Value>), Error> {
        let targets = manifest.roots.iter().chain(&safety.absent);
        let targets = targets.chain(&safety.looked_at);
        let job = RestoreJob {
            repository: self.repository.clone(),
            snapshot: self.repository.snapshot(&safety.before.to_string())?,
            plugin: Some(plugin.clone()),
            targets: targets
                .map(|root| (Some(root.name.clone()), root.path.clone()))
                .collect(),
            intent: Some(safety.intent),
            settings: self.settings.clone(),
            feeds: Vec::new(),
            grants: self.grants.clone(),
            rehearsal: false,
            safety: true,
            allow_revoked: true,
            extent: Extent::default(),
        };
        let planned = job.plan(engine, context)?;
        Ok((Recipe::from(&planned.plan), planned.config))
    }
}

impl PlannedRollback {
    /// Refuses the plan if it needs a grant that was not given.
    pub fn approve(self) -> Result<ApprovedRollback, Error> {
        plan::approve(&[], &self.grants)?;
        Ok(ApprovedRollback(self))
    }

    /// The steps before anything is put back, which are taken back at the end.
    pub fn before(&self) -> &[Step] {
        &self.recipe.before
    }

    /// What goes back into commands.
    pub fn safeguards(&self) -> &[Safeguard] {
        &self.recipe.safeguards
    }
}

/// A rollback that may be carried out.
pub struct ApprovedRollback(PlannedRollback);

impl ApprovedRollback {
    /// Puts everything back. Running it again does no harm.
    ///
    /// # Errors
    /// A step or a command fails; the rest is left out, and what was stopped is started again in any case.
    pub fn run(self, context: &Context, observer: &dyn Observer) -> Result<RollbackOutcome, Error> {
        let planned = self.0;
        let all = [&planned.targets, &planned.removed, &planned.looked_at];
        let roots = all.map(Vec::as_slice).concat();
        let name = &planned.plugin.describe()?.name;
        let mut steps = Steps::start("rollback", name, roots, context, observer)?;
        let mut outcome = RollbackOutcome {
            snapshot: planned.snapshot,
            targets: planned.targets.clone(),
            removed: planned.removed.clone(),
            files: 0,
            bytes: 0,
            missing: Vec::new(),
            safety: None,
            steps: Vec::new(),
            not_undone: Vec::new(),
        };
        let done = planned.put_back(&mut steps, &mut outcome, context, observer);
        steps.undo();
        outcome.steps = steps.outcomes().to_vec();
        outcome.not_undone = steps.end();
        match done {
            Ok(()) => Ok(outcome),
            Err(error) => Err(error.and_not_undone(outcome.not_undone)),
        }
    }
}

impl PlannedRollback {
    fn put_back(
        &self,
        steps: &mut Steps<'_>,
        outcome: &mut RollbackOutcome,
        context: &Context,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let RollbackJob {
            repository,
            snapshot: (_, snapshot),
            ..
        } = &self.job;
        let find = |path: &str| -> Result<_, Error> {
            let found = walk::find(repository, &snapshot.tree, path.as_bytes())?;
            found.ok_or_else(|| Error::Snapshot {
                what: "tree",
                problem: format!("there is no {path}"),
            })
        };
        steps.perform(&self.recipe.before)?;
        // What has come since may be worth having too.
        let targets = [self.targets.as_slice(), &self.removed].concat();
        let saving = Saving {
            repository,
            plugin: &self.plugin,
            release: &self.release,
            before: self.restored,
            intent: self.intent,
            targets: &targets,
            looked_at: &self.looked_at,
            recipe: &self.recipe,
            config: &self.config,
            grants: &self.job.grants,
            rollback: true,
        };
        outcome.safety = Some(safety::take(&saving, steps, context, observer)?);
        let options = RestoreOptions {
            cancel: context.cancel.clone(),
            exact: true,
            ..RestoreOptions::default()
        };
        for root in &self.targets {
            observer.phase(&format!("Putting back {}", root.path.display()));
            let summary = restorer::restore_node(
                repository,
                &find(&root.name)?,
                &root.path,
                None,
                &options,
                observer.progress(),
            );
            let summary = summary.map_err(convert::engine_error)?;
            outcome.files += summary.files;
            outcome.bytes += summary.bytes;
            outcome
                .missing
                .extend(summary.errors.iter().map(Missing::from));
        }
        for root in &self.removed {
            observer.phase(&format!("Removing {}", root.path.display()));
            if let Err(error) = restorer::remove(&root.path) {
                outcome.missing.push(Missing {
                    path: root.name.clone(),
                    error: format!("it was not there before, and can't be removed: {error}"),
                });
            }
        }
        for Safeguard { name, put_back, .. } in &self.recipe.safeguards {
            observer.phase(&format!("Putting back {name}"));
            let node = find(&format!("{STREAMS}/{name}"))?;
            feed::feed(repository, (name, &node), put_back, None, steps)?;
        }
        Ok(())
    }
}
