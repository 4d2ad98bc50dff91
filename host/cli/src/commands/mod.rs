//! The commands, one file each.

mod backup;
mod cat;
mod check;
mod choice;
mod config;
mod copy;
mod detect;
mod diff;
mod drill;
mod dump;
mod entries;
mod find;
mod forget;
mod grants;
mod init;
mod job;
mod key;
mod ls;
mod manifest;
mod migrate;
mod mount;
mod plugin;
mod prune;
mod pruning;
mod repair;
mod restore;
mod resume;
mod retention;
mod rewrite;
mod rollback;
mod select;
mod snapshots;
mod stats;
mod tag;
mod trust;
mod unlock;

use crate::Outcome;
use crate::args::{Command, ConfigCommand, PlanCommand};
use crate::session::Session;

/// Runs the command.
pub(crate) fn run(command: Command, session: &Session) -> Outcome {
    match command {
        Command::Init(args) => init::run(&args, session),
        Command::Backup(args) => backup::run(&args, session),
        Command::Restore(args) => restore::run(&args, session),
        Command::Plan(PlanCommand::Backup(args)) => backup::plan(&args, session),
        Command::Plan(PlanCommand::Restore(args)) => restore::plan(&args, session),
        Command::Plan(PlanCommand::Migrate(args)) => migrate::plan(&args, session),
        Command::Migrate(args) => migrate::run(&args, session),
        Command::Rollback(args) => rollback::run(&args, session),
        Command::Drill(args) => drill::run(&args, session),
        Command::Resume => resume::run(session),
        Command::Snapshots(args) => snapshots::run(&args, session),
        Command::Ls(args) => ls::run(&args, session),
        Command::Find(args) => find::run(&args, session),
        Command::Diff(args) => diff::run(&args, session),
        Command::Stats(args) => stats::run(&args, session),
        Command::Dump(args) => dump::run(&args, session),
        Command::Mount(args) => mount::run(&args, session),
        Command::Manifest(args) => manifest::run(&args, session),
        Command::Check(args) => check::run(&args, session),
        Command::Copy(args) => copy::run(&args, session),
        Command::Key(command) => key::run(&command, session),
        Command::Cat(command) => cat::run(&command, session),
        Command::Forget(args) => forget::run(&args, session),
        Command::Prune(args) => prune::run(&args, session),
        Command::Repair(command) => repair::run(&command, session),
        Command::Rewrite(args) => rewrite::run(&args, session),
        Command::Tag(args) => tag::run(&args, session),
        Command::Unlock(args) => unlock::run(&args, session),
        Command::Detect(args) => detect::run(&args, session),
        Command::Plugin(command) => plugin::run(command, session),
        Command::Trust(command) => trust::run(&command, session),
        Command::Grants(command) => grants::run(&command, session),
        Command::Config(ConfigCommand::Check) => config::check(session),
        Command::Config(ConfigCommand::Schema) => config::schema(),
        Command::Config(ConfigCommand::Show) => config::show(session),
    }
}
