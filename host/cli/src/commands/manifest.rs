//! `copal manifest`

use std::process::ExitCode;

use copal_job::Manifest;

use crate::args::SnapshotArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

/// Prints the manifest as JSON in any case: that is what it is.
pub(crate) fn run(args: &SnapshotArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let (id, snapshot) = copal_job::snapshot(&repository, &args.snapshot)?;
    let manifest = Manifest::read(&repository, &snapshot.tree)?.ok_or_else(|| {
        let message = format!(
            "snapshot {} has no manifest: Copal did not write it",
            id.short()
        );
        Failure::usage("no-manifest", message).advise("It can be restored as plain files.")
    })?;
    output::json(&manifest)?;
    Ok(ExitCode::SUCCESS)
}
