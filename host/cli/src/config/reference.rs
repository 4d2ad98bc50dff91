//! Values that stand elsewhere than in the file.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use copal_sandbox::types::Fragment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The three keys, of which one is given.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
#[serde(default, deny_unknown_fields)]
struct Written {
    /// The variable of Copal's environment that holds the value.
    #[schemars(extend("format" = "copal-variable"))]
    env: Option<String>,
    /// The file that holds the value; a line break at its end does not belong to it.
    #[schemars(length(min = 1))]
    file: Option<PathBuf>,
    /// The program that prints the value, with its arguments; a line break at the end does not belong to it.
    #[schemars(length(min = 1))]
    command: Option<Vec<String>>,
}

/// A value that stands elsewhere, such as `{ env = "NAME" }`, `{ file = "PATH" }` or `{ command = ["pass", "show", "copal"] }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "Written", rename_all = "lowercase")]
pub(crate) enum Reference {
    /// In a variable of Copal's environment.
    Env(String),
    /// In a file.
    File(PathBuf),
    /// In what a program prints.
    Command(Vec<String>),
}

impl TryFrom<Written> for Reference {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written {
                env: Some(name),
                file: None,
                command: None,
            } => Ok(Self::Env(name)),
            Written {
                env: None,
                file: Some(path),
                command: None,
            } => Ok(Self::File(path)),
            Written {
                env: None,
                file: None,
                command: Some(argv),
            } => Ok(Self::Command(argv)),
            _ => Err("give one of `env`, `file` and `command`"),
        }
    }
}

impl Reference {
    /// The reference that a value of a plugin's settings is, if it is one: a table with one of the three keys and no other.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let key = value.as_object()?.keys().next()?;
        ["env", "file", "command"]
            .contains(&key.as_str())
            .then(|| Self::deserialize(value).ok())?
    }

    /// Reads the value. Never repeats it in an error.
    pub(crate) fn read(&self) -> Result<Zeroizing<String>, Failure> {
        let text = Zeroizing::new(match self {
            Self::Env(name) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => self.fails("the variable is not set"),
                std::env::VarError::NotUnicode(_) => self.fails("it is not valid UTF-8"),
            })?,
            Self::File(path) => std::fs::read_to_string(path).map_err(|error| self.fails(error))?,
            Self::Command(argv) => self.output(argv)?,
        });
        if let Self::Env(_) = self {
            return Ok(text);
        }
        let line = text.strip_suffix('\n');
        let line = line.map_or(text.as_str(), |text| {
            text.strip_suffix('\r').unwrap_or(text)
        });
        Ok(Zeroizing::new(line.to_owned()))
    }

    /// Whether the value could be read, as far as can be told without running anything.
    pub(crate) fn problem(&self) -> Option<String> {
        match self {
            Self::Env(_) | Self::File(_) => self.read().err().map(|failure| failure.to_string()),
            Self::Command(_) => None,
        }
    }

    /// Takes a relative file as one beneath this directory.
    pub(crate) fn rebase(&mut self, directory: &Path) {
        if let Self::File(path) = self {
            *path = directory.join(&*path);
        }
    }

    fn output(&self, argv: &[String]) -> Result<String, Failure> {
        let (program, arguments) = argv
            .split_first()
            .ok_or_else(|| self.fails("it is empty"))?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::inherit())
            .stderr(Stdio::inherit())
            .output();
        let output = child.map_err(|error| self.fails(error))?;
        if !output.status.success() {
            return Err(self.fails(format!("it ended with {}", output.status)));
        }
        String::from_utf8(output.stdout).map_err(|_| self.fails("its output is not valid UTF-8"))
    }

    fn fails(&self, problem: impl std::fmt::Display) -> Failure {
        let what = match self {
            Self::Env(name) => format!("the environment variable {name}"),
            Self::File(path) => format!("the file {}", path.display()),
            Self::Command(argv) => format!(
                "what the command `{}` prints",
                argv.first().map(String::as_str).unwrap_or_default()
            ),
        };
        Failure::usage("reference", format!("can't read {what}: {problem}"))
    }
}

/// A text, or where it stands.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Text {
    /// The text itself.
    Plain(String),
    /// Where it stands.
    Elsewhere(Reference),
}

impl Text {
    /// The text, marked as a secret where it stands elsewhere.
    pub(crate) fn read(&self) -> Result<Fragment, Failure> {
        match self {
            Self::Plain(text) => Ok(Fragment::Plain(text.clone())),
            Self::Elsewhere(reference) => reference
                .read()
                .map(|mut text| Fragment::Secret(std::mem::take(&mut *text))),
        }
    }

    /// The text itself, whatever it is.
    pub(crate) fn reveal(&self) -> Result<String, Failure> {
        self.read().map(|fragment| match fragment {
            Fragment::Plain(text) | Fragment::Secret(text) => text,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_with_one_of_the_three_keys_alone_is_a_reference() {
        let command = Reference::Command(vec!["pass".into(), "x".into()]);
        for (value, reference) in [
            (json!({"env": "A"}), Some(Reference::Env("A".into()))),
            (json!({"file": "a"}), Some(Reference::File("a".into()))),
            (json!({"command": ["pass", "x"]}), Some(command)),
            (json!({"env": "A", "file": "a"}), None),
            (json!({"env": "A", "other": 1}), None),
            (json!({"env": 1}), None),
            (json!({}), None),
            (json!("env"), None),
        ] {
            assert_eq!(Reference::of(&value), reference, "{value}");
        }
    }

    #[test]
    fn a_value_comes_without_the_line_break_at_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        for (content, value) in [("a b\n", "a b"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("", "")] {
            std::fs::write(&path, content).unwrap();
            let read = Reference::File(path.clone()).read().unwrap();
            assert_eq!(*read, value);
        }
        let print = ["printf", "x\\n"].map(str::to_owned).to_vec();
        assert_eq!(*Reference::Command(print).read().unwrap(), "x");
    }

    #[test]
    fn what_fails_is_named_and_no_value_is() {
        for (reference, said) in [
            (Reference::Env("COPAL_NO_SUCH".into()), "not set"),
            (Reference::File("/no/such".into()), "/no/such"),
            (Reference::Command(vec!["false".into()]), "ended with"),
            (Reference::Command(Vec::new()), "empty"),
        ] {
            let failure = reference.read().unwrap_err().to_string();
            assert!(failure.contains(said), "{failure}");
        }
    }
}
