//! `copal restore` and `copal plan restore`

use std::process::ExitCode;

use copal_job::{Error, PlannedRestore, RestoreJob};
use copal_sandbox::Engine;

use super::job;
use crate::args::RestoreArgs;
use crate::failure::{FAILED, Failure, INCOMPLETE};
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn plan(args: RestoreArgs, session: &Session) -> Outcome {
    let engine = session.engine()?;
    let planned = job(&args, &engine, session)?.plan(&engine, &session.context)?;
    show(&planned, session)?;
    if session.global.json {
        output::json(&planned)?;
    }
    planned.approve()?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn run(args: RestoreArgs, session: &Session) -> Outcome {
    if args.dry_run {
        return plan(args, session);
    }
    let engine = session.engine()?;
    let job = job(&args, &engine, session)?;
    let ask = job::can_ask(&args.job, session.global.json);
    let mut planned = plan_job(job, ask, &engine, session)?;
    show(&planned, session)?;
    let missing = job::missing(&planned.plan.findings, &planned.grants);
    if ask
        && !missing.is_empty()
        && let Some(grants) = job::ask_grants(missing)?
    {
        planned = planned.with_grants(grants).plan(&engine, &session.context)?;
    }
    let alters = planned.alters();
    let approved = planned.approve()?;
    if alters && ask {
        job::confirm()?;
    } else if alters && !args.job.yes {
        let message = "the restore would alter what is there already, and there is no terminal to ask on";
        let advice = "Look at it with `copal plan restore`, then add --yes.";
        return Err(Failure::usage("declined", message).advise(advice));
    }
    let console = Console::new(session.global.quiet || session.global.json);
    let outcome = approved.run(&session.context, &console)?;
    drop(console);
    if session.global.json {
        output::json(&outcome)?;
    } else {
        output::print(&output::restore(&outcome))?;
    }
    Ok(match (outcome.not_undone.is_empty(), outcome.complete) {
        (false, _) => ExitCode::from(FAILED),
        (true, false) => ExitCode::from(INCOMPLETE),
        (true, true) => ExitCode::SUCCESS,
    })
}

/// Plans; where the plugin could not even plan without a grant, asks for it first.
fn plan_job(job: RestoreJob, ask: bool, engine: &Engine, session: &Session) -> Result<PlannedRestore, Failure> {
    let mut again = job.clone();
    match job.plan(engine, &session.context) {
        Err(Error::Grants(missing)) if ask => {
            let granted = job::ask_grants(missing.clone())?.ok_or(Error::Grants(missing))?;
            granted.into_iter().for_each(|grant| again.grants.add(grant));
            Ok(again.plan(engine, &session.context)?)
        }
        planned => Ok(planned?),
    }
}

fn job(args: &RestoreArgs, engine: &Engine, session: &Session) -> Result<RestoreJob, Failure> {
    let repository = session.repository()?;
    let snapshot = repository.snapshot(&args.snapshot)?;
    let plugin = args.plugin.as_deref().map(|plugin| session.plugin(engine, plugin)).transpose()?;
    Ok(RestoreJob {
        repository,
        snapshot,
        plugin,
        targets: args.to.clone(),
        intent: args.intent.map(Into::into),
        settings: job::settings(&args.job)?,
        grants: args.job.grant.iter().cloned().collect(),
    })
}

fn show(planned: &PlannedRestore, session: &Session) -> Result<(), Failure> {
    if session.global.json || session.global.quiet {
        return Ok(());
    }
    output::print(&format!("{}\n", output::restore_plan(planned)))
}
