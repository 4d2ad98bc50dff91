//! Copal's command line.

mod args;
mod authority;
mod bundled;
mod commands;
mod config;
mod ending;
mod failure;
mod hangup;
mod output;
mod password;
mod plugins;
mod session;

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::args::{Cli, Command, Said};
use crate::failure::Failure;
use crate::session::Session;

fn main() -> ExitCode {
    let matches = Cli::command().try_get_matches();
    let matches = matches.unwrap_or_else(|error| args::advised(error).exit());
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let said = |option: &str| matches.value_source(option) == Some(ValueSource::CommandLine);
    cli.global.said = Said {
        repository: said("repo"),
        password: said("password_file") || said("password_command"),
    };
    output::start_logging(cli.global.verbose);
    let json = cli.global.json;
    let lists = is_listing(&cli.command);
    let done = Session::new(cli.global).and_then(|session| {
        let done = commands::run(cli.command, &session);
        if done.is_err() {
            // An interrupt that ended a program of ours may be on its way to us.
            std::thread::sleep(ending::MOMENT);
        }
        session.give_way();
        done
    });
    match done {
        Ok(code) => code,
        // Whoever reads the list has had enough.
        Err(failure) if lists && failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(&failure, json);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Whether the command only prints a list, of which a part is as good as all to whoever reads no further.
fn is_listing(command: &Command) -> bool {
    matches!(
        command,
        Command::Snapshots(_)
            | Command::Ls(_)
            | Command::Find(_)
            | Command::Diff(_)
            | Command::Stats(_)
            | Command::Manifest(_)
            | Command::Detect(_)
    )
}

/// The result of a command: the exit code that tells how it went.
type Outcome = Result<ExitCode, Failure>;
