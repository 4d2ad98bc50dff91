//! Backing an application up: plan, then quiesce, read, thaw, and only then a snapshot.

use std::path::PathBuf;
use std::sync::Arc;

use copal_repository::archiver::{ArchiveOptions, Archiver, Summary};
use copal_repository::format::snapshot::Snapshot;
use copal_repository::{LockGuard, LockMode, Repository, SnapshotId};
use copal_sandbox::types::{
    BackupPlan, BackupRequest, Direction, Finding, Severity, Source, SourceContent, StreamSource,
    Window,
};
use copal_sandbox::{Directory, Grants, Plugin, Tree, needs};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::authority::{Release, Use};
use crate::context::Context;
use crate::error::{Error, UndoFailure};
use crate::manifest::{Manifest, Missing, PluginIdentity, STREAMS};
use crate::observer::Observer;
use crate::operator::{self, OperatorStream};
use crate::passes::PluginPasses;
use crate::places::Root;
use crate::plan::{self, Needed, Needs};
use crate::probe::GrantedProbe;
use crate::settings::{Schema, Settings};
use crate::steps::{StepOutcome, Steps};
use crate::{convert, process, roots};

/// The tag of a snapshot that lacks something.
pub const INCOMPLETE_TAG: &str = "incomplete";

/// A backup as the operator asks for it.
#[derive(Clone)]
pub struct BackupJob {
    /// What knows the application.
    pub plugin: Plugin,
    /// The directories to read; a root without a name is the plugin's first.
    pub roots: Vec<(Option<String>, PathBuf)>,
    /// The plugin's configuration.
    pub settings: Settings,
    /// Streams that the operator adds to the plugin's.
    pub streams: Vec<OperatorStream>,
    /// What the operator allows.
    pub grants: Grants,
    /// Tags for the snapshot.
    pub tags: Vec<String>,
}

/// A backup that was planned and not yet performed.
#[derive(Serialize)]
pub struct PlannedBackup {
    /// The plugin.
    pub plugin: PluginIdentity,
    /// The directories to read.
    pub roots: Vec<Root>,
    /// The plugin's configuration, without secrets.
    pub config: Map<String, Value>,
    /// What the plugin is going to have done, and the operator's own streams.
    pub plan: BackupPlan,
    /// The streams of the plan that are the operator's own.
    pub operator_streams: Vec<String>,
    /// The grants that it needs.
    pub grants: Vec<Needed>,
    /// When it was planned.
    pub time: Timestamp,
    #[serde(skip)]
    job: BackupJob,
    #[serde(skip)]
    pub(crate) release: Release,
}

impl BackupJob {
    /// Asks the plugin for a plan and checks it. Changes nothing.
    pub fn plan(mut self, context: &Context) -> Result<PlannedBackup, Error> {
        let description = self.plugin.describe()?;
        let plugin = PluginIdentity::new(&self.plugin, description);
        let release = context.admit(&plugin, Release::default(), Use::Backup)?;
        self.grants.extend(context.allowed(&self.plugin)?);
        let schema = Schema::parse(&description.config_schema)?;
        let settings = schema.settings(&self.settings)?;
        let roots = roots::sources(&self.roots, description)?;
        let probe = Arc::new(GrantedProbe::new(
            self.grants.clone(),
            &roots,
            context.cancel.clone(),
        ));
        let trees = roots.iter().map(tree).collect::<Result<_, _>>()?;
        let time = Timestamp::now();
        let request = BackupRequest {
            config: Value::Object(settings.clone()).to_string(),
            now: convert::contract_time(time),
        };
        let ceiling = self.plugin.ceiling(&request.config)?;
        let planned = self.plugin.plan_backup(trees, probe.clone(), request);
        let mut plan = plan::after_probes(planned, &probe, &ceiling)?;
        let mut needs = Needs::new(&self.grants, &ceiling);
        needs.add(needs::of_backup(&plan))?;
        operator::add_streams(&mut plan, &self.streams)?;
        let refused = plan
            .findings
            .iter()
            .any(|finding| finding.severity == Severity::Error);
        if plan.sources.is_empty() && !refused {
            let problem = format!(
                "there is nothing to back up: give a root; {}",
                roots::offer(description)
            );
            return Err(Error::Roots(problem));
        }
        plan.findings.extend(unread(&roots, &plan));
        Ok(PlannedBackup {
            plugin,
            roots,
            config: schema.redact(&settings, &self.settings),
            operator_streams: self.streams.iter().map(|own| own.name.clone()).collect(),
            grants: needs.list(&probe)?,
            plan,
            time,
            release,
            job: self,
        })
    }
}

/// What a backup left.
#[derive(Debug, Serialize)]
pub struct BackupOutcome {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The snapshot that unchanged files were taken over from.
    pub parent: Option<SnapshotId>,
    /// Whether everything that the plan names is in the snapshot.
    pub complete: bool,
    /// What is not.
    pub missing: Vec<Missing>,
    /// What the plugin had to say, while planning and while reading.
    pub findings: Vec<Finding>,
    /// How the steps ended.
    pub steps: Vec<StepOutcome>,
    /// Steps that could not be taken back: the data is safe, the application needs attention.
    pub not_undone: Vec<UndoFailure>,
    /// Counts and sizes.
    pub summary: Summary,
}

impl PlannedBackup {
    /// Refuses the plan if it has an error among its findings or needs a grant that was not given.
    pub fn approve(self) -> Result<ApprovedBackup, Error> {
        plan::approve(&self.plan.findings, &self.grants)?;
        Ok(ApprovedBackup(self))
    }
}

/// A plan that may be carried out.
pub struct ApprovedBackup(PlannedBackup);

impl ApprovedBackup {
    /// Carries the plan out and saves a snapshot.
    ///
    /// # Errors
    /// Where a step or the plugin fails, nothing is saved and what was quiesced is thawed.
    pub fn run(
        self,
        repository: &Repository,
        context: &Context,
        observer: &dyn Observer,
    ) -> Result<BackupOutcome, Error> {
        let planned = self.0;
        let lock = repository.lock(LockMode::Write)?;
        let parent = parent(repository, &planned.roots, &context.identity.hostname)?;
        let options = ArchiveOptions {
            parent: parent.as_ref().map(|(_, snapshot)| snapshot.tree),
            cancel: context.cancel.clone(),
            ..ArchiveOptions::default()
        };
        let before = parent
            .as_ref()
            .and_then(|(_, snapshot)| as_it_was_made(repository, snapshot));
        let archiver = Archiver::new(repository, options, observer.progress())?;
        let (plugin, roots) = (&planned.plugin.name, planned.roots.clone());
        let steps = Steps::start("backup", plugin, roots, context, observer)?;
        let mut run = Run {
            planned: &planned,
            program: &context.program,
            before,
            observer,
            archiver,
            steps,
            findings: Vec::new(),
            silent: Vec::new(),
            sources: Vec::new(),
        };
        let read = run.read();
        let Run {
            archiver,
            steps,
            findings,
            silent,
            sources,
            ..
        } = run;
        let outcomes = steps.outcomes().to_vec();
        let ended = steps.end();
        if let Err(error) = read {
            return Err(error.and_not_undone(ended));
        }
        observer.phase("Saving the snapshot");
        match save(
            &planned,
            repository,
            &lock,
            context,
            parent,
            Reading {
                archiver,
                outcomes,
                findings,
                silent,
                sources,
            },
        ) {
            Ok(outcome) => Ok(BackupOutcome {
                not_undone: ended,
                ..outcome
            }),
            Err(error) => Err(error.and_not_undone(ended)),
        }
    }
}

/// A backup while it reads.
struct Run<'a> {
    planned: &'a PlannedBackup,
    program: &'a str,
    /// The manifest of the parent snapshot.
    before: Option<Manifest>,
    observer: &'a dyn Observer,
    archiver: Archiver<'a>,
    steps: Steps<'a>,
    findings: Vec<Finding>,
    silent: Vec<String>,
    sources: Vec<String>,
}

impl Run<'_> {
    fn read(&mut self) -> Result<(), Error> {
        let planned = self.planned;
        let quiesced = match self.steps.perform(&planned.plan.quiesce) {
            Ok(()) => self.sources(Window::Quiesced),
            failed => failed,
        };
        // A thaw that fails does not spoil what was read: it is reported with the outcome.
        self.steps.undo();
        quiesced?;
        self.sources(Window::Live)
    }

    fn sources(&mut self, window: Window) -> Result<(), Error> {
        let planned = self.planned;
        for source in planned
            .plan
            .sources
            .iter()
            .filter(|source| source.window == window)
        {
            self.source(source)?;
            self.sources.push(source.name.clone());
        }
        Ok(())
    }

    fn source(&mut self, source: &Source) -> Result<(), Error> {
        let PlannedBackup {
            plan, job, roots, ..
        } = self.planned;
        match &source.content {
            SourceContent::Tree(name) => {
                self.observer.phase(&format!("Reading {name}"));
                let root = roots.iter().find(|root| root.name == *name);
                let root =
                    root.ok_or_else(|| Error::Roots(format!("there is no root named `{name}`")))?;
                let passes = PluginPasses::new(&job.plugin, Direction::Backup, &plan.state, name)
                    .repeating(self.same_since(root));
                let added = self.archiver.add_tree(name, &root.path, Some(&passes));
                let findings = self.findings.len();
                self.finish(added, passes)?;
                if self.findings.len() == findings {
                    self.silent.push(name.clone());
                }
                Ok(())
            }
            SourceContent::Command(stream) => self.stream(stream),
        }
    }

    /// When the backup of the parent snapshot began, if its passes over this root did what those of this backup will do, and had nothing to say
    /// that would have to be said again.
    fn same_since(&self, root: &Root) -> Option<copal_repository::format::Timestamp> {
        let before = self.before.as_ref()?;
        let same = before.created_by == self.program
            && before.plugin == self.planned.plugin
            && before.state_digest == copal_sandbox::digest(&self.planned.plan.state)
            && before.roots.contains(root)
            && before.silent_roots.contains(&root.name);
        same.then(|| convert::repository_time(before.time))
    }

    fn stream(&mut self, stream: &StreamSource) -> Result<(), Error> {
        let PlannedBackup { plan, job, .. } = self.planned;
        self.observer
            .phase(&format!("Reading the stream {}", stream.name));
        let failed = |source| Error::Stream {
            name: stream.name.clone(),
            source,
        };
        let reader = process::stream(
            &stream.command,
            self.steps.places(),
            self.steps.supervisor(),
        )
        .map_err(failed)?;
        let path = format!("{STREAMS}/{}", stream.name);
        let passes = PluginPasses::new(&job.plugin, Direction::Backup, &plan.state, STREAMS);
        let used: Option<&dyn copal_repository::pass::Passes> =
            if stream.filter { Some(&passes) } else { None };
        let added = self.archiver.add_stream(&path, reader, used);
        self.finish(added, passes)
    }

    fn finish(
        &mut self,
        added: Result<(), copal_repository::Error>,
        passes: PluginPasses<'_>,
    ) -> Result<(), Error> {
        added.map_err(convert::engine_error)?;
        for finding in passes.finish()? {
            self.observer.finding(&finding);
            self.findings.push(finding);
        }
        Ok(())
    }
}

/// What was read, not yet referred to by a snapshot.
struct Reading<'a> {
    archiver: Archiver<'a>,
    outcomes: Vec<StepOutcome>,
    findings: Vec<Finding>,
    silent: Vec<String>,
    sources: Vec<String>,
}

fn save(
    planned: &PlannedBackup,
    repository: &Repository,
    lock: &LockGuard,
    context: &Context,
    parent: Option<(SnapshotId, Snapshot)>,
    reading: Reading<'_>,
) -> Result<BackupOutcome, Error> {
    let Reading {
        mut archiver,
        outcomes,
        findings,
        silent,
        sources,
    } = reading;
    let missing: Vec<Missing> = archiver
        .summary()
        .errors
        .iter()
        .map(Missing::from)
        .collect();
    let findings = [planned.plan.findings.clone(), findings].concat();
    let streams = planned
        .plan
        .sources
        .iter()
        .filter_map(|source| match &source.content {
            SourceContent::Command(stream) => Some(stream.name.clone()),
            SourceContent::Tree(_) => None,
        })
        .filter(|name| !planned.operator_streams.contains(name));
    let manifest = Manifest {
        time: planned.time,
        roots: planned.roots.clone(),
        streams: streams.collect(),
        operator_streams: planned.operator_streams.clone(),
        config: planned.config.clone(),
        grants: planned.job.grants.iter().map(ToString::to_string).collect(),
        facts: convert::facts(&planned.plan.facts)?,
        findings: findings.clone(),
        steps: outcomes.clone(),
        state_digest: copal_sandbox::digest(&planned.plan.state),
        silent_roots: silent,
        sources,
        complete: missing.is_empty(),
        missing: missing.clone(),
        ..Manifest::new(planned.plugin.clone(), context)
    };
    manifest.add_to(&mut archiver, &planned.job.plugin, &planned.release)?;
    let archived = archiver.finish()?;
    let mut tags = planned.job.tags.clone();
    tags.push(manifest.plugin_tag());
    if !missing.is_empty() {
        tags.push(INCOMPLETE_TAG.to_owned());
    }
    let snapshot = Snapshot {
        parent: parent.as_ref().map(|(id, _)| *id),
        paths: planned
            .roots
            .iter()
            .map(|root| root.path.to_string_lossy().into_owned())
            .collect(),
        tags,
        ..context.snapshot(planned.time, archived.tree)
    };
    // Had the lock lapsed, what the snapshot needs might have been pruned meanwhile.
    lock.check()?;
    let id = repository.save_snapshot(&snapshot)?;
    Ok(BackupOutcome {
        snapshot: id,
        parent: snapshot.parent,
        complete: missing.is_empty(),
        missing,
        findings,
        steps: outcomes,
        not_undone: Vec::new(),
        summary: archived.summary,
    })
}

/// The newest snapshot of the same directories of this machine.
pub(crate) fn parent(
    repository: &Repository,
    roots: &[Root],
    hostname: &str,
) -> Result<Option<(SnapshotId, Snapshot)>, Error> {
    let paths: Vec<String> = roots
        .iter()
        .map(|root| root.path.to_string_lossy().into_owned())
        .collect();
    if paths.is_empty() {
        return Ok(None);
    }
    // A backup does not need the damaged ones, and must not wait until they are gone.
    let readable = repository.readable_snapshots()?;
    for error in readable.damaged {
        tracing::warn!(%error, "a snapshot is passed over");
    }
    let here = |snapshot: &Snapshot| snapshot.hostname == hostname && snapshot.paths == paths;
    let snapshots = readable.snapshots.into_iter();
    Ok(snapshots
        .filter(|(_, snapshot)| here(snapshot))
        .max_by_key(|(_, snapshot)| snapshot.time))
}

/// The manifest of a snapshot that holds what its backup stored: none where it has none that can be read, or was made out of another, since files of
/// one that was repaired may be cut off.
fn as_it_was_made(repository: &Repository, snapshot: &Snapshot) -> Option<Manifest> {
    if snapshot.original.is_some() {
        return None;
    }
    Manifest::read(repository, &snapshot.tree).unwrap_or_else(|error| {
        tracing::warn!("can't use the manifest of the parent snapshot: {error}");
        None
    })
}

fn tree(root: &Root) -> Result<Arc<dyn Tree>, Error> {
    Ok(Arc::new(
        Directory::open(&root.name, &root.path).map_err(copal_sandbox::Error::Guest)?,
    ))
}

/// A warning for each root that was given and that the plan does not read.
fn unread(roots: &[Root], plan: &BackupPlan) -> Vec<Finding> {
    let read = |root: &Root| {
        plan.sources
            .iter()
            .any(|s| matches!(&s.content, SourceContent::Tree(name) if *name == root.name))
    };
    let unread = roots.iter().filter(|root| !read(root));
    unread
        .map(|root| {
            let message = format!(
                "The plan does not read the root `{}` ({}).",
                root.name,
                root.path.display()
            );
            plan::finding(Severity::Warning, "copal.root.unread", message, None)
        })
        .collect()
}
