//! Where the repository's password comes from.

use std::io::{IsTerminal as _, Write as _};

use copal_repository::Password;

use crate::args::Global;
use crate::config::Reference;
use crate::failure::Failure;

const PROBLEM: &str = "password";

/// The password from a file or a command, the environment or the terminal, in this order. A job's `own` goes before what only the
/// environment says. `twice` asks again on the terminal, for a new repository.
pub(crate) fn read(
    global: &Global,
    own: Option<&Reference>,
    twice: bool,
) -> Result<Password, Failure> {
    if let Some(place) = place(global, own)? {
        let text = place.read();
        let text = text.map_err(|e| Failure::usage(PROBLEM, format!("no password: {e}")))?;
        return password(match place {
            Reference::Env(_) => text,
            Reference::File(_) | Reference::Command(_) => first_line(&text),
        });
    }
    password(match std::env::var("COPAL_PASSWORD") {
        Ok(password) => password,
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err(Failure::usage(PROBLEM, "COPAL_PASSWORD is not valid UTF-8"));
        }
        Err(std::env::VarError::NotPresent) => from_terminal(twice)?,
    })
}

/// Where the password stands, if that is said.
fn place(global: &Global, own: Option<&Reference>) -> Result<Option<Reference>, Failure> {
    if let Some(own) = own.filter(|_| !global.said.password) {
        return Ok(Some(own.clone()));
    }
    match (&global.password_file, &global.password_command) {
        (Some(_), Some(_)) => {
            let message = "both a password file and a password command are given";
            Err(Failure::usage(PROBLEM, message)
                .advise("Give one of --password-file and --password-command."))
        }
        (Some(path), None) => Ok(Some(Reference::File(path.clone()))),
        (None, Some(command)) => {
            let words = shlex::split(command).ok_or_else(|| {
                Failure::usage(
                    PROBLEM,
                    "the password command has a quote that is not closed",
                )
            })?;
            Ok(Some(Reference::Command(words)))
        }
        (None, None) => Ok(None),
    }
}

fn password(text: String) -> Result<Password, Failure> {
    if text.is_empty() {
        return Err(
            Failure::usage(PROBLEM, "the password is empty").advise("Choose one that is not.")
        );
    }
    Ok(Password::new(text))
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
