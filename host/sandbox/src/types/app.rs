//! What a plugin is, and what it is asked.

use serde::{Deserialize, Serialize};

use super::{Fact, Intent, Timestamp};

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
    /// The grant's pattern, such as `run:docker stop *`, spelled as [`crate::CapabilityPattern`] reads it.
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
    /// Whether the targets are a scratch place.
    pub rehearsal: bool,
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
    /// Whether the targets are a scratch place.
    pub rehearsal: bool,
}
