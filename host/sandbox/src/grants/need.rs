//! One thing that a plan or a probe wants done.

use std::fmt;

use super::address::{Address, AddressRule, Method};
use super::command::CommandRule;
use super::word::Pattern;
use super::{Grant, Rule};
use crate::placeholder::shown;
use crate::types::{Command, HttpRequest};

/// One thing that is to be done for a plugin, as exactly as a grant can say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need(pub(super) What);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Command {
        probe: bool,
        /// The names of the variables that the plugin sets: a variable can make a program do anything, so it may not come along unseen.
        variables: Vec<String>,
        words: Vec<String>,
    },
    Http {
        method: Method,
        address: Address,
    },
    /// The root, and the names of the path within it.
    Write(Vec<String>),
}

impl Need {
    /// To run a command as a step, or for a stream.
    pub fn run(command: &Command) -> Self {
        Self::command(command, false)
    }

    /// To run a command that looks while a plan is made or a restore verified.
    pub fn probe(command: &Command) -> Self {
        Self::command(command, true)
    }

    /// To send a request; where no grant could cover it, why.
    pub fn http(request: &HttpRequest) -> Result<Self, &'static str> {
        Ok(Self(What::Http {
            method: Method::exact(&request.method)?,
            address: Address::of(&request.url)?,
        }))
    }

    /// To write to this path of a root. The path must be without `.` and `..`, as the contract's paths are.
    pub fn write(root: &str, path: &str) -> Self {
        let names = std::iter::once(root).chain(path.split('/').filter(|name| !name.is_empty()));
        Self(What::Write(names.map(str::to_owned).collect()))
    }

    /// The grant that covers this and, but for what lies beneath a path, nothing else.
    pub fn grant(&self) -> Grant {
        let exact = |words: &[String]| words.iter().map(|word| Pattern::exact(word)).collect();
        Grant(match &self.0 {
            What::Command {
                probe,
                variables,
                words,
            } => Rule::Command {
                probe: *probe,
                command: CommandRule::exact(variables, words),
            },
            What::Http { method, address } => Rule::Http {
                method: method.clone(),
                to: AddressRule::exact(address),
            },
            What::Write(names) => Rule::Write(exact(names)),
        })
    }

    fn command(command: &Command, probe: bool) -> Self {
        let names = command.environment.iter();
        let mut variables: Vec<_> = names.map(|variable| variable.name.clone()).collect();
        variables.sort();
        Self(What::Command {
            probe,
            variables,
            words: command.argv.iter().map(|word| shown(word)).collect(),
        })
    }
}

/// As the grant that covers it.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.grant().fmt(f)
    }
}
