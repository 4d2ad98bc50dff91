//! Rehearsing a restore: into a scratch place, compared, verified, removed, and written down.

mod evidence;
mod page;
mod postgres;
mod recorder;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use copal_repository::walk;
use copal_sandbox::Engine;
use copal_sandbox::types::{Finding, Intent, Placement, PlacementContent};
use jiff::Timestamp;
use serde_json::{Map, Value};

pub use self::evidence::{Evidence, Rehearsed, Verdict};
pub use self::postgres::Postgres;
use self::postgres::Server;
pub use self::recorder::{Compared, Phase, Purpose};
use self::recorder::{Record, Recorder};
use crate::context::Context;
use crate::error::{Error, UndoFailure};
use crate::journal::Begun;
use crate::manifest::{Manifest, PluginIdentity};
use crate::observer::Observer;
use crate::plan::Needed;
use crate::restore::{PLAIN, RestoreJob, RestoreOutcome};
use crate::steps::Steps;
use crate::{action, convert, exclusive, scratch};

/// How many things that went wrong with one root are named among the problems.
const NAMED: usize = 5;

/// A drill as the operator asks for it.
pub struct DrillJob {
    /// What the evidence calls it: the job's name.
    pub name: String,
    /// What is rehearsed. Its targets are directories that the plugin looks at and the snapshot does not hold: the plugin gets a copy of each.
    /// Whatever the snapshot holds goes to the scratch place.
    pub restore: RestoreJob,
    /// A PostgreSQL server that lives as long as the drill.
    pub postgres: Option<Postgres>,
    /// Where the scratch place is made, instead of among Copal's own files and in the system's folder for temporary ones.
    pub directory: Option<PathBuf>,
    /// Whether the scratch place stays, for `copal resume` to remove.
    pub keep: bool,
    /// How long opening the repository took.
    pub opened: Duration,
}

/// What a drill left.
pub struct Drilled {
    /// What it proved.
    pub evidence: Evidence,
    /// Why it did not get to its end, if it did not.
    pub error: Option<Error>,
}

/// A drill while it goes on.
struct Course<'a> {
    job: &'a DrillJob,
    engine: &'a Engine,
    context: &'a Context,
    recorder: &'a Recorder<'a>,
    server: Option<Server<'a>>,
    scratch: PathBuf,
    known: Known,
}

/// What becomes known while a drill goes on.
#[derive(Default)]
struct Known {
    begun: Timestamp,
    /// The folders of the scratch place.
    targets: Vec<PathBuf>,
    /// Whether the snapshot lacks something.
    incomplete: bool,
    plugin: Option<PluginIdentity>,
    postgres: Option<String>,
    intent: Option<Intent>,
    config: Map<String, Value>,
    /// Those of the plan.
    findings: Vec<Finding>,
    streams: Vec<String>,
    /// What of the scratch place stays.
    kept: Vec<PathBuf>,
    /// What could not be removed.
    left: Vec<String>,
}

impl DrillJob {
    /// Rehearses. Nothing but the scratch place is filled, and nothing but what the grants allow is run.
    ///
    /// # Errors
    /// It could not begin, or was interrupted, which proves nothing. Every other failure is part of what is given back.
    pub fn run(
        self,
        engine: &Engine,
        context: &Context,
        observer: &dyn Observer,
    ) -> Result<Drilled, Error> {
        let job = convert::job_id();
        let own = format!("copal-drill-{job}");
        let beside = self.directory.clone().unwrap_or_else(std::env::temp_dir);
        let server = self.postgres.as_ref();
        let server = server.map(|wanted| Server::new(wanted, beside.join(format!("{own}-pg"))));
        let scratch = match &self.directory {
            Some(directory) => directory.join(own),
            None => scratch::place(&context.state, &job),
        };
        let begun = Begun {
            kind: "drill".into(),
            plugin: self.name.clone(),
            time: Timestamp::now(),
            roots: Vec::new(),
            scratch: scratch.clone(),
            job,
        };
        let recorder = Recorder::new(observer, "Open the repository", self.opened);
        let mut course = Course {
            job: &self,
            engine,
            context,
            recorder: &recorder,
            server: server.transpose()?,
            scratch,
            known: Known {
                begun: begun.time,
                ..Known::default()
            },
        };
        let cancel = context.cancel.clone();
        let mut steps = Steps::begin(&context.state, &begun, &context.runtime, cancel, &recorder)?;
        let restored = course
            .rehearse(&mut steps)
            .map_err(|e| any_drill(e, &begun.job));
        // Whatever it was that failed then: an interrupt ends commands and calls in their own ways.
        let interrupted = restored.is_err() && context.cancel.load(Ordering::Relaxed);
        let not_undone = course.end(steps, self.keep && !interrupted);
        let known = course.known;
        if interrupted {
            return Err(Error::interrupted().and_not_undone(not_undone));
        }
        Ok(self.drilled(known, restored, recorder.finish(), context))
    }
}

impl Course<'_> {
    /// Makes the scratch place and restores into it.
    fn rehearse(&mut self, steps: &mut Steps<'_>) -> Result<RestoreOutcome, Error> {
        let mut restore = RestoreJob {
            rehearsal: true,
            safety: false,
            ..self.job.restore.clone()
        };
        if let Some(server) = &self.server {
            self.known.postgres = Some(server.version(&self.context.cancel)?);
            steps.perform(&server.steps())?;
            server.fill(&mut restore.settings);
            restore.feeds.iter_mut().for_each(|feed| server.lead(feed));
        }
        let manifest = Manifest::read(&restore.repository, &restore.snapshot.1.tree)?;
        restore.targets = self.targets(manifest.as_ref())?;
        let places = restore.targets.iter().map(|(_, place)| place.clone());
        self.known.targets = places.collect();
        self.recorder.turn(Purpose::Recover);
        self.recorder.phase("Plan the restore");
        let planned = restore.plan(self.engine, self.context)?;
        let fed = |placement: &Placement| match &placement.content {
            PlacementContent::Feed(feed) => Some(feed.name.clone()),
            PlacementContent::Tree(_) => None,
        };
        let known = &mut self.known;
        known.incomplete = manifest.is_some_and(|manifest| !manifest.complete);
        known.plugin.clone_from(&planned.plugin);
        known.intent = Some(planned.intent);
        known.config.clone_from(&planned.config);
        known.findings.clone_from(&planned.plan.findings);
        known.streams = planned.plan.placements.iter().filter_map(fed).collect();
        planned.approve()?.run(self.context, self.recorder)
    }

    /// Removes the scratch place, or leaves it. Gives what could not be taken back.
    fn end(&mut self, steps: Steps<'_>, keep: bool) -> Vec<UndoFailure> {
        self.recorder.turn(Purpose::Remove);
        if keep {
            steps.leave();
            let server = self.server.iter().map(|server| server.directory.clone());
            self.known.kept = std::iter::once(self.scratch.clone())
                .chain(server)
                .collect();
            return Vec::new();
        }
        self.recorder.phase("Remove the scratch place");
        let not_undone = steps.end();
        for place in &self.known.targets {
            exclusive::forget(&self.context.state, place);
        }
        self.known.left = not_undone.iter().map(not_undone_sentence).collect();
        if self.scratch.exists() {
            let scratch = self.scratch.display();
            let problem = format!("the scratch place {scratch} could not be removed");
            self.known.left.push(problem);
        }
        not_undone
    }

    /// A folder of the scratch place for each root that the snapshot holds, and copies of the directories that are only looked at.
    fn targets(
        &self,
        manifest: Option<&Manifest>,
    ) -> Result<Vec<(Option<String>, PathBuf)>, Error> {
        let RestoreJob {
            repository,
            snapshot,
            targets: looked_at,
            ..
        } = &self.job.restore;
        let place = |name: &str| self.scratch.join("targets").join(name);
        let mut targets = Vec::new();
        let names = match manifest {
            Some(manifest) => manifest
                .roots
                .iter()
                .map(|root| root.name.as_str())
                .collect(),
            None => vec![PLAIN],
        };
        for name in names {
            if manifest.is_none()
                || walk::find(repository, &snapshot.1.tree, name.as_bytes())?.is_some()
            {
                targets.push((Some(name.to_owned()), place(name)));
            }
        }
        for (name, path) in looked_at {
            let Some(name) = name else {
                let problem = format!(
                    "name the root that {} is: a drill restores into a scratch place",
                    path.display()
                );
                return Err(Error::Drill(problem));
            };
            if targets.iter().any(|(held, _)| held.as_ref() == Some(name)) {
                let problem = format!(
                    "the snapshot holds the root `{name}`, and a drill restores that into a scratch place: take it out of the drill's roots"
                );
                return Err(Error::Drill(problem));
            }
            copy(path, &place(name)).map_err(|e| Error::state("copy for the drill", path, e))?;
            targets.push((Some(name.clone()), place(name)));
        }
        Ok(targets)
    }
}

impl DrillJob {
    /// Draws the conclusion.
    fn drilled(
        self,
        known: Known,
        restored: Result<RestoreOutcome, Error>,
        record: Record,
        context: &Context,
    ) -> Drilled {
        let (outcome, error) = match restored {
            Ok(outcome) => (Some(outcome), None),
            Err(error) => (None, Some(error)),
        };
        let mut problems: Vec<_> = error.iter().map(ToString::to_string).collect();
        problems.extend(record.compared.iter().flat_map(different));
        problems.extend(known.left);
        let not_undone = outcome.iter().flat_map(|outcome| &outcome.not_undone);
        problems.extend(not_undone.map(not_undone_sentence));
        let complete = !known.incomplete
            && outcome
                .as_ref()
                .is_some_and(|outcome| outcome.missing.is_empty());
        let verdict = match (problems.is_empty(), complete) {
            (false, _) => Verdict::Failed,
            (true, false) => Verdict::Incomplete,
            (true, true) => Verdict::Passed,
        };
        let (id, snapshot) = &self.restore.snapshot;
        let taken = Timestamp::new(snapshot.time.seconds, 0).unwrap_or_default();
        let lost = record
            .compared
            .iter()
            .any(|compared| compared.comparison.different > 0);
        let whole = outcome.is_some() && !lost;
        let (missing, steps) = outcome
            .map(|outcome| (outcome.missing, outcome.steps))
            .unwrap_or_default();
        let mut evidence = Evidence {
            format: Evidence::FORMAT,
            job: self.name,
            verdict,
            proven: Vec::new(),
            problems,
            recovery_seconds: None,
            begun: known.begun,
            ended: Timestamp::now(),
            hostname: context.identity.hostname.clone(),
            program: context.program.clone(),
            repository: self.restore.repository.location().to_owned(),
            snapshot: Rehearsed {
                id: *id,
                time: taken,
                age_seconds: known.begun.as_second() - taken.as_second(),
                hostname: snapshot.hostname.clone(),
                paths: snapshot.paths.clone(),
            },
            plugin: known.plugin,
            postgres: known.postgres,
            intent: known.intent,
            config: known.config,
            compared: record.compared,
            streams: known.streams,
            findings: [known.findings, record.findings].concat(),
            missing,
            steps,
            phases: record.phases,
            kept: known.kept,
        };
        evidence.conclude(whole);
        Drilled { evidence, error }
    }
}

/// Has missing grants named so that they hold for the next drill too, whose scratch place has another name.
fn any_drill(error: Error, job: &str) -> Error {
    match error {
        Error::Grants(needed) => {
            let any = |needed: Needed| Needed {
                grant: needed.grant.with_any(job),
                ..needed
            };
            Error::Grants(needed.into_iter().map(any).collect())
        }
        error => error,
    }
}

fn not_undone_sentence(failure: &UndoFailure) -> String {
    format!(
        "`{}` could not be undone: {}",
        failure.title, failure.problem
    )
}

/// What does not agree with the snapshot, in one sentence.
fn different(compared: &Compared) -> Option<String> {
    let found = &compared.comparison;
    if found.different == 0 {
        return None;
    }
    let named = found.differences.iter().take(NAMED);
    let named: Vec<_> = named
        .map(|difference| format!("{} ({})", difference.path, difference.problem))
        .collect();
    let more = found.different.saturating_sub(named.len() as u64);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let entries = evidence::count(found.different, "entry", "entries");
    Some(format!(
        "{entries} of `{}` are not what the snapshot holds: {}{more}.",
        compared.root,
        named.join(", ")
    ))
}

/// Copies a directory with all in it.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let (Some(parent), Some(name)) = (from.parent(), from.file_name()) else {
        return Err(std::io::ErrorKind::InvalidInput.into());
    };
    let (Some(place), Some(new)) = (to.parent(), to.file_name()) else {
        return Err(std::io::ErrorKind::InvalidInput.into());
    };
    std::fs::create_dir_all(place)?;
    let from = Dir::open_ambient_dir(parent, ambient_authority())?;
    let to = Dir::open_ambient_dir(place, ambient_authority())?;
    action::copy_entry(&from, name, &to, new)
}
