//! `copal rollback`

use std::process::ExitCode;

use copal_job::{PlannedRollback, RollbackJob, Settings};
use copal_repository::LockMode;

use super::{job, select};
use crate::args::RollbackArgs;
use crate::failure::Failure;
use crate::output::Console;
use crate::session::{Entered, Session};
use crate::{Outcome, output};

pub(crate) fn run(args: &RollbackArgs, session: &Session) -> Outcome {
    job::warn_of_interrupted(session)?;
    let ask = !args.dry_run && job::can_ask(&args.job, session);
    let planned = make(args, ask, session)?;
    if args.dry_run {
        if session.global.json {
            output::json(&planned)?;
        }
        planned.approve()?;
        return Ok(ExitCode::SUCCESS);
    }
    let approved = planned.approve()?;
    job::agree(&args.job, "the rollback", "--dry-run", session)?;
    session.interrupts_end_work();
    let console = Console::new(session.global.quiet || session.global.json);
    let outcome = approved.run(&session.context, &console)?;
    drop(console);
    let printed = match session.global.json {
        true => output::json(&outcome),
        false => output::print(&output::rollback(&outcome)),
    };
    job::end(&outcome.not_undone, &outcome.missing, printed, session)
}

fn make(args: &RollbackArgs, ask: bool, session: &Session) -> Result<PlannedRollback, Failure> {
    let engine = session.engine()?;
    let of_job = session.job()?;
    // Kept while it is planned; the plan then keeps the same.
    let Entered {
        repository,
        lock: _lock,
        ..
    } = session.enter(of_job.as_ref(), LockMode::Write)?;
    // What was replaced was replaced by a migration or by a restore of the job.
    let place = of_job.as_ref().and_then(|job| {
        let restore = job.restore.as_ref().map(|restore| &restore.place);
        job.migrate.as_ref().or(restore)
    });
    let snapshot = match &args.snapshot {
        Some(text) => repository.snapshot(text)?,
        None => {
            let paths = place.map(|place| place.roots.values().cloned().collect::<Vec<_>>());
            let latest = copal_job::latest_safety(&repository, paths.as_deref(), &session.context);
            select::latest(latest?)
        }
    };
    let settings = match place {
        Some(place) => place.settings()?,
        None => Settings::default(),
    };
    let settings = settings.and_words(job::settings(&args.job)?);
    let mut given = args.job.grant.clone();
    given.extend(place.iter().flat_map(|place| place.grants.iter().cloned()));
    job::plan(
        &given,
        ask,
        |grants| {
            let job = RollbackJob {
                repository: repository.clone(),
                snapshot: snapshot.clone(),
                settings: settings.clone(),
                grants: grants.iter().cloned().collect(),
            };
            job.plan(&engine, &session.context)
        },
        |planned| job::missing(&[], &planned.grants),
        |planned| output::plan(|| output::rollback_plan(planned), session),
    )
}
