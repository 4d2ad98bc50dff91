//! `copal check`

use std::process::ExitCode;

use copal_repository::LockMode;
use copal_repository::checker::{CheckOptions, check};

use crate::args::CheckArgs;
use crate::failure::FAILED;
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(args: &CheckArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let _lock = repository.lock(LockMode::Shared)?;
    let console = Console::new(session.global.quiet || session.global.json);
    let options = CheckOptions { read_data: args.read_data, cancel: session.context.cancel.clone() };
    let report = check(&repository, &options, &console)?;
    drop(console);
    if session.global.json {
        output::json(&report)?;
    } else {
        let errors: String = report.errors.iter().map(|error| format!("ERROR: {}\n", output::printable(error))).collect();
        let state = if report.errors.is_empty() { "no errors were found".to_owned() } else { format!("{} errors", report.errors.len()) };
        output::print(&format!("{errors}{state}"))?;
    }
    Ok(if report.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
