//! The records of the contract as plain Rust types, in the shape of its newest version. `wit/*.wit` documents each item in full.
//!
//! Serialised, names of variants are kebab-case and fields snake_case. A secret is serialised and formatted as `***`
//! and can't be read back.

mod app;
mod plan;
mod transform;

use std::fmt;

use serde::{Deserialize, Serialize};
use wasmtime::component::{ComponentType, Lift, Lower};

pub use self::app::{
    Application, BackupRequest, Capability, Capture, Description, Detection, RestoreRequest,
    RootSpec, VerifyRequest,
};
pub use self::plan::{
    Action, BackupPlan, Base, Condition, CopyEntry, Fact, Feed, HttpRequest, Location, Placement,
    PlacementContent, RenameEntry, RestorePlan, Safeguard, Source, SourceContent, Step,
    StreamSource, WaitUntil, Window, WriteFile,
};
pub use self::transform::{Change, Direction, Member, Verdict};

/// What stands in place of a secret wherever it is shown.
const HIDDEN: &str = "***";

/// How much a finding matters.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ComponentType,
    Lift,
    Lower,
)]
#[serde(rename_all = "kebab-case")]
#[component(enum)]
#[repr(u8)]
pub enum Severity {
    /// Worth knowing; nothing to do.
    #[component(name = "info")]
    Info,
    /// The work goes on, but a person should look.
    #[component(name = "warning")]
    Warning,
    /// The plan must not be carried out.
    #[component(name = "error")]
    Error,
}

/// How a plugin or the host reports anything to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// A stable code: lower-case words joined by dots.
    pub code: String,
    /// What is the case, and where.
    pub message: String,
    /// What the reader can do about it.
    pub remedy: Option<String>,
    /// The path that it is about, as `ROOT` or `ROOT/PATH`.
    pub path: Option<String>,
}

/// What sort of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(enum)]
#[repr(u8)]
pub enum FailureKind {
    /// The configuration is not what `describe` asks for.
    #[component(name = "invalid-config")]
    InvalidConfig,
    /// The application, version or layout is one that the plugin can't work on.
    #[component(name = "unsupported")]
    Unsupported,
    /// Data was read and is not what it must be.
    #[component(name = "corrupt")]
    Corrupt,
    /// Something that must be there is not.
    #[component(name = "missing")]
    Missing,
    /// The host refused it: no grant, or outside a root.
    #[component(name = "denied")]
    Denied,
    /// The host tried and the operating system or a service failed.
    #[component(name = "unavailable")]
    Unavailable,
    /// A fault of the plugin itself.
    #[component(name = "internal")]
    Internal,
}

/// Why a call could not do its work.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    thiserror::Error,
    ComponentType,
    Lift,
    Lower,
)]
#[component(record)]
#[error("{message}")]
pub struct Failure {
    /// What sort of thing went wrong.
    pub kind: FailureKind,
    /// A stable code, spelled like a finding's.
    pub code: String,
    /// What went wrong, and where.
    pub message: String,
    /// What the reader can do about it.
    pub remedy: Option<String>,
}

impl Failure {
    /// A failure without a remedy.
    pub fn new(kind: FailureKind, code: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.to_owned(),
            message: message.into(),
            remedy: None,
        }
    }

    /// The same failure with a remedy.
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

/// Why a restore happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(enum)]
#[repr(u8)]
pub enum Intent {
    /// The same identity at the same place.
    #[component(name = "recover")]
    Recover,
    /// The same identity at a new place.
    #[component(name = "migrate")]
    Migrate,
    /// A new identity beside the old one.
    #[component(name = "clone")]
    Clone,
}

/// What an entry of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(enum)]
#[repr(u8)]
pub enum Kind {
    /// A regular file.
    #[component(name = "file")]
    File,
    /// A directory.
    #[component(name = "directory")]
    Directory,
    /// A symbolic link.
    #[component(name = "symlink")]
    Symlink,
    /// A named pipe.
    #[component(name = "fifo")]
    Fifo,
    /// A Unix socket.
    #[component(name = "socket")]
    Socket,
    /// A block device.
    #[component(name = "block-device")]
    BlockDevice,
    /// A character device.
    #[component(name = "char-device")]
    CharDevice,
}

/// A point in time.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ComponentType,
    Lift,
    Lower,
)]
#[component(record)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Nanoseconds after that second: 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// Who owns an entry.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower,
)]
#[component(record)]
pub struct Owner {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The user's name; empty where unknown.
    pub user: String,
    /// The group's name; empty where unknown.
    pub group: String,
}

/// One file, directory or other node of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Entry {
    /// Relative to the root, spelled as [`crate::name`] says.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes of content; 0 for all but files.
    pub size: u64,
    /// Permission bits with setuid, setgid and sticky: 0 to 0o7777.
    pub mode: u32,
    /// Who owns it.
    pub owner: Owner,
    /// When the content last changed.
    pub modified: Timestamp,
    /// Where a symlink points, spelled like a name.
    #[component(name = "link-target")]
    pub link_target: Option<String>,
}

/// A piece of text, marked by whether it may be shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum Fragment {
    /// May stand in plans, logs, manifests and journals.
    #[component(name = "plain")]
    Plain(String),
    /// Reaches the command or file alone.
    #[component(name = "secret")]
    Secret(#[serde(serialize_with = "hide", deserialize_with = "refuse")] String),
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.debug_tuple("Plain").field(text).finish(),
            Self::Secret(_) => f.write_str("Secret(***)"),
        }
    }
}

fn hide<S: serde::Serializer>(_: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(HIDDEN)
}

fn refuse<'de, D: serde::Deserializer<'de>>(_: D) -> Result<String, D::Error> {
    Err(serde::de::Error::custom(
        "the value was a secret, and secrets are not kept",
    ))
}

/// Text of which parts may be secret: the concatenation of the fragments.
pub type Text = Vec<Fragment>;

/// The whole text, secrets included: for the command or file that it is meant for, and nothing else.
pub fn reveal(text: &[Fragment]) -> String {
    join(text, |secret| secret)
}

/// The text as it may be shown, with `***` for each secret.
pub fn redact(text: &[Fragment]) -> String {
    join(text, |_| HIDDEN)
}

fn join(text: &[Fragment], of_secret: impl Fn(&str) -> &str) -> String {
    text.iter()
        .map(|fragment| match fragment {
            Fragment::Plain(text) => text.as_str(),
            Fragment::Secret(text) => of_secret(text),
        })
        .collect()
}

/// An environment variable of a command, or a header of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Text,
}

/// A program to run, without a shell. `{scratch}`, `{root:NAME}`, `{fd:N}`, `{{` and `}}` stand in it as [`crate::placeholder`] says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Command {
    /// The program and its arguments; the grant's words.
    pub argv: Vec<String>,
    /// Variables in addition to the few that the host passes on.
    pub environment: Vec<Variable>,
    /// What the command reads on its standard input.
    pub stdin: Option<Text>,
    /// What the command reads from files that only it can open, at the paths that `{fd:N}` stands for.
    #[serde(default)]
    pub descriptors: Vec<Text>,
    /// Seconds after which the command is ended.
    pub timeout: u32,
}

/// What a finished command left.
#[derive(Clone, Debug, Default, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Output {
    /// The exit code; 128 + N where signal N ended it.
    pub code: i32,
    /// At most 1 MiB.
    pub stdout: Vec<u8>,
    /// At most 64 KiB.
    pub stderr: Vec<u8>,
    /// Whether more was written than is here.
    pub truncated: bool,
}
