//! The records of the contract as plain Rust types, in the shape of its newest version. `wit/*.wit` documents each item in full.
//!
//! Serialised, names of variants are kebab-case and fields snake_case. A secret is serialised and formatted as `***`
//! and can't be read back.

use std::fmt;

use serde::{Deserialize, Serialize};
use wasmtime::component::{ComponentType, Lift, Lower};

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

/// A program to run, without a shell. `{scratch}`, `{root:NAME}`, `{{` and `}}` stand in it as [`crate::placeholder`] says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Command {
    /// The program and its arguments; the grant's words.
    pub argv: Vec<String>,
    /// Variables in addition to the few that the host passes on.
    pub environment: Vec<Variable>,
    /// What the command reads on its standard input.
    pub stdin: Option<Text>,
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

/// Where a path of a step begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum Base {
    /// The root of that name.
    #[component(name = "root")]
    Root(String),
    /// The job's private scratch folder.
    #[component(name = "scratch")]
    Scratch,
}

/// A file or directory that a step works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Location {
    /// Where the path begins.
    pub base: Base,
    /// Relative to `base`.
    pub path: String,
}

/// Writes a file in one piece: beside the old one, then renamed over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct WriteFile {
    /// The file.
    pub to: Location,
    /// All of its content.
    pub content: Text,
    /// Permission bits; without them those of the file replaced, or 0o600.
    pub mode: Option<u32>,
}

/// Copies a file or a whole directory. The target must not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct CopyEntry {
    /// What is copied.
    pub from: Location,
    /// Where the copy lies.
    pub to: Location,
}

/// Renames within one base. The target must not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct RenameEntry {
    /// The old place.
    pub from: Location,
    /// The new place.
    pub to: Location,
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct HttpRequest {
    /// Such as `GET`.
    pub method: String,
    /// `http://` or `https://`.
    pub url: String,
    /// Headers.
    pub headers: Vec<Variable>,
    /// The body.
    pub body: Option<Text>,
    /// Status codes that count as success; empty for 200 to 299.
    pub expect: Vec<u16>,
    /// Seconds: 1 to 604,800.
    pub timeout: u32,
}

/// What a wait looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum Condition {
    /// Holds when the command exits with 0.
    #[component(name = "command-succeeds")]
    CommandSucceeds(Command),
    /// Holds when the request is answered as expected.
    #[component(name = "responds")]
    Responds(HttpRequest),
}

/// Looks again and again until the condition holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct WaitUntil {
    /// What is looked at.
    pub condition: Condition,
    /// Seconds between two looks: 1 to 3,600.
    pub interval: u32,
    /// Seconds after which the step counts as failed: 1 to 604,800.
    pub timeout: u32,
}

/// One thing that the host does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum Action {
    /// Runs a command.
    #[component(name = "run")]
    Run(Command),
    /// Writes a file.
    #[component(name = "write")]
    Write(WriteFile),
    /// Copies a file or directory.
    #[component(name = "copy")]
    Copy(CopyEntry),
    /// Renames a file or directory.
    #[component(name = "rename")]
    Rename(RenameEntry),
    /// Removes a file or a whole directory; nothing there is not an error.
    #[component(name = "remove")]
    Remove(Location),
    /// Sends an HTTP request.
    #[component(name = "http")]
    Http(HttpRequest),
    /// Waits until a condition holds.
    #[component(name = "wait")]
    Wait(WaitUntil),
}

/// An action with what a person should know about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Step {
    /// Unique within the plan.
    pub id: String,
    /// What it does, as a person would say it.
    pub title: String,
    /// What it does.
    pub action: Action,
    /// Takes the step back; for a quiesce step the thaw.
    pub undo: Option<Action>,
    /// Keep up to 1 MiB of what the command or request answers, for `verify`.
    pub capture: bool,
}

/// A name and a value, as JSON text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Fact {
    /// camelCase, such as `installId`.
    pub name: String,
    /// One JSON value.
    pub value: String,
}

/// When a source is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(enum)]
#[repr(u8)]
pub enum Window {
    /// Between quiesce and thaw.
    #[component(name = "quiesced")]
    Quiesced,
    /// After thaw.
    #[component(name = "live")]
    Live,
}

/// The output of a command, stored as a file of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct StreamSource {
    /// Where it lies in the snapshot beneath `streams/`: one name.
    pub name: String,
    /// Whose output it is.
    pub command: Command,
    /// Send it through `transform`, with the root `streams` and the stream's name as its path.
    pub filter: bool,
}

/// What a source reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum SourceContent {
    /// The root of that name.
    #[component(name = "tree")]
    Tree(String),
    /// A command's output.
    #[component(name = "command")]
    Command(StreamSource),
}

/// One thing that a backup reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Source {
    /// Unique within the plan.
    pub name: String,
    /// Sources that must be finished first.
    pub after: Vec<String>,
    /// When it is read.
    pub window: Window,
    /// What is read.
    pub content: SourceContent,
}

/// How to back up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct BackupPlan {
    /// What the plugin has to say to the operator.
    pub findings: Vec<Finding>,
    /// What a later restore needs to know.
    pub facts: Vec<Fact>,
    /// Run in their order before the quiesced sources; their undo is the thaw.
    pub quiesce: Vec<Step>,
    /// What is read; [`crate::Plugin::plan_backup`] puts them in an order that `after` allows.
    pub sources: Vec<Source>,
    /// Handed to every pass of this backup; at most 1 MiB.
    #[serde(skip)]
    pub state: Vec<u8>,
}

/// A stored stream that is fed to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Feed {
    /// The stream's name.
    pub name: String,
    /// Reads the stream on its standard input.
    pub command: Command,
    /// Send it through `transform` first.
    pub filter: bool,
}

/// What a placement puts where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum PlacementContent {
    /// The snapshot's tree of that root, into the target of the same name.
    #[component(name = "tree")]
    Tree(String),
    /// A stream, into a command.
    #[component(name = "feed")]
    Feed(Feed),
}

/// One thing that a restore puts in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Placement {
    /// Unique within the plan.
    pub name: String,
    /// Placements that must be finished first.
    pub after: Vec<String>,
    /// What is put where.
    pub content: PlacementContent,
}

/// How to restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct RestorePlan {
    /// What the plugin has to say to the operator.
    pub findings: Vec<Finding>,
    /// Run in their order before the placements.
    pub before: Vec<Step>,
    /// What is put in place; [`crate::Plugin::plan_restore`] puts them in an order that `after` allows.
    pub placements: Vec<Placement>,
    /// Run in their order after the placements.
    pub after: Vec<Step>,
    /// Handed to every pass of this restore; at most 1 MiB.
    #[serde(skip)]
    pub state: Vec<u8>,
}

/// A root that a plugin works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootSpec {
    /// Lower-case letters, digits and `-`.
    pub name: String,
    /// What it is, for the operator.
    pub description: String,
    /// Roots that can't be given together with this one.
    pub conflicts: Vec<String>,
}

/// A grant that a plugin may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// The grant's pattern, such as `run:docker stop *`.
    pub grant: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// An application that a plugin knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// Which versions, in words.
    pub versions: String,
}

/// What a plugin is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// `publisher/name`.
    pub name: String,
    /// A semantic version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// Its roots; the first is the one that a bare path means.
    pub roots: Vec<RootSpec>,
    /// Whether roots of other names may be given too.
    pub any_roots: bool,
    /// A JSON Schema (draft 2020-12) of an object, as text.
    pub config_schema: String,
    /// Grants that it may ask for.
    pub capabilities: Vec<Capability>,
    /// Applications that it knows.
    pub applications: Vec<Application>,
    /// The intents that a restore may have; the first is the default.
    pub intents: Vec<Intent>,
}

/// What `detect` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detection {
    /// The application's name.
    pub application: String,
    /// The application's version.
    pub version: Option<String>,
    /// The plugin's root that the tree would be.
    pub root: String,
    /// How sure: 1 to 100.
    pub confidence: u8,
    /// What it was recognised by.
    pub because: Vec<String>,
}

/// What a backup is planned from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupRequest {
    /// The configuration, a JSON object as text.
    pub config: String,
    /// The time of the plan.
    pub now: Timestamp,
}

/// What a restore is planned from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreRequest {
    /// Why the restore happens.
    pub intent: Intent,
    /// The configuration, a JSON object as text.
    pub config: String,
    /// The time of the plan.
    pub now: Timestamp,
    /// The facts of the snapshot's manifest.
    pub facts: Vec<Fact>,
    /// The names of the streams that the snapshot holds.
    pub streams: Vec<String>,
}

/// What a captured step answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The step's id.
    pub step: String,
    /// At most 1 MiB.
    pub output: Vec<u8>,
}

/// What is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyRequest {
    /// Why the restore happened.
    pub intent: Intent,
    /// The configuration, a JSON object as text.
    pub config: String,
    /// The facts of the snapshot's manifest.
    pub facts: Vec<Fact>,
    /// What the captured steps answered.
    pub captures: Vec<Capture>,
}

/// Which way a pass runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into a snapshot.
    Backup,
    /// Out of a snapshot.
    Restore,
}

/// What to alter of an entry; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Another name within the same directory.
    pub name: Option<String>,
    /// Permission bits, 0 to 0o7777.
    pub mode: Option<u32>,
    /// Another owner.
    pub owner: Option<Owner>,
    /// Another time of modification.
    pub modified: Option<Timestamp>,
    /// Send the content through [`crate::Pass::open`]. Ignored for all but files.
    pub filter: bool,
}

/// What becomes of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Goes through as it is.
    Keep,
    /// Left out; a directory with all beneath it.
    Skip,
    /// Goes through altered.
    Change(Change),
}
