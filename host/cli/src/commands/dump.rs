//! `copal dump`

use std::io::Write as _;
use std::process::ExitCode;

use copal_repository::walk;

use super::ls::find;
use crate::Outcome;
use crate::args::DumpArgs;
use crate::failure::Failure;
use crate::session::Session;

pub(crate) fn run(args: &DumpArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let (id, snapshot) = copal_job::snapshot(&repository, &args.snapshot)?;
    let node = find(&repository, &id, &snapshot.tree, &args.path)?;
    let mut out = std::io::stdout().lock();
    walk::dump(&repository, &node, &mut out).map_err(Failure::of_output)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
