//! `copal backup` and `copal plan backup`

use std::process::ExitCode;

use copal_job::{BackupJob, Error, PlannedBackup};

use super::job;
use crate::args::BackupArgs;
use crate::failure::{FAILED, Failure, INCOMPLETE};
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn plan(args: BackupArgs, session: &Session) -> Outcome {
    let planned = job(&args, session)?.plan(&session.context)?;
    show(&planned, session)?;
    if session.global.json {
        output::json(&planned)?;
    }
    planned.approve()?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn run(args: BackupArgs, session: &Session) -> Outcome {
    if args.dry_run {
        return plan(args, session);
    }
    let job = job(&args, session)?;
    let repository = session.repository()?;
    let ask = job::can_ask(&args.job, session.global.json);
    let mut planned = plan_job(job, ask, session)?;
    show(&planned, session)?;
    let missing = job::missing(&planned.plan.findings, &planned.grants);
    if ask
        && !missing.is_empty()
        && let Some(grants) = job::ask_grants(missing)?
    {
        planned = planned.with_grants(grants).plan(&session.context)?;
    }
    let asks_first = ask && !planned.plan.quiesce.is_empty();
    let approved = planned.approve()?;
    if asks_first {
        job::confirm()?;
    }
    let console = Console::new(session.global.quiet || session.global.json);
    let outcome = approved.run(&repository, &session.context, &console)?;
    drop(console);
    if session.global.json {
        output::json(&outcome)?;
    } else {
        output::print(&output::backup(&outcome))?;
    }
    Ok(match (outcome.not_undone.is_empty(), outcome.complete) {
        (false, _) => ExitCode::from(FAILED),
        (true, false) => ExitCode::from(INCOMPLETE),
        (true, true) => ExitCode::SUCCESS,
    })
}

/// Plans; where the plugin could not even plan without a grant, asks for it first.
fn plan_job(job: BackupJob, ask: bool, session: &Session) -> Result<PlannedBackup, Failure> {
    let mut again = job.clone();
    match job.plan(&session.context) {
        Err(Error::Grants(missing)) if ask => {
            let granted = job::ask_grants(missing.clone())?.ok_or(Error::Grants(missing))?;
            granted.into_iter().for_each(|grant| again.grants.add(grant));
            Ok(again.plan(&session.context)?)
        }
        planned => Ok(planned?),
    }
}

fn job(args: &BackupArgs, session: &Session) -> Result<BackupJob, Failure> {
    let engine = session.engine()?;
    Ok(BackupJob {
        plugin: session.plugin(&engine, &args.plugin)?,
        roots: args.roots.clone(),
        settings: job::settings(&args.job)?,
        grants: args.job.grant.iter().cloned().collect(),
        tags: args.tag.clone(),
    })
}

fn show(planned: &PlannedBackup, session: &Session) -> Result<(), Failure> {
    if session.global.json || session.global.quiet {
        return Ok(());
    }
    output::print(&format!("{}\n", output::backup_plan(planned)))
}
