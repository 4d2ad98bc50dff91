//! The file that holds a recording: JSON of format 1.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use copal_sandbox::types::{Command, Entry, Failure, Output, redact};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Error;

/// The format that is written and read.
const FORMAT: u32 = 1;

/// What whoever hands the file on should know.
const WARNING: &str = "This file holds what the plugin read: contents of files and outputs of commands, secrets among them where they stand there. Look through it before you hand it on.";

/// What a plugin asked its host while one call was made, and what it was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recording {
    format: u32,
    #[serde(default)]
    warning: String,
    /// The call, in the words of whoever made it.
    #[serde(default)]
    pub call: Value,
    /// Whether the limit was reached, so that later answers are not here.
    #[serde(default)]
    pub truncated: bool,
    /// The trees that were handed over, in their order.
    #[serde(default)]
    pub trees: Vec<RecordedTree>,
    /// The commands that were run, in their order.
    #[serde(default)]
    pub commands: Vec<CommandCall>,
}

/// One tree and what it was asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordedTree {
    /// What it was handed over as.
    pub role: Role,
    /// The root's name.
    pub name: String,
    /// The path on the host; empty for a tree inside a snapshot.
    pub location: String,
    pub(super) calls: Vec<TreeCall>,
}

/// What a tree is handed over as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A root of a backup, or the tree that is looked at.
    Root,
    /// A target of a restore.
    Target,
    /// A tree of the snapshot.
    Snapshot,
}

/// What one call was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answered<T> {
    /// It succeeded.
    Answer(T),
    /// It failed.
    Failure(Failure),
}

impl<T> Answered<T> {
    pub(super) fn of<U: Clone>(answer: &Result<U, Failure>, convert: impl FnOnce(U) -> T) -> Self {
        match answer {
            Ok(answer) => Self::Answer(convert(answer.clone())),
            Err(failure) => Self::Failure(failure.clone()),
        }
    }
}

/// One question to a tree and its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub(super) enum TreeCall {
    Stat {
        path: String,
        #[serde(flatten)]
        outcome: Answered<Option<Entry>>,
    },
    List {
        path: String,
        #[serde(flatten)]
        outcome: Answered<Vec<Entry>>,
    },
    Read {
        path: String,
        offset: u64,
        length: u32,
        #[serde(flatten)]
        outcome: Answered<Bytes>,
    },
}

/// One command and what it answered. A secret in it is `***`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct CommandCall {
    /// The program and its arguments, as the plugin writes them.
    pub argv: Vec<String>,
    /// The variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// What it reads from further descriptors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub descriptors: Vec<String>,
    /// The answer.
    #[serde(flatten)]
    pub outcome: Answered<CommandAnswer>,
}

/// A command as a person may have written it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    argv: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    stdin: Option<String>,
    #[serde(default)]
    descriptors: Vec<String>,
    answer: Option<CommandAnswer>,
    failure: Option<Failure>,
}

impl TryFrom<Written> for CommandCall {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let outcome = match (written.answer, written.failure) {
            (Some(answer), None) => Answered::Answer(answer),
            (None, Some(failure)) => Answered::Failure(failure),
            _ => {
                let command = written.argv.join(" ");
                return Err(format!(
                    "the command `{command}` needs either an `answer` or a `failure`"
                ));
            }
        };
        Ok(Self {
            argv: written.argv,
            environment: written.environment,
            stdin: written.stdin,
            descriptors: written.descriptors,
            outcome,
        })
    }
}

impl CommandCall {
    /// The command without an answer yet; what is secret is left out.
    pub(super) fn new(command: &Command, outcome: Answered<CommandAnswer>) -> Self {
        let variables = command.environment.iter();
        let variables = variables.map(|variable| (variable.name.clone(), redact(&variable.value)));
        Self {
            argv: command.argv.clone(),
            environment: variables.collect(),
            stdin: command.stdin.as_ref().map(|stdin| redact(stdin)),
            descriptors: command
                .descriptors
                .iter()
                .map(|text| redact(text))
                .collect(),
            outcome,
        }
    }

    /// Whether this is the same command, as far as it may be shown.
    pub(super) fn is(&self, command: &Self) -> bool {
        self.argv == command.argv
            && self.environment == command.environment
            && self.stdin == command.stdin
            && self.descriptors == command.descriptors
    }
}

/// What a finished command left.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandAnswer {
    /// The exit code.
    #[serde(default)]
    pub code: i32,
    /// Standard output.
    #[serde(default)]
    pub stdout: Bytes,
    /// Standard error.
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    pub stderr: Bytes,
    /// Whether there was more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl From<Output> for CommandAnswer {
    fn from(output: Output) -> Self {
        Self {
            code: output.code,
            stdout: Bytes(output.stdout),
            stderr: Bytes(output.stderr),
            truncated: output.truncated,
        }
    }
}

impl From<CommandAnswer> for Output {
    fn from(answer: CommandAnswer) -> Self {
        Self {
            code: answer.code,
            stdout: answer.stdout.0,
            stderr: answer.stderr.0,
            truncated: answer.truncated,
        }
    }
}

/// Bytes: a text where they are one, else `{"base64": "…"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    base64: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Spelt {
    Text(String),
    Encoded(Encoded),
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => text.serialize(serializer),
            Err(_) => Encoded {
                base64: STANDARD.encode(&self.0),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Spelt::deserialize(deserializer)? {
            Spelt::Text(text) => Ok(Self(text.into_bytes())),
            Spelt::Encoded(Encoded { base64 }) => {
                STANDARD.decode(base64).map(Self).map_err(D::Error::custom)
            }
        }
    }
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            format: FORMAT,
            warning: WARNING.to_owned(),
            call: Value::Null,
            truncated: false,
            trees: Vec::new(),
            commands: Vec::new(),
        }
    }
}

impl Recording {
    /// Reads a recording.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let recording: Self =
            serde_json::from_slice(json).map_err(|error| Error::Recording(error.to_string()))?;
        if recording.format != FORMAT {
            return Err(Error::Recording(format!(
                "it is of format {}, and this Copal reads format {FORMAT}",
                recording.format
            )));
        }
        Ok(recording)
    }

    /// The recording as a file holds it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes =
            serde_json::to_vec_pretty(self).map_err(|error| Error::Recording(error.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
