//! What the operator allows a plugin to have done, and what a plugin says it may ask for.
//!
//! ```text
//! probe:docker inspect -f * jpom  a command that looks, while a plan is made or a restore verified
//! run:docker stop jpom-*          a command of a plan's step or stream
//! http:GET 127.0.0.1:2122         a request of a step, by method and by host and port
//! write:home/conf                 writing to a path of a root and to all beneath it
//! ```
//!
//! Words are separated by spaces and quoted with `"…"` or `'…'`. `*` outside quotes stands for any characters within one word, at least
//! one where it is the whole word. A word that begins with `-` or `@` is only covered by a pattern that does, so a wildcard meant for a name
//! lets no option through, nor a file of options. `*/` at the beginning of a word stands for any folder or none: `*/psql` is psql by its name
//! or by any path. Words in `[…]` may be left out.
//!
//! The program is a name or an absolute path; its own name stands written out, and a `*` among its folders is one folder. Before it stand the
//! names of the variables that are set, as `NAME=`.
//!
//! A host's `*` in front (`*.example.org`) stands for whole labels, one or more; any other for characters within one label. The last
//! label of a name is written out unless it is the only one. Four numbers, some of them `*`, are addresses and never names: `10.0.0.*`. `*`
//! alone is any host. A port is a number or `*`, a method its name or `*`.
//!
//! In a plugin's own description, `{setting:NAME}` stands besides for the words of a setting of the operator's.

mod address;
mod command;
mod need;
mod overlap;
mod word;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::address::{AddressRule, Method};
use self::command::CommandRule;
use self::need::What;
use self::word::Pattern;

pub(crate) use self::command::is_variable;
pub use self::need::Need;
pub(crate) use self::word::check_program;

/// A grant that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{grant}` is not a grant: {reason}; write `run:PROGRAM ARGUMENT…`, `probe:PROGRAM ARGUMENT…`, `http:METHOD HOST:PORT` or `write:ROOT/PATH`"
)]
pub struct InvalidGrant {
    grant: String,
    reason: &'static str,
}

/// One permission, as the operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Grant(Rule);

impl Grant {
    /// The same grant with any text in the place of this one, in all words but the program.
    #[must_use]
    pub fn with_any(&self, text: &str) -> Self {
        Self(match &self.0 {
            Rule::Command { probe, command } => Rule::Command {
                probe: *probe,
                command: command.with_any(text),
            },
            Rule::Write(names) => {
                Rule::Write(names.iter().map(|name| name.with_any(text)).collect())
            }
            Rule::Http { .. } => self.0.clone(),
        })
    }
}

impl FromStr for Grant {
    type Err = InvalidGrant;

    fn from_str(grant: &str) -> Result<Self, InvalidGrant> {
        Rule::parse(grant, false).map(Self)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> Self {
        grant.to_string()
    }
}

impl TryFrom<String> for Grant {
    type Error = InvalidGrant;

    fn try_from(grant: String) -> Result<Self, InvalidGrant> {
        grant.parse()
    }
}

/// All grants of a job; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(Vec<Grant>);

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        Self(grants.into_iter().collect())
    }
}

impl Extend<Grant> for Grants {
    fn extend<I: IntoIterator<Item = Grant>>(&mut self, grants: I) {
        self.0.extend(grants);
    }
}

impl Grants {
    /// Each grant, as it was given.
    pub fn iter(&self) -> std::slice::Iter<'_, Grant> {
        self.0.iter()
    }

    /// Adds a grant.
    pub fn add(&mut self, grant: Grant) {
        self.0.push(grant);
    }

    /// Whether one grant covers all of this.
    pub fn allow(&self, need: &Need) -> bool {
        self.0
            .iter()
            .any(|grant| grant.0.covers(need, &Value::Null))
    }
}

/// What a plugin says it may ask for: the pattern of a grant, in which `{setting:NAME}` stands for the words of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapabilityPattern(Rule);

impl CapabilityPattern {
    /// Whether it covers all of this under these settings, a JSON object.
    pub fn covers(&self, need: &Need, settings: &Value) -> bool {
        self.0.covers(need, settings)
    }

    /// The grant that covers the same; none where a setting decides.
    pub fn grant(&self) -> Option<Grant> {
        self.to_string().parse().ok()
    }
}

impl CapabilityPattern {
    /// Whether there is anything that both cover, under some settings: a grant without that allows nothing of this.
    pub fn overlaps(&self, grant: &Grant) -> bool {
        self.0.overlaps(&grant.0)
    }
}

impl FromStr for CapabilityPattern {
    type Err = InvalidGrant;

    fn from_str(pattern: &str) -> Result<Self, InvalidGrant> {
        Rule::parse(pattern, true).map(Self)
    }
}

impl fmt::Display for CapabilityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What one grant or capability covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Rule {
    Command {
        probe: bool,
        command: CommandRule,
    },
    Http {
        method: Method,
        to: AddressRule,
    },
    /// The root, and names of the path within it.
    Write(Vec<Pattern>),
}

const PROBE: &str = "probe:";
const RUN: &str = "run:";
const HTTP: &str = "http:";
const WRITE: &str = "write:";

impl Rule {
    fn parse(text: &str, settings: bool) -> Result<Self, InvalidGrant> {
        let command = |probe, words: &str| {
            CommandRule::parse(words, settings).map(|command| Self::Command { probe, command })
        };
        let rule = if let Some(words) = text.strip_prefix(PROBE) {
            command(true, words)
        } else if let Some(words) = text.strip_prefix(RUN) {
            command(false, words)
        } else if let Some(words) = text.strip_prefix(HTTP) {
            address::parse(words, settings).map(|(method, to)| Self::Http { method, to })
        } else if let Some(path) = text.strip_prefix(WRITE) {
            parse_path(path).map(Self::Write)
        } else {
            Err("it begins with none of `run:`, `probe:`, `http:` and `write:`")
        };
        rule.map_err(|reason| InvalidGrant {
            grant: text.escape_debug().to_string(),
            reason,
        })
    }

    fn covers(&self, need: &Need, settings: &Value) -> bool {
        match (self, &need.0) {
            (
                Self::Command { probe, command },
                What::Command {
                    probe: asked,
                    variables,
                    words,
                },
            ) => probe == asked && command.covers(variables, words, settings),
            (
                Self::Http { method, to },
                What::Http {
                    method: asked,
                    address,
                },
            ) => method.covers(asked) && to.covers(address, settings),
            (Self::Write(patterns), What::Write(names)) => {
                patterns.len() <= names.len()
                    && patterns
                        .iter()
                        .zip(names)
                        .all(|(pattern, name)| pattern.fits(name))
            }
            _ => false,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { probe, command } => {
                write!(f, "{}{command}", if *probe { PROBE } else { RUN })
            }
            Self::Http { method, to } => write!(f, "{HTTP}{method} {to}"),
            Self::Write(names) => {
                f.write_str(WRITE)?;
                for (i, name) in names.iter().enumerate() {
                    if i > 0 {
                        f.write_str("/")?;
                    }
                    name.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

/// The root and the names of a path that may be written to.
fn parse_path(text: &str) -> Result<Vec<Pattern>, &'static str> {
    let words = word::split(text)?;
    let [path] = words.as_slice() else {
        return Err("it needs one path; quote one that has spaces");
    };
    let names = Pattern::parse(path)?.split('/');
    let relative = |name: &Pattern| {
        name.literal()
            .is_some_and(|name| matches!(name, "" | "." | ".."))
    };
    let root = names.first().and_then(Pattern::literal);
    if root.is_none() || names.iter().any(relative) {
        return Err(
            "its path must be `ROOT` or `ROOT/PATH`, with the root written out, without `.` and `..`",
        );
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
