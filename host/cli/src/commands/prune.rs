//! `copal prune`

use std::process::ExitCode;

use super::pruning;
use crate::args::PruneArgs;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(args: &PruneArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let pruning = &args.pruning;
    let (lock, two_phase) = pruning::lock(pruning, args.dry_run, &repository, session)?;
    let how = (&lock, two_phase);
    let stats = pruning::run(pruning, how, args.dry_run, Vec::new(), &repository, session)?;
    if session.global.json {
        output::json(&stats)?;
    }
    Ok(ExitCode::SUCCESS)
}
