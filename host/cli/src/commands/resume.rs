//! `copal resume`

use std::process::ExitCode;

use super::job;
use crate::failure::INTERRUPTED;
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(session: &Session) -> Outcome {
    session.interrupts_end_work();
    let console = Console::new(session.global.quiet || session.global.json);
    let resumed = copal_job::resume(&session.context, &console)?;
    drop(console);
    let printed = if session.global.json {
        output::json(&resumed)
    } else if resumed.is_empty() {
        output::print("No job of this machine was interrupted.")
    } else {
        output::print(&resumed.iter().map(output::resumed).collect::<String>())
    };
    if !session.global.json {
        output::complain(&output::unfinished(&copal_job::unfinished(
            &session.context,
        )?));
    }
    let not_undone: Vec<_> = resumed.into_iter().flat_map(|job| job.not_undone).collect();
    let code = job::end(&not_undone, &[], printed, session)?;
    Ok(match not_undone.is_empty() || !session.interrupted() {
        true => code,
        false => ExitCode::from(INTERRUPTED),
    })
}
