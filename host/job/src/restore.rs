//! Restoring an application: plan against the target as it is, then stop, place, fix up, verify, and start again.

use std::io;
use std::path::PathBuf;

use copal_repository::format::snapshot::Snapshot;
use copal_repository::{LockGuard, LockMode, Repository, SnapshotId};
use copal_sandbox::types::{Finding, Intent, Placement, PlacementContent, RestorePlan, Severity};
use copal_sandbox::{Engine, Grants, Plugin};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::backup::INCOMPLETE_TAG;
use crate::context::Context;
use crate::error::{Error, UndoFailure};
use crate::manifest::{Manifest, Missing, PluginIdentity};
use crate::observer::Observer;
use crate::operator::{self, OperatorFeed};
use crate::places::Root;
use crate::plan::{self, Needed, finding};
use crate::proposal::{Terms, propose};
use crate::settings::Settings;
use crate::steps::{StepOutcome, Steps};
use crate::{roots, safety};

mod extent;
mod load;
mod place;
mod run;

pub use extent::Extent;
pub use place::Placed;

use load::Loaded;
use run::Run;

/// The root of a snapshot without a manifest: all of it, as plain files.
pub(crate) const PLAIN: &str = "files";

/// Why some snapshots are not restored with a safety snapshot.
const NO_SAFETY: &str = "a safety snapshot keeps the plugin of what is restored, and this snapshot has no manifest and no plugin: restore it without \
    one, and back up first what is there";

/// A restore as the operator asks for it.
#[derive(Clone)]
pub struct RestoreJob {
    /// Where the snapshot lies.
    pub repository: Repository,
    /// The snapshot.
    pub snapshot: (SnapshotId, Snapshot),
    /// The plugin to use instead of the one that the snapshot carries.
    pub plugin: Option<Plugin>,
    /// The directories to fill; a bare one takes the snapshot's only root.
    pub targets: Vec<(Option<String>, PathBuf)>,
    /// Why; none for the plugin's default.
    pub intent: Option<Intent>,
    /// The plugin's configuration. The one of the backup is not used: it speaks of another place.
    pub settings: Settings,
    /// Commands of the operator's that take the operator's own streams.
    pub feeds: Vec<OperatorFeed>,
    /// What the operator allows.
    pub grants: Grants,
    /// Whether the targets are a scratch place that is removed afterwards.
    pub rehearsal: bool,
    /// Whether what the targets hold is saved as a safety snapshot before it is replaced, for [`crate::RollbackJob`].
    pub safety: bool,
    /// Whether a plugin that its publisher took back may be used.
    pub allow_revoked: bool,
    /// How much is restored, and what becomes of what is there.
    pub extent: Extent,
}

/// A restore that was planned and not yet performed.
#[derive(Serialize)]
pub struct PlannedRestore {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The plugin; none where the snapshot has no manifest and is restored as plain files.
    pub plugin: Option<PluginIdentity>,
    /// Why the restore happens.
    pub intent: Intent,
    /// The directories to fill.
    pub targets: Vec<Root>,
    /// The directories that the plugin only looks at.
    pub looked_at: Vec<Root>,
    /// The plugin's configuration, without secrets.
    pub config: Map<String, Value>,
    /// What the plugin is going to have done, and the operator's own streams.
    pub plan: RestorePlan,
    /// The grants that it needs.
    pub grants: Vec<Needed>,
    /// How much is restored, and what becomes of what is there.
    #[serde(flatten)]
    pub extent: Extent,
    /// What it would do to each target, if that was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<Vec<Placed>>,
    #[serde(skip)]
    loaded: Loaded,
    #[serde(skip)]
    settings: String,
    #[serde(skip)]
    pub(crate) job: RestoreJob,
    #[serde(skip)]
    _lock: Option<LockGuard>,
}

impl RestoreJob {
    /// Asks the plugin for a plan and checks it. Changes nothing.
    pub fn plan(mut self, engine: &Engine, context: &Context) -> Result<PlannedRestore, Error> {
        let lock = self.repository.lock(LockMode::Read)?;
        let (loaded, granted) = Loaded::load(&self, engine, context)?;
        self.grants.extend(granted);
        let held: Vec<String> = loaded.trees.keys().cloned().collect();
        let described = match &loaded.plugin {
            Some((plugin, _)) => plugin.describe()?.roots.as_slice(),
            None => &[],
        };
        let (targets, looked_at) = roots::targets(&self.targets, &held, described)?;
        self.extent.check(&targets)?;
        let removes = match (self.safety, self.extent.delete) {
            (_, true) => Some("--delete would remove"),
            (true, false) => Some("a rollback would remove"),
            (false, false) => None,
        };
        if let Some(removes) = removes {
            let location = self.repository.location();
            roots::check_spare(&targets, location, &context.state, removes)?;
        }
        let tree = &self.snapshot.1.tree;
        let extent = &self.extent;
        let unmatched = extent.unmatched(&self.repository, tree, &context.cancel)?;
        let planned = match &loaded.plugin {
            Some((plugin, manifest)) => {
                let (plugin, manifest) = (plugin.clone(), manifest.clone());
                self.plan_with(&plugin, &manifest, loaded, (targets, looked_at), context)
            }
            None => self.plan_plain(loaded, targets),
        };
        let mut planned = planned?;
        planned.plan.findings.extend(unmatched);
        // Held until the work is done: what was planned with must not be pruned meanwhile.
        Ok(PlannedRestore {
            _lock: Some(lock),
            ..planned
        })
    }

    fn plan_with(
        self,
        plugin: &Plugin,
        manifest: &Manifest,
        loaded: Loaded,
        (targets, looked_at): (Vec<Root>, Vec<Root>),
        context: &Context,
    ) -> Result<PlannedRestore, Error> {
        let terms = Terms {
            intent: self.intent,
            settings: &self.settings,
            grants: &self.grants,
            rehearsal: self.rehearsal,
            safety: self.safety,
            extent: &self.extent,
        };
        let offer = loaded.offer(&self.repository, manifest);
        let mut proposal = propose(plugin, offer, &targets, &looked_at, &terms, context)?;
        operator::add_feeds(&mut proposal.plan, &self.feeds, &manifest.operator_streams);
        self.extent.trim_streams(&mut proposal.plan);
        let own = host_findings(manifest, &loaded, &targets, &proposal.plan, &self.extent);
        proposal.plan.findings.extend(own);
        let extent = self.extent.findings(&proposal.plan, true);
        proposal.plan.findings.extend(extent);
        if self.safety {
            let unsaved = safety::unsaved(&proposal.plan, &self.feeds);
            proposal.plan.findings.extend(unsaved);
        }
        Ok(PlannedRestore {
            snapshot: self.snapshot.0,
            plugin: Some(PluginIdentity::new(plugin, plugin.describe()?)),
            intent: proposal.intent,
            targets,
            looked_at,
            config: proposal.config,
            plan: proposal.plan,
            grants: proposal.grants,
            extent: self.extent.clone(),
            preview: None,
            loaded,
            settings: proposal.settings,
            job: self,
            _lock: None,
        })
    }

    fn plan_plain(self, loaded: Loaded, targets: Vec<Root>) -> Result<PlannedRestore, Error> {
        if self.safety {
            return Err(Error::Roots(NO_SAFETY.to_owned()));
        }
        if !self.settings.is_empty() {
            return Err(Error::Roots(
                "this snapshot has no manifest, so there is no plugin that takes settings".into(),
            ));
        }
        let content = PlacementContent::Tree(PLAIN.to_owned());
        let message = "The snapshot has no manifest: it is restored as plain files, each of its folders as one in the target.";
        let plain = finding(
            Severity::Info,
            "copal.snapshot.plain",
            message.to_owned(),
            None,
        );
        let (_, snapshot) = &self.snapshot;
        let is_incomplete = snapshot.tags.iter().any(|tag| tag == INCOMPLETE_TAG);
        let incomplete = is_incomplete.then(|| {
            let message = "The snapshot is incomplete: its tag says that something is lost, and no manifest what that is.";
            let (severity, remedy) = match self.extent.delete {
                true => (
                    Severity::Error,
                    "Restore it without --delete, which would remove what was lost, or another snapshot.",
                ),
                false => (
                    Severity::Warning,
                    "Restore another snapshot if there is one.",
                ),
            };
            finding(
                severity,
                "copal.snapshot.incomplete",
                message.to_owned(),
                Some(remedy.to_owned()),
            )
        });
        let plan = RestorePlan {
            findings: std::iter::once(plain)
                .chain(incomplete)
                .chain(occupied(targets.iter(), &self.extent))
                .collect(),
            safeguards: Vec::new(),
            before: Vec::new(),
            placements: vec![Placement {
                name: PLAIN.to_owned(),
                after: Vec::new(),
                content,
            }],
            after: Vec::new(),
            state: Vec::new(),
        };
        Ok(PlannedRestore {
            snapshot: self.snapshot.0,
            plugin: None,
            intent: self.intent.unwrap_or(Intent::Recover),
            targets,
            looked_at: Vec::new(),
            config: Map::new(),
            plan,
            grants: Vec::new(),
            extent: self.extent.clone(),
            preview: None,
            loaded,
            settings: String::new(),
            job: self,
            _lock: None,
        })
    }
}

/// What a restore left.
#[derive(Debug, Serialize)]
pub struct RestoreOutcome {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The directories that were filled.
    pub targets: Vec<Root>,
    /// Files that are what the snapshot says.
    pub files: u64,
    /// Bytes of content that came from the repository.
    pub bytes: u64,
    /// What became of each root.
    pub placed: Vec<Placed>,
    /// Whether everything that was to be restored was. If not, the steps after it were left out.
    pub complete: bool,
    /// What was not restored.
    pub missing: Vec<Missing>,
    /// What the plugin and the host had to say, `verify` included.
    pub findings: Vec<Finding>,
    /// The safety snapshot of what the targets held, where one was asked for.
    pub safety: Option<SnapshotId>,
    /// How the steps ended.
    pub steps: Vec<StepOutcome>,
    /// Steps that could not be taken back: the data is in place, the application needs attention.
    pub not_undone: Vec<UndoFailure>,
}

impl PlannedRestore {
    /// Refuses the plan if it has an error among its findings or needs a grant that was not given.
    pub fn approve(self) -> Result<ApprovedRestore, Error> {
        plan::approve(&self.plan.findings, &self.grants)?;
        Ok(ApprovedRestore(self))
    }

    /// The directories that steps and probes may name.
    pub(crate) fn roots(&self) -> Vec<Root> {
        [self.targets.as_slice(), &self.looked_at].concat()
    }

    /// Whether what the targets hold is saved before it is replaced.
    pub fn saves_first(&self) -> bool {
        self.job.safety
    }

    /// Whether carrying it out could alter what is there already: a target that is not known to be empty, a stream that is fed to a command, or
    /// a step.
    pub fn alters(&self) -> bool {
        let feeds = |placement: &Placement| matches!(placement.content, PlacementContent::Feed(_));
        let plan = &self.plan;
        !plan.before.is_empty()
            || !plan.after.is_empty()
            || plan.placements.iter().any(feeds)
            || !self.targets.iter().all(is_empty)
    }
}

/// A plan that may be carried out.
pub struct ApprovedRestore(PlannedRestore);

impl ApprovedRestore {
    /// Carries the plan out.
    ///
    /// # Errors
    /// Where a step, a stream or the plugin fails, the rest is left out; what was stopped is started again in any case.
    pub fn run(self, context: &Context, observer: &dyn Observer) -> Result<RestoreOutcome, Error> {
        self.run_noting(context, observer, &mut |_| Ok(()))
    }

    /// The same; tells of the safety snapshot before anything is replaced.
    pub(crate) fn run_noting(
        self,
        context: &Context,
        observer: &dyn Observer,
        saved: &mut dyn FnMut(SnapshotId) -> Result<(), Error>,
    ) -> Result<RestoreOutcome, Error> {
        let planned = self.0;
        let plugin = planned.plugin.as_ref().map_or("", |plugin| &plugin.name);
        let steps = Steps::start("restore", plugin, planned.roots(), context, observer)?;
        let outcome = RestoreOutcome {
            snapshot: planned.snapshot,
            targets: planned.targets.clone(),
            files: 0,
            bytes: 0,
            placed: Vec::new(),
            complete: false,
            missing: Vec::new(),
            findings: planned.plan.findings.clone(),
            safety: None,
            steps: Vec::new(),
            not_undone: Vec::new(),
        };
        let mut run = Run {
            planned: &planned,
            context,
            observer,
            steps,
            outcome,
            lost: false,
        };
        let restored = run.restore(saved);
        let Run {
            mut steps, outcome, ..
        } = run;
        steps.undo();
        let outcomes = steps.outcomes().to_vec();
        let ended = steps.end();
        match restored {
            Ok(()) => Ok(RestoreOutcome {
                steps: outcomes,
                not_undone: ended,
                ..outcome
            }),
            Err(error) => Err(error.and_not_undone(ended)),
        }
    }
}

/// Whether nothing is there that could be altered.
fn is_empty(root: &Root) -> bool {
    match std::fs::read_dir(&root.path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Says so where there is something at a target already.
pub(crate) fn occupied<'a>(
    targets: impl Iterator<Item = &'a Root>,
    extent: &Extent,
) -> impl Iterator<Item = Finding> {
    targets.filter(|root| !is_empty(root)).map(|root| {
        let (place, fate) = (root.path.display(), extent.fate());
        let message = format!("{place} is not empty: {fate}");
        finding(Severity::Warning, "copal.target.occupied", message, None)
    })
}

/// What the host has to say about a restore.
fn host_findings(
    manifest: &Manifest,
    loaded: &Loaded,
    targets: &[Root],
    plan: &RestorePlan,
    extent: &Extent,
) -> Vec<Finding> {
    let placed = |name: &str| {
        plan.placements
            .iter()
            .any(|p| matches!(&p.content, PlacementContent::Tree(root) if root == name))
    };
    let filled = targets.iter().filter(|root| placed(&root.name));
    let mut findings: Vec<_> = occupied(filled, extent).collect();
    if !manifest.complete {
        let missing: Vec<_> = manifest
            .missing
            .iter()
            .take(10)
            .map(|missing| missing.path.as_str())
            .collect();
        let more = manifest.missing.len().saturating_sub(missing.len());
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let stays = match extent.delete {
            true => " What the targets have of these stays.",
            false => "",
        };
        let message = format!(
            "The snapshot is incomplete: it lacks {}{more}.{stays}",
            missing.join(", ")
        );
        let remedy = Some(
            "Restore another snapshot if these matter; `copal manifest` names all of them."
                .to_owned(),
        );
        findings.push(finding(
            Severity::Warning,
            "copal.snapshot.incomplete",
            message,
            remedy,
        ));
    }
    for name in loaded.trees.keys() {
        let given = targets.iter().any(|root| root.name == *name);
        if !given || !placed(name) {
            let message = format!("The root `{name}` of the snapshot is not restored.");
            let remedy = (!given).then(|| format!("Add --to {name}=DIR to restore it."));
            findings.push(finding(
                Severity::Warning,
                "copal.root.left-out",
                message,
                remedy,
            ));
        }
    }
    findings
}
