//! `copal check`

use std::process::ExitCode;

use copal_repository::LockMode;
use copal_repository::checker::{CheckOptions, ReadData, check};

use crate::args::CheckArgs;
use crate::failure::FAILED;
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(args: &CheckArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let _lock = session.lock(&repository, LockMode::Read)?;
    let console = Console::new(session.global.quiet || session.global.json);
    let options = CheckOptions {
        read_data: match (args.read_data, args.read_data_subset) {
            (true, _) => ReadData::All,
            (false, part) => part.unwrap_or_default(),
        },
    };
    let report = check(&repository, options, &console)?;
    drop(console);
    if session.global.json {
        output::json(&report)?;
    } else {
        let errors: String = report
            .errors
            .iter()
            .map(|error| format!("ERROR: {}\n", output::printable(error)))
            .collect();
        let hints: String = report
            .hints
            .iter()
            .map(|hint| format!("hint: {}\n", output::printable(hint)))
            .collect();
        let state = match report.errors.len() {
            0 => "no errors were found".to_owned(),
            count => format!("{count} errors were found"),
        };
        let looked = format!(
            "{} snapshots, {} directories, {} packs of which {} were read",
            report.snapshots, report.trees, report.packs, report.packs_read
        );
        output::print(&format!("{errors}{hints}{looked}: {state}"))?;
    }
    Ok(if report.errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}
