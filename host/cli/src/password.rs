//! Where the passwords of repositories come from.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use copal_repository::Password;
use zeroize::Zeroizing;

use crate::args::{Global, KeyAddArgs, SourceArgs};
use crate::config::Reference;
use crate::failure::Failure;
use crate::output;

const PROBLEM: &str = "password";

/// Where a password may come from.
pub(crate) struct Places<'a> {
    file: Option<&'a Path>,
    command: Option<&'a str>,
    /// The variable that may hold the password itself.
    variable: Option<&'static str>,
    /// What the options begin with that name the file and the command.
    option: &'static str,
    /// What the terminal asks for.
    prompt: &'static str,
    /// Whether the terminal asks again, since nothing else would show a slip.
    twice: bool,
}

impl<'a> Places<'a> {
    /// Of the password that opens the repository, or is to open a new one.
    pub(crate) fn of_repository(global: &'a Global, new: bool) -> Self {
        Self {
            file: global.password_file.as_deref(),
            command: global.password_command.as_deref(),
            variable: Some("COPAL_PASSWORD"),
            option: "--password",
            prompt: "Password of the repository",
            twice: new,
        }
    }

    /// Of the password that opens the repository to take from.
    pub(crate) fn of_source(source: &'a SourceArgs) -> Self {
        Self {
            file: source.from_password_file.as_deref(),
            command: source.from_password_command.as_deref(),
            variable: Some("COPAL_FROM_PASSWORD"),
            option: "--from-password",
            prompt: "Password of the repository to copy from",
            twice: false,
        }
    }

    /// Of a new key's password.
    pub(crate) fn of_key(key: &'a KeyAddArgs) -> Self {
        Self {
            file: key.new_password_file.as_deref(),
            command: key.new_password_command.as_deref(),
            variable: None,
            option: "--new-password",
            prompt: "New password",
            twice: true,
        }
    }

    /// The password from `own`, a file or a command, the environment or the terminal, in this order.
    pub(crate) fn read(&self, own: Option<&Reference>) -> Result<Password, Failure> {
        let place = match own {
            Some(own) => Some(own.clone()),
            None => self.place()?,
        };
        if let Some(place) = place {
            let text = place.read();
            let text = text.map_err(|e| Failure::usage(PROBLEM, format!("no password: {e}")))?;
            return password(match place {
                Reference::Env(_) => text,
                Reference::File(_) | Reference::Command(_) => first_line(&text),
            });
        }
        if let Some(variable) = self.variable {
            match std::env::var(variable) {
                Ok(text) => return password(Zeroizing::new(text)),
                Err(std::env::VarError::NotUnicode(_)) => {
                    let message = format!("{variable} is not valid UTF-8");
                    return Err(Failure::usage(PROBLEM, message));
                }
                Err(std::env::VarError::NotPresent) => {}
            }
        }
        password(self.asked()?)
    }

    /// Where the password stands, if that is said.
    fn place(&self) -> Result<Option<Reference>, Failure> {
        match (self.file, self.command) {
            (Some(_), Some(_)) => {
                let message = "both a password file and a password command are given";
                let advice = format!("Give one of {0}-file and {0}-command.", self.option);
                Err(Failure::usage(PROBLEM, message).advise(advice))
            }
            (Some(path), None) => Ok(Some(Reference::File(path.to_owned()))),
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

    fn asked(&self) -> Result<Zeroizing<String>, Failure> {
        if !std::io::stdin().is_terminal() {
            let message = match self.twice && self.variable.is_none() {
                true => "no new password is given, and there is no terminal to ask on",
                false => "no password is given, and there is no terminal to ask on",
            };
            let give = format!("give {0}-file or {0}-command.", self.option);
            let advice = match self.variable {
                Some(variable) => format!("Set {variable}, or {give}"),
                None => give.replacen("give", "Give", 1),
            };
            return Err(Failure::usage(PROBLEM, message).advise(advice));
        }
        let password = ask(self.prompt, PROBLEM)?;
        if self.twice && ask("The same again", PROBLEM)? != password {
            return Err(Failure::usage(PROBLEM, "the two passwords differ"));
        }
        Ok(password)
    }
}

fn password(mut text: Zeroizing<String>) -> Result<Password, Failure> {
    if text.is_empty() {
        return Err(
            Failure::usage(PROBLEM, "the password is empty").advise("Choose one that is not.")
        );
    }
    // Handed over, not copied.
    Ok(Password::new(std::mem::take(&mut *text)))
}

/// As restic reads it: without blanks around it.
fn first_line(text: &str) -> Zeroizing<String> {
    let line = text.lines().next().unwrap_or_default();
    Zeroizing::new(line.trim().to_owned())
}

/// What the operator types, unseen. `problem` is the kind of failure where nothing comes.
pub(crate) fn ask(prompt: &str, problem: &'static str) -> Result<Zeroizing<String>, Failure> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{}: ", output::printable(prompt))?;
    stderr.flush()?;
    match rpassword::read_password() {
        Ok(password) => Ok(Zeroizing::new(password)),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
            Err(copal_repository::Error::Interrupted.into())
        }
        Err(error) => {
            let message = format!("no password was given: {error}");
            Err(Failure::usage(problem, message))
        }
    }
}
