//! What plans are made of.

use serde::{Deserialize, Serialize};
use wasmtime::component::{ComponentType, Lift, Lower};

use super::{Command, Finding, Text, Variable};

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
    /// Permission bits, 0 to 0o777; without them those of the file replaced, or 0o600.
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

/// Something outside the targets that a restore replaces, and how to have it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Safeguard {
    /// What it is stored as: one name.
    pub name: String,
    /// Its output is what there is now.
    pub save: Command,
    /// Reads that output on its standard input.
    #[component(name = "put-back")]
    pub put_back: Command,
}

/// How to restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct RestorePlan {
    /// What the plugin has to say to the operator.
    pub findings: Vec<Finding>,
    /// What is saved before a migration, and put back by a rollback.
    pub safeguards: Vec<Safeguard>,
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
