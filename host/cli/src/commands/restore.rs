//! `copal restore` and `copal plan restore`

use std::path::PathBuf;
use std::process::ExitCode;

use copal_job::{Ended, Extent, PlannedRestore, RestoreJob, RestoreOutcome};
use copal_repository::pattern::Choice;
use copal_repository::{LockMode, Repository};
use copal_sandbox::Engine;

use super::{choice, job};
use crate::args::{ChoiceArgs, RestoreArgs};
use crate::config::{Job, Restore};
use crate::failure::Failure;
use crate::output::Console;
use crate::session::{Entered, Session};
use crate::{Outcome, output};

pub(crate) fn plan(args: &RestoreArgs, session: &Session) -> Outcome {
    let planned = make(args, session.job()?.as_ref(), false, true, session)?;
    if session.global.json {
        output::json(&planned)?;
    }
    planned.approve()?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn run(args: &RestoreArgs, session: &Session) -> Outcome {
    if args.dry_run {
        return plan(args, session);
    }
    job::warn_of_interrupted(session)?;
    let job = session.job()?;
    let work = || perform(args, job.as_ref(), session);
    let ended = |outcome: &RestoreOutcome| Ended {
        complete: outcome.complete && outcome.not_undone.is_empty(),
        snapshot: Some(outcome.snapshot.to_string()),
    };
    let (outcome, failed) = match &job {
        Some(job) => {
            let place = job.restore.clone().unwrap_or_default().place;
            let operation = ("restore", LockMode::Read);
            job::between_hooks(&place.hooks, job, operation, session, work, ended)?
        }
        None => (work()?, None),
    };
    let printed = match session.global.json {
        true => output::json(&outcome),
        false => output::print(&output::restore(&outcome)),
    };
    let ended = job::end(&outcome.not_undone, &outcome.missing, printed, session);
    match failed {
        Some(failure) => Err(failure),
        None => ended,
    }
}

fn perform(
    args: &RestoreArgs,
    job: Option<&Job>,
    session: &Session,
) -> Result<RestoreOutcome, Failure> {
    let ask = job::can_ask(&args.job, session);
    // What is to be removed is shown before it is.
    let planned = make(args, job, ask, args.choice.delete, session)?;
    let alters = planned.alters();
    let approved = planned.approve()?;
    if alters {
        job::agree(&args.job, "the restore", "`copal plan restore`", session)?;
    }
    session.interrupts_end_work();
    let console = Console::new(session.global.quiet || session.global.json);
    Ok(approved.run(&session.context, &console)?)
}

fn make(
    args: &RestoreArgs,
    job: Option<&Job>,
    ask: bool,
    preview: bool,
    session: &Session,
) -> Result<PlannedRestore, Failure> {
    if job.is_none() && args.snapshot.is_none() {
        return Err(job::no_snapshot());
    }
    let engine = session.engine()?;
    // Kept while it is planned; the plan then keeps the same.
    let Entered {
        repository,
        lock: _lock,
        ..
    } = session.enter(job, LockMode::Read)?;
    let asked = request(args, job, repository, &engine, session)?;
    job::plan(
        &asked.grants.iter().cloned().collect::<Vec<_>>(),
        ask,
        |grants| {
            let job = RestoreJob {
                grants: grants.iter().cloned().collect(),
                ..asked.clone()
            };
            let planned = job.plan(&engine, &session.context)?;
            match preview {
                true => {
                    let console = Console::new(session.global.quiet || session.global.json);
                    planned.preview(&session.context, &console)
                }
                false => Ok(planned),
            }
        },
        |planned| job::missing(&planned.plan.findings, &planned.grants),
        |planned| output::plan(|| output::restore_plan(planned), session),
    )
}

/// What the arguments ask for, on top of what the job says of a restore.
fn request(
    args: &RestoreArgs,
    job: Option<&Job>,
    repository: Repository,
    engine: &Engine,
    session: &Session,
) -> Result<RestoreJob, Failure> {
    let Restore { place, snapshot } = job.and_then(|job| job.restore.clone()).unwrap_or_default();
    let plugin = args.plugin.as_deref();
    let named = args.snapshot.as_deref().or(snapshot.as_deref());
    let snapshot = job::snapshot(&repository, job, named, &args.filter)?;
    if plugin.is_none() {
        job::require_own_plugin(&repository, &snapshot, job)?;
    }
    Ok(RestoreJob {
        snapshot,
        repository,
        plugin: plugin
            .map(|plugin| session.plugin(engine, plugin))
            .transpose()?,
        targets: targets(place.targets(), &args.to),
        intent: args.intent.or(place.intent).map(Into::into),
        settings: place.settings()?.and_words(job::settings(&args.job)?),
        feeds: place.feeds()?,
        grants: place
            .grants
            .iter()
            .chain(&args.job.grant)
            .cloned()
            .collect(),
        rehearsal: false,
        safety: args.safety,
        allow_revoked: args.allow_revoked,
        extent: extent(&args.choice)?,
    })
}

/// How much of the snapshot it is about, and what becomes of what is there.
fn extent(args: &ChoiceArgs) -> Result<Extent, Failure> {
    Ok(Extent {
        choice: Choice {
            include: choice::patterns(&args.include, &args.iinclude, &args.include_file)?,
            exclude: choice::patterns(&args.exclude, &args.iexclude, &args.exclude_file)?,
        },
        delete: args.delete,
        overwrite: args.overwrite.into(),
    })
}

/// The job's targets, with those of the command line in place of the ones that have the same name; a bare one stands alone.
pub(super) fn targets(
    mut own: Vec<(Option<String>, PathBuf)>,
    said: &[(Option<String>, PathBuf)],
) -> Vec<(Option<String>, PathBuf)> {
    own.retain(|(name, _)| {
        said.iter()
            .all(|(other, _)| other.is_some() && name != other)
    });
    own.extend_from_slice(said);
    own
}
