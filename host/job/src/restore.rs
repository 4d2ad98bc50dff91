//! Restoring an application: plan against the target as it is, then stop, place, fix up, verify, and start again.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use copal_repository::format::snapshot::Snapshot;
use copal_repository::format::tree::Node;
use copal_repository::{LockGuard, LockMode, Repository, SnapshotId, walk};
use copal_sandbox::types::{
    Finding, Intent, Placement, PlacementContent, RestorePlan, RestoreRequest, Severity,
};
use copal_sandbox::{Directory, Engine, Grants, Plugin, Tree};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::error::{Error, UndoFailure};
use crate::journal::Begun;
use crate::manifest::{Manifest, Missing, PluginIdentity, STREAMS};
use crate::observer::Observer;
use crate::places::Root;
use crate::plan::{self, Needed, Needs, finding};
use crate::probe::GrantedProbe;
use crate::settings::Schema;
use crate::snapshot_tree::SnapshotTree;
use crate::steps::{StepOutcome, Steps};
use crate::{convert, roots, scratch};

mod run;

use run::Run;

/// The root of a snapshot without a manifest: all of it, as plain files.
const PLAIN: &str = "files";

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
    /// The plugin's configuration as `KEY=VALUE` words. The one of the backup is not used: it speaks of another place.
    pub settings: Vec<(String, String)>,
    /// What the operator allows.
    pub grants: Grants,
    /// Whether the targets are a scratch place that is removed afterwards.
    pub rehearsal: bool,
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
    /// The plugin's configuration, without secrets.
    pub config: Map<String, Value>,
    /// What the plugin is going to have done.
    pub plan: RestorePlan,
    /// The grants that it needs.
    pub grants: Vec<Needed>,
    #[serde(skip)]
    loaded: Loaded,
    #[serde(skip)]
    settings: String,
    #[serde(skip)]
    job: RestoreJob,
    #[serde(skip)]
    _lock: Option<LockGuard>,
}

/// What a snapshot holds for a restore.
struct Loaded {
    plugin: Option<(Plugin, Manifest)>,
    /// The directory of each root.
    trees: BTreeMap<String, Node>,
    /// The folder of the streams.
    streams_folder: Option<Node>,
    /// The file of each stream.
    streams: BTreeMap<String, Node>,
}

impl RestoreJob {
    /// Asks the plugin for a plan and checks it. Changes nothing.
    pub fn plan(self, engine: &Engine, context: &Context) -> Result<PlannedRestore, Error> {
        let lock = self.repository.lock(LockMode::Read)?;
        let loaded = self.load(engine)?;
        let held: Vec<String> = loaded.trees.keys().cloned().collect();
        let described = match &loaded.plugin {
            Some((plugin, _)) => plugin.describe()?.roots.as_slice(),
            None => &[],
        };
        let targets = roots::targets(&self.targets, &held, described)?;
        let planned = match &loaded.plugin {
            Some((plugin, manifest)) => {
                let (plugin, manifest) = (plugin.clone(), manifest.clone());
                self.plan_with(&plugin, &manifest, loaded, targets, context)
            }
            None => self.plan_plain(loaded, targets),
        };
        // Held until the work is done: what was planned with must not be pruned meanwhile.
        Ok(PlannedRestore {
            _lock: Some(lock),
            ..planned?
        })
    }

    fn load(&self, engine: &Engine) -> Result<Loaded, Error> {
        let tree = &self.snapshot.1.tree;
        let Some(manifest) = Manifest::read(&self.repository, tree)? else {
            let all = walk::find(&self.repository, tree, b"")?;
            let trees = all.into_iter().map(|all| (PLAIN.to_owned(), all)).collect();
            return Ok(Loaded {
                plugin: None,
                trees,
                streams_folder: None,
                streams: BTreeMap::new(),
            });
        };
        let plugin = match &self.plugin {
            Some(plugin) => plugin.clone(),
            None => engine.load(&manifest.plugin(&self.repository, tree)?)?,
        };
        let mut trees = BTreeMap::new();
        for root in &manifest.roots {
            if let Some(node) = walk::find(&self.repository, tree, root.name.as_bytes())? {
                trees.insert(root.name.clone(), node);
            }
        }
        let mut streams = BTreeMap::new();
        for name in &manifest.streams {
            if let Some(node) = walk::find(
                &self.repository,
                tree,
                format!("{STREAMS}/{name}").as_bytes(),
            )? {
                streams.insert(name.clone(), node);
            }
        }
        Ok(Loaded {
            plugin: Some((plugin, manifest)),
            trees,
            streams_folder: walk::find(&self.repository, tree, STREAMS.as_bytes())?,
            streams,
        })
    }

    fn plan_with(
        self,
        plugin: &Plugin,
        manifest: &Manifest,
        loaded: Loaded,
        targets: Vec<Root>,
        context: &Context,
    ) -> Result<PlannedRestore, Error> {
        let description = plugin.describe()?;
        let intent = self
            .intent
            .or(description.intents.first().copied())
            .unwrap_or(Intent::Recover);
        if !description.intents.contains(&intent) {
            let problem = format!(
                "{} does not know the intent `{}`",
                description.name,
                intent_word(intent)
            );
            return Err(Error::Roots(problem));
        }
        let schema = Schema::parse(&description.config_schema)?;
        let settings = schema.settings(&self.settings)?;
        let probe = Arc::new(GrantedProbe::new(
            self.grants.clone(),
            &targets,
            context.cancel.clone(),
        ));
        let request = RestoreRequest {
            intent,
            config: Value::Object(settings.clone()).to_string(),
            now: convert::contract_time(Timestamp::now()),
            facts: manifest.contract_facts(),
            streams: loaded.streams.keys().cloned().collect(),
            rehearsal: self.rehearsal,
        };
        let config = request.config.clone();
        let planned = plugin.plan_restore(
            directories(&targets)?,
            loaded.trees(&self.repository),
            probe.clone(),
            request,
        );
        let mut plan = plan::after_probes(planned, &probe)?;
        plan.findings
            .extend(host_findings(manifest, &loaded, &targets, &plan));
        let mut needs = Needs::new(&self.grants, description, true);
        needs.steps(&plan.before);
        for placement in &plan.placements {
            if let PlacementContent::Feed(feed) = &placement.content {
                needs.command(&feed.command, &format!("the stream {}", feed.name));
            }
        }
        needs.steps(&plan.after);
        let grants = needs.list(&probe);
        Ok(PlannedRestore {
            snapshot: self.snapshot.0,
            plugin: Some(PluginIdentity::new(plugin, description)),
            intent,
            targets,
            config: schema.redact(&settings),
            plan,
            grants,
            loaded,
            settings: config,
            job: self,
            _lock: None,
        })
    }

    fn plan_plain(self, loaded: Loaded, targets: Vec<Root>) -> Result<PlannedRestore, Error> {
        if !self.settings.is_empty() {
            return Err(Error::Roots(
                "this snapshot has no manifest, so there is no plugin that takes settings".into(),
            ));
        }
        let content = PlacementContent::Tree(PLAIN.to_owned());
        let message = "The snapshot has no manifest: it is restored as plain files.".to_owned();
        let plain = finding(Severity::Info, "copal.snapshot.plain", message, None);
        let plan = RestorePlan {
            findings: std::iter::once(plain)
                .chain(occupied(targets.iter()))
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
            config: Map::new(),
            plan,
            grants: Vec::new(),
            loaded,
            settings: String::new(),
            job: self,
            _lock: None,
        })
    }
}

impl Loaded {
    /// What the plugin sees of the snapshot.
    fn trees(&self, repository: &Repository) -> Vec<Arc<dyn Tree>> {
        let streams = self.streams_folder.iter().map(|node| (STREAMS, node));
        let roots = self.trees.iter().map(|(name, node)| (name.as_str(), node));
        roots
            .chain(streams)
            .map(|(name, node)| {
                let tree = SnapshotTree::new(repository.clone(), name.to_owned(), node.clone());
                Arc::new(tree) as Arc<dyn Tree>
            })
            .collect()
    }
}

/// What a restore left.
#[derive(Debug, Serialize)]
pub struct RestoreOutcome {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The directories that were filled.
    pub targets: Vec<Root>,
    /// Files written.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Whether everything that was to be restored was. If not, the steps after it were left out.
    pub complete: bool,
    /// What was not restored.
    pub missing: Vec<Missing>,
    /// What the plugin and the host had to say, `verify` included.
    pub findings: Vec<Finding>,
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
        let planned = self.0;
        let id = convert::job_id();
        let plugin = planned.plugin.as_ref().map(|plugin| plugin.name.clone());
        let begun = Begun {
            kind: "restore".into(),
            plugin: plugin.unwrap_or_default(),
            time: Timestamp::now(),
            roots: planned.targets.clone(),
            scratch: scratch::place(&context.state, &id),
            job: id,
        };
        let steps = Steps::begin(
            &context.state,
            &begun,
            &context.runtime,
            context.cancel.clone(),
            observer,
        )?;
        let outcome = RestoreOutcome {
            snapshot: planned.snapshot,
            targets: planned.targets.clone(),
            files: 0,
            bytes: 0,
            complete: false,
            missing: Vec::new(),
            findings: planned.plan.findings.clone(),
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
        let restored = run.restore();
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

fn directories(targets: &[Root]) -> Result<Vec<Arc<dyn Tree>>, Error> {
    let open = |root: &Root| match Directory::open(&root.name, &root.path) {
        Ok(directory) => Ok(Arc::new(directory) as Arc<dyn Tree>),
        Err(failure) => Err(Error::Plugin(failure.into())),
    };
    targets.iter().map(open).collect()
}

/// Whether nothing is there that could be altered.
fn is_empty(root: &Root) -> bool {
    match std::fs::read_dir(&root.path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Says so where there is something at a target already.
fn occupied<'a>(targets: impl Iterator<Item = &'a Root>) -> impl Iterator<Item = Finding> {
    targets.filter(|root| !is_empty(root)).map(|root| {
        let place = root.path.display();
        let message =
            format!("{place} is not empty: files of the same names are replaced, all others stay.");
        finding(Severity::Warning, "copal.target.occupied", message, None)
    })
}

/// What the host has to say about a restore.
fn host_findings(
    manifest: &Manifest,
    loaded: &Loaded,
    targets: &[Root],
    plan: &RestorePlan,
) -> Vec<Finding> {
    let placed = |name: &str| {
        plan.placements
            .iter()
            .any(|p| matches!(&p.content, PlacementContent::Tree(root) if root == name))
    };
    let filled = targets.iter().filter(|root| placed(&root.name));
    let mut findings: Vec<_> = occupied(filled).collect();
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
        let message = format!(
            "The snapshot is incomplete: it lacks {}{more}.",
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

/// An intent as the operator writes it.
pub fn intent_word(intent: Intent) -> &'static str {
    match intent {
        Intent::Recover => "recover",
        Intent::Migrate => "migrate",
        Intent::Clone => "clone",
    }
}
