//! Running other programs, without a shell.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{Error, Result};

/// Runs a command to its end, with its output where the command sends it; fails unless it exits with 0.
pub fn perform(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(not_run(command))?;
    succeeded(command, status)
}

/// Like [`perform`], with what the command prints on our standard error.
pub fn run(command: &mut Command) -> Result<()> {
    perform(command.stdout(io::stderr()))
}

/// Like [`run`], but ends the command and all that it started after `limit`.
pub fn run_within(limit: Duration, command: &mut Command) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .process_group(0)
        .spawn()
        .map_err(not_run(command))?;
    if let Some(status) =
        wait_until(&mut child, Instant::now() + limit).map_err(not_run(command))?
    {
        return succeeded(command, status);
    }
    // Where they are gone meanwhile, all the better.
    kill_process_group(Pid::from_child(&child), Signal::KILL).ok();
    child.wait().map_err(not_run(command))?;
    Err(Error::Ended {
        command: line(command),
        limit,
    })
}

/// What a command prints on its standard output; fails unless it exits with 0.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(not_run(command))?;
    if !output.status.success() {
        return Err(Error::Failed {
            command: line(command),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The program of that name on `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// A command as a person would type it.
pub fn line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

fn not_run(command: &Command) -> impl FnOnce(io::Error) -> Error + use<> {
    let command = line(command);
    move |source| Error::Run { command, source }
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed {
        command: line(command),
        status,
        stderr: String::new(),
    })
}

fn wait_until(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(None)
}
