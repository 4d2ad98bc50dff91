//! `copal repair …`

mod index;
mod packs;
mod snapshots;

use copal_repository::{LockGuard, LockMode, Repository};

use crate::Outcome;
use crate::args::RepairCommand;
use crate::failure::Failure;
use crate::session::Session;

pub(super) fn run(command: &RepairCommand, session: &Session) -> Outcome {
    match command {
        RepairCommand::Index(args) => index::run(args, session),
        RepairCommand::Packs(args) => packs::run(args, session),
        RepairCommand::Snapshots(args) => snapshots::run(args, session),
    }
}

/// The lock for work that removes something, unless nothing is changed.
fn exclusive(
    dry_run: bool,
    repository: &Repository,
    session: &Session,
) -> Result<LockGuard, Failure> {
    Ok(session.lock(
        repository,
        match dry_run {
            true => LockMode::Read,
            false => LockMode::Exclusive,
        },
    )?)
}
