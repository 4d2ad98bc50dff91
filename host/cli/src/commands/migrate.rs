//! `copal migrate` and `copal plan migrate`

use std::path::PathBuf;
use std::process::ExitCode;

use copal_job::{Attempt, Ended, MigrationJob, MigrationOutcome, PlannedMigration, PlannedRestore};
use copal_repository::{LockGuard, LockMode};
use copal_sandbox::{Engine, Grant};

use super::{backup, job, restore};
use crate::args::{JobArgs, MigrateArgs};
use crate::config::{Job, Place};
use crate::failure::Failure;
use crate::output::Console;
use crate::session::{Entered, Session};
use crate::{Outcome, output};

pub(crate) fn plan(args: &MigrateArgs, session: &Session) -> Outcome {
    let engine = session.engine()?;
    let (planned, _lock) = make(args, session.job()?.as_ref(), false, &engine, session)?;
    if session.global.json {
        output::json(&planned)?;
    }
    planned.approve()?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn run(args: &MigrateArgs, session: &Session) -> Outcome {
    if args.from.dry_run {
        return plan(args, session);
    }
    job::warn_of_interrupted(session)?;
    let job = session.job()?;
    let work = || perform(args, job.as_ref(), session);
    let ended = |outcome: &MigrationOutcome| Ended {
        complete: outcome.not_undone().next().is_none(),
        snapshot: Some(outcome.restore.snapshot.to_string()),
    };
    let done = match &job {
        Some(job) => {
            let hooks = &place(job)?.hooks;
            let operation = ("migrate", LockMode::Write);
            job::between_hooks(hooks, job, operation, session, work, ended)
        }
        None => work().map(|outcome| (outcome, None)),
    };
    let (outcome, failed) = done.inspect_err(|_| {
        let unfinished = copal_job::unfinished(&session.context).unwrap_or_default();
        if !session.global.json {
            output::complain(&output::unfinished(&unfinished));
        }
    })?;
    let printed = match session.global.json {
        true => output::json(&outcome),
        false => output::print(&output::migration(&outcome)),
    };
    let not_undone: Vec<_> = outcome.not_undone().cloned().collect();
    let ended = job::end(&not_undone, &[], printed, session);
    failed.map_or(ended, Err)
}

fn perform(
    args: &MigrateArgs,
    job: Option<&Job>,
    session: &Session,
) -> Result<MigrationOutcome, Failure> {
    let engine = session.engine()?;
    let (planned, _lock) = make(
        args,
        job,
        job::can_ask(&args.from.job, session),
        &engine,
        session,
    )?;
    let approved = planned.approve()?;
    job::agree(
        &args.from.job,
        "the migration",
        "`copal plan migrate`",
        session,
    )?;
    session.interrupts_end_work();
    let console = match session.global.json {
        true => Console::for_machines(),
        false => Console::new(session.global.quiet),
    };
    let mut agree = |planned: &PlannedRestore| agree(planned, &args.from.job, session);
    Ok(approved.run(&engine, &session.context, &console, &mut agree)?)
}

/// The place that the job migrates to.
fn place(job: &Job) -> Result<&Place, Failure> {
    job.migrate.as_ref().ok_or_else(|| {
        let message = format!("the job `{}` does not say where to migrate to", job.name);
        let advice = format!("Give it a section [jobs.{}.migrate].", job.name);
        Failure::usage("no-migrate", message).advise(advice)
    })
}

/// The plan, and the lock that was waited for.
fn make(
    args: &MigrateArgs,
    job: Option<&Job>,
    ask: bool,
    engine: &Engine,
    session: &Session,
) -> Result<(PlannedMigration, Option<LockGuard>), Failure> {
    let (asked, lock) = request(args, job, session)?;
    let attempt = match (args.resume, args.restart) {
        (true, _) => Attempt::Resume,
        (_, true) => Attempt::Restart,
        _ => Attempt::First,
    };
    let given: Vec<Grant> = asked
        .backup
        .grants
        .iter()
        .chain(asked.grants.iter())
        .cloned()
        .collect();
    let planned = job::plan(
        &given,
        ask,
        |grants| {
            let mut job = asked.clone();
            let more: Vec<_> = grants
                .iter()
                .filter(|grant| !given.contains(grant))
                .collect();
            // What is allowed when asked belongs to this migration, on whichever side it is needed.
            for grants in [&mut job.backup.grants, &mut job.grants] {
                *grants = grants.iter().chain(more.iter().copied()).cloned().collect();
            }
            job.plan(engine, attempt, &session.context)
        },
        |planned| {
            let backup = planned.backup.iter();
            let of_backup =
                backup.flat_map(|backup| job::missing(&backup.plan.findings, &backup.grants));
            let restore = &planned.restore;
            let of_restore = job::missing(&restore.plan.findings, &restore.grants);
            of_backup.chain(of_restore).collect()
        },
        |planned| output::plan(|| output::migration_plan(planned), session),
    )?;
    Ok((planned, lock))
}

/// What the arguments ask for, on top of what the job says.
fn request(
    args: &MigrateArgs,
    job: Option<&Job>,
    session: &Session,
) -> Result<(MigrationJob, Option<LockGuard>), Failure> {
    let backup = backup::request(&args.from, job, session)?;
    let place = match job {
        Some(job) => place(job)?.clone(),
        None => Place::default(),
    };
    let targets = restore::targets(place.targets(), &args.to);
    let words = JobArgs {
        set: args.to_set.clone(),
        set_file: args.to_set_file.clone(),
        ..args.from.job.clone()
    };
    let Entered {
        repository, lock, ..
    } = session.enter(job, LockMode::Write)?;
    let asked = MigrationJob {
        name: job.map_or_else(|| unnamed(&targets), |job| job.name.clone()),
        repository,
        targets,
        intent: args.intent.or(place.intent).map(Into::into),
        settings: place.settings()?.and_words(job::settings(&words)?),
        feeds: place.feeds()?,
        grants: place
            .grants
            .iter()
            .chain(&args.from.job.grant)
            .cloned()
            .collect(),
        allow_revoked: args.allow_revoked,
        backup,
    };
    Ok((asked, lock))
}

/// What a migration without a job is found again by: where it goes.
fn unnamed(targets: &[(Option<String>, PathBuf)]) -> String {
    let mut words: Vec<_> = targets
        .iter()
        .map(|(name, path)| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            match name {
                Some(name) => format!("{name}={}", path.display()),
                None => path.display().to_string(),
            }
        })
        .collect();
    words.sort();
    words.join(" ")
}

/// Shows the plan of a restore that is not the one that was agreed to.
fn agree(planned: &PlannedRestore, args: &JobArgs, session: &Session) -> bool {
    let shown = output::plan(|| output::restore_plan(planned), session);
    shown.is_ok()
        && job::agree(
            args,
            "the restore, which is not as it was shown,",
            "`copal plan restore`",
            session,
        )
        .is_ok()
}
