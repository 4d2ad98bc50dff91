//! Copal's command line.

mod args;
mod bundled;
mod commands;
mod config;
mod failure;
mod output;
mod password;
mod session;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::failure::Failure;
use crate::session::Session;

fn main() -> ExitCode {
    let cli = Cli::parse();
    output::start_logging(cli.global.verbose);
    let json = cli.global.json;
    let done = Session::new(cli.global).and_then(|session| commands::run(cli.command, &session));
    match done {
        Ok(code) => code,
        // Whoever reads the output has had enough.
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(&failure, json);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// The result of a command: the exit code that tells how it went.
type Outcome = Result<ExitCode, Failure>;
