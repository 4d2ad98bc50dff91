//! `copal plugin …`: the commands about plugins, one file each.

mod build;
mod check;
mod describe;
mod export;
mod info;
mod install;
mod keygen;
mod list;
mod new;
mod pack;
mod publisher;
mod remove;
mod run;
mod sign;
mod test;
mod update;
mod verify;

use crate::Outcome;
use crate::args::PluginCommand;
use crate::session::Session;

pub(super) use self::export::fetch;
pub(super) use self::install::agree_to_publisher;

/// Runs the command.
pub(super) fn run(command: PluginCommand, session: &Session) -> Outcome {
    match command {
        PluginCommand::New(args) => new::new(&args, session),
        PluginCommand::Renew(args) => new::renew(&args, session),
        PluginCommand::Build(args) => build::run(&args, session),
        PluginCommand::Check(args) => check::run(&args, session),
        PluginCommand::Test(args) => test::run(&args, session),
        PluginCommand::Run(args) => run::run(&args, session),
        PluginCommand::Keygen(args) => keygen::run(&args, session),
        PluginCommand::Publisher(args) => publisher::run(&args, session),
        PluginCommand::Pack(args) => pack::run(&args, session),
        PluginCommand::Sign(args) => sign::run(&args, session),
        PluginCommand::Verify(args) => verify::run(&args, session),
        PluginCommand::Export(args) => export::run(&args, session),
        PluginCommand::Install(args) => install::run(&args, session),
        PluginCommand::Update(args) => update::run(&args, session),
        PluginCommand::Remove(args) => remove::run(&args, session),
        PluginCommand::List => list::run(session),
        PluginCommand::Info(args) => info::run(&args, session),
    }
}
