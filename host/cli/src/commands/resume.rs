//! `copal resume`

use std::process::ExitCode;

use crate::failure::FAILED;
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(session: &Session) -> Outcome {
    let console = Console::new(session.global.quiet || session.global.json);
    let resumed = copal_job::resume(&session.context, &console)?;
    drop(console);
    if session.global.json {
        output::json(&resumed)?;
    } else if resumed.is_empty() {
        output::print("No job of this machine was interrupted.")?;
    } else {
        output::print(&resumed.iter().map(output::resumed).collect::<String>())?;
    }
    let whole = resumed.iter().all(|job| job.not_undone.is_empty());
    Ok(if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}
