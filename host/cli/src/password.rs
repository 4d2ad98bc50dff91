//! Where the repository's password comes from.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use copal_repository::Password;

use crate::args::Global;
use crate::failure::Failure;

const PROBLEM: &str = "password";

/// The password from a file, a command, the environment or the terminal, in this order. `twice` asks again on the terminal, for a new repository.
pub(crate) fn read(global: &Global, twice: bool) -> Result<Password, Failure> {
    let text = match (&global.password_file, &global.password_command) {
        (Some(_), Some(_)) => {
            let message = "both a password file and a password command are given";
            return Err(Failure::usage(PROBLEM, message)
                .advise("Give one of --password-file and --password-command."));
        }
        (Some(path), None) => from_file(path)?,
        (None, Some(command)) => from_command(command)?,
        (None, None) => match std::env::var("COPAL_PASSWORD") {
            Ok(password) => password,
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(Failure::usage(PROBLEM, "COPAL_PASSWORD is not valid UTF-8"));
            }
            Err(std::env::VarError::NotPresent) => from_terminal(twice)?,
        },
    };
    if text.is_empty() {
        return Err(
            Failure::usage(PROBLEM, "the password is empty").advise("Choose one that is not.")
        );
    }
    Ok(Password::new(text))
}

fn from_file(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|e| {
        Failure::usage(
            PROBLEM,
            format!("can't read the password file {}: {e}", path.display()),
        )
    })?;
    Ok(first_line(&text))
}

fn from_command(command: &str) -> Result<String, Failure> {
    let failed = |problem: String| {
        Failure::usage(PROBLEM, format!("the password command failed: {problem}"))
    };
    let words = shlex::split(command).ok_or_else(|| failed("a quote is not closed".into()))?;
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| failed("it is empty".into()))?;
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output();
    let output = child.map_err(|e| failed(format!("can't start `{program}`: {e}")))?;
    if !output.status.success() {
        return Err(failed(format!("`{program}` ended with {}", output.status)));
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|_| failed("its output is not valid UTF-8".into()))?;
    Ok(first_line(&text))
}

fn from_terminal(twice: bool) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        let message = "no password is given, and there is no terminal to ask on";
        let advice = "Set COPAL_PASSWORD, or give --password-file or --password-command.";
        return Err(Failure::usage(PROBLEM, message).advise(advice));
    }
    let ask = |prompt: &str| -> Result<String, Failure> {
        let mut stderr = std::io::stderr();
        write!(stderr, "{prompt}: ")?;
        stderr.flush()?;
        Ok(rpassword::read_password()?)
    };
    let password = ask("Password of the repository")?;
    if twice && ask("The same again")? != password {
        return Err(Failure::usage(PROBLEM, "the two passwords differ"));
    }
    Ok(password)
}

/// As restic reads it: without blanks around it.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}
