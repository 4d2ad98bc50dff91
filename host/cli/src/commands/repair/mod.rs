//! `copal repair …`

mod index;
mod packs;
mod snapshots;

use crate::Outcome;
use crate::args::RepairCommand;
use crate::session::Session;

/// What comes before all else after a trial.
const DO_IT: &str = "run it without --dry-run first; then ";

pub(super) fn run(command: &RepairCommand, session: &Session) -> Outcome {
    match command {
        RepairCommand::Index(args) => index::run(args, session),
        RepairCommand::Packs(args) => packs::run(args, session),
        RepairCommand::Snapshots(args) => snapshots::run(args, session),
    }
}
