//! Commands, and text of which parts may be secret.

use std::fmt;

pub use crate::bindings::copal::plugin::types::{Command, Output, Variable};

/// A piece of text, marked by whether it may be shown. `Debug` shows a secret as `***`.
#[derive(Clone, PartialEq, Eq)]
pub enum Fragment {
    /// May stand in plans, logs, manifests and journals. The host puts in `{scratch}` and `{root:NAME}`; text that may hold other braces, such as
    /// JSON, goes through [`literal`].
    Plain(String),
    /// Reaches the command, request or file alone, and as it is.
    Secret(String),
}

/// Text of which parts may be secret: the concatenation of the fragments.
pub type Text = Vec<Fragment>;

impl Fragment {
    /// Text that is shown nowhere.
    pub fn secret(text: impl Into<String>) -> Self {
        Self::Secret(text.into())
    }
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.debug_tuple("Plain").field(text).finish(),
            Self::Secret(_) => f.write_str("Secret(***)"),
        }
    }
}

impl From<&str> for Fragment {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl From<String> for Fragment {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

pub(crate) fn text<F: Into<Fragment>>(fragments: impl IntoIterator<Item = F>) -> Text {
    fragments.into_iter().map(Into::into).collect()
}

/// Doubles the braces of `text`, so that the host takes none of it for a placeholder such as `{scratch}`.
///
/// ```
/// assert_eq!(copal_sdk::literal("{{.State}}"), "{{{{.State}}}}");
/// ```
pub fn literal(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

impl Command {
    /// A program and its arguments, given a minute. The host puts `{scratch}`, `{root:NAME}` and `{fd:N}` in, so an argument with other braces goes
    /// through [`literal`].
    pub fn new<W: Into<String>>(argv: impl IntoIterator<Item = W>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            stdin: None,
            descriptors: Vec::new(),
            timeout: 60,
        }
    }

    /// Adds a variable to its environment.
    #[must_use]
    pub fn env<F: Into<Fragment>>(
        mut self,
        name: impl Into<String>,
        value: impl IntoIterator<Item = F>,
    ) -> Self {
        self.environment.push(Variable {
            name: name.into(),
            value: text(value),
        });
        self
    }

    /// What it reads on its standard input.
    #[must_use]
    pub fn stdin<F: Into<Fragment>>(mut self, fragments: impl IntoIterator<Item = F>) -> Self {
        self.stdin = Some(text(fragments));
        self
    }

    /// Adds a file that only the command can read, for a program that takes a secret in a file alone: `{fd:0}` stands for the path of the first.
    ///
    /// ```
    /// use copal_sdk::{Command, Fragment};
    ///
    /// let command = Command::new(["vault-dump", "--password-file={fd:0}"]).descriptor([Fragment::secret("hunter2")]);
    /// assert_eq!(command.descriptors.len(), 1);
    /// ```
    #[must_use]
    pub fn descriptor<F: Into<Fragment>>(mut self, fragments: impl IntoIterator<Item = F>) -> Self {
        self.descriptors.push(text(fragments));
        self
    }

    /// Seconds after which it is ended and counts as failed: 1 to 604,800.
    #[must_use]
    pub fn timeout(mut self, seconds: u32) -> Self {
        self.timeout = seconds;
        self
    }
}

impl Output {
    /// Whether the command exited with 0.
    pub fn success(&self) -> bool {
        self.code == 0
    }

    /// Its standard output as text without surrounding white space; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_debug_output_shows_a_secret() {
        let command = Command::new(["psql"])
            .env("PGPASSWORD", [Fragment::secret("hunter2")])
            .stdin(["ALTER USER a PASSWORD ".into(), Fragment::secret("hunter2")]);
        let shown = format!("{command:?} {command:#?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("Secret(***)") && shown.contains("ALTER USER"));
    }
}
