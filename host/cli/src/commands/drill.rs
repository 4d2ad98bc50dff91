//! `copal drill`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use copal_job::{DrillJob, Drilled, Ended, Evidence, Extent, RestoreJob, Verdict};
use copal_repository::LockMode;
use serde::Serialize;

use super::job;
use crate::args::{DrillArgs, FilterArgs};
use crate::config::{Drill, Job};
use crate::failure::{Failure, INCOMPLETE};
use crate::output::Console;
use crate::session::{Entered, Session};
use crate::{Outcome, output};

/// What is printed for machines.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    evidence: &'a Evidence,
    /// Where the evidence lies.
    files: &'a [PathBuf],
}

pub(crate) fn run(args: &DrillArgs, session: &Session) -> Outcome {
    job::warn_of_interrupted(session)?;
    let name = args.name.as_deref().or(session.global.job.as_deref());
    let job = name.map(|name| session.config()?.job(name)).transpose()?;
    let drill = job.as_ref().and_then(|job| job.drill.clone());
    let drill = drill.unwrap_or_default();
    let work = || {
        let drilled = rehearse(args, job.as_ref(), &drill, session)?;
        report(
            drilled,
            args.evidence.as_deref().or(drill.evidence.as_deref()),
            session,
        )
    };
    let ended = |evidence: &Evidence| Ended {
        complete: evidence.verdict == Verdict::Passed,
        snapshot: Some(evidence.snapshot.id.to_string()),
    };
    let (evidence, failed) = match &job {
        Some(job) => {
            let operation = ("drill", LockMode::Read);
            job::between_hooks(&drill.place.hooks, job, operation, session, work, ended)?
        }
        None => (work()?, None),
    };
    match (failed, evidence.verdict) {
        (Some(failure), _) => Err(failure),
        (None, Verdict::Passed) => Ok(ExitCode::SUCCESS),
        (None, _) => Ok(ExitCode::from(INCOMPLETE)),
    }
}

fn rehearse(
    args: &DrillArgs,
    job: Option<&Job>,
    drill: &Drill,
    session: &Session,
) -> Result<Drilled, Failure> {
    let engine = session.engine()?;
    let Entered {
        repository,
        lock: _lock,
        opened,
    } = session.enter(job, LockMode::Read)?;
    let loading = Instant::now();
    repository.load_index()?;
    let opened = opened + loading.elapsed();
    let place = &drill.place;
    let plugin = args.plugin.as_deref();
    let filter = FilterArgs::default();
    let snapshot = job::snapshot(&repository, job, args.snapshot.as_deref(), &filter)?;
    if plugin.is_none() {
        job::require_own_plugin(&repository, &snapshot, job)?;
    }
    let restore = RestoreJob {
        snapshot,
        repository,
        plugin: plugin
            .map(|plugin| session.plugin(&engine, plugin))
            .transpose()?,
        targets: place.targets(),
        intent: args.intent.or(place.intent).map(Into::into),
        settings: place.settings()?.and_words(job::settings(&args.job)?),
        feeds: place.feeds()?,
        grants: place
            .grants
            .iter()
            .chain(&args.job.grant)
            .cloned()
            .collect(),
        rehearsal: true,
        safety: false,
        allow_revoked: args.allow_revoked,
        extent: Extent::default(),
    };
    let drill = DrillJob {
        name: match job {
            Some(job) => job.name.clone(),
            None => format!("snapshot-{}", restore.snapshot.0.short()),
        },
        restore,
        postgres: drill.postgres.clone().map(Into::into),
        directory: drill.directory.clone(),
        keep: args.keep,
        opened,
    };
    session.interrupts_end_work();
    let console = Console::new(session.global.quiet || session.global.json);
    Ok(drill.run(&engine, &session.context, &console)?)
}

/// Writes the evidence, and says how the drill ended. One that failed is a failure.
fn report(
    drilled: Drilled,
    directory: Option<&Path>,
    session: &Session,
) -> Result<Evidence, Failure> {
    let Drilled { evidence, error } = drilled;
    let directory = match directory {
        Some(directory) => std::path::absolute(directory)?,
        None => session.context.state.join("evidence"),
    };
    let files = evidence.write(&directory)?;
    let printed = match session.global.json {
        true => output::json(&Report {
            evidence: &evidence,
            files: &files,
        }),
        false => output::print(&output::drill(&evidence, &files)),
    };
    match (error, printed) {
        (Some(error), _) => Err(error.into()),
        (None, Err(failure)) if !failure.is_broken_pipe() => Err(failure),
        _ if evidence.verdict == Verdict::Failed => {
            let problems = evidence.problems.join("; ");
            Err(Failure::usage(
                "drill",
                format!("the drill failed: {problems}"),
            ))
        }
        _ => Ok(evidence),
    }
}
