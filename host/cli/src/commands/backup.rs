//! `copal backup` and `copal plan backup`

use std::process::ExitCode;

use copal_job::{BackupJob, PlannedBackup};

use super::job;
use crate::args::BackupArgs;
use crate::failure::Failure;
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn plan(args: &BackupArgs, session: &Session) -> Outcome {
    let planned = make(args, false, session)?;
    if session.global.json {
        output::json(&planned)?;
    }
    planned.approve()?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn run(args: &BackupArgs, session: &Session) -> Outcome {
    if args.dry_run {
        return plan(args, session);
    }
    job::warn_of_interrupted(session)?;
    let repository = session.repository()?;
    let ask = job::can_ask(&args.job, session);
    let planned = make(args, ask, session)?;
    let acts = !planned.plan.quiesce.is_empty();
    let approved = planned.approve()?;
    if acts && ask {
        job::confirm()?;
    }
    session.interrupts_end_work()?;
    let console = Console::new(session.global.quiet || session.global.json);
    let outcome = approved.run(&repository, &session.context, &console)?;
    drop(console);
    let printed = match session.global.json {
        true => output::json(&outcome),
        false => output::print(&output::backup(&outcome)),
    };
    job::end(&outcome.not_undone, &outcome.missing, printed, session)
}

fn make(args: &BackupArgs, ask: bool, session: &Session) -> Result<PlannedBackup, Failure> {
    let plugin = session.plugin(&session.engine()?, &args.plugin)?;
    let settings = job::settings(&args.job)?;
    job::plan(
        &args.job.grant,
        ask,
        |grants| {
            let job = BackupJob {
                plugin: plugin.clone(),
                roots: args.roots.clone(),
                settings: settings.clone(),
                grants: grants.iter().cloned().collect(),
                tags: args.tag.clone(),
            };
            job.plan(&session.context)
        },
        |planned| job::missing(&planned.plan.findings, &planned.grants),
        |planned| output::plan(|| output::backup_plan(planned), session),
    )
}
