//! `copal restore` and `copal plan restore`

use std::process::ExitCode;

use copal_job::{PlannedRestore, RestoreJob};

use super::job;
use crate::args::RestoreArgs;
use crate::failure::Failure;
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn plan(args: &RestoreArgs, session: &Session) -> Outcome {
    let planned = make(args, false, session)?;
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
    let ask = job::can_ask(&args.job, session);
    let planned = make(args, ask, session)?;
    let alters = planned.alters();
    let approved = planned.approve()?;
    if alters && ask {
        job::confirm()?;
    } else if alters && !args.job.yes {
        let message =
            "the restore would alter what is there already, and there is no terminal to ask on";
        let advice = "Look at it with `copal plan restore`, then add --yes.";
        return Err(Failure::usage("declined", message).advise(advice));
    }
    session.interrupts_end_work()?;
    let console = Console::new(session.global.quiet || session.global.json);
    let outcome = approved.run(&session.context, &console)?;
    drop(console);
    let printed = match session.global.json {
        true => output::json(&outcome),
        false => output::print(&output::restore(&outcome)),
    };
    job::end(&outcome.not_undone, &outcome.missing, printed, session)
}

fn make(args: &RestoreArgs, ask: bool, session: &Session) -> Result<PlannedRestore, Failure> {
    let engine = session.engine()?;
    let repository = session.repository()?;
    let snapshot = repository.snapshot(&args.snapshot)?;
    let plugin = args
        .plugin
        .as_deref()
        .map(|plugin| session.plugin(&engine, plugin))
        .transpose()?;
    let settings = job::settings(&args.job)?;
    job::plan(
        &args.job.grant,
        ask,
        |grants| {
            let job = RestoreJob {
                repository: repository.clone(),
                snapshot: snapshot.clone(),
                plugin: plugin.clone(),
                targets: args.to.clone(),
                intent: args.intent.map(Into::into),
                settings: settings.clone(),
                grants: grants.iter().cloned().collect(),
                rehearsal: false,
            };
            job.plan(&engine, &session.context)
        },
        |planned| job::missing(&planned.plan.findings, &planned.grants),
        |planned| output::plan(|| output::restore_plan(planned), session),
    )
}
