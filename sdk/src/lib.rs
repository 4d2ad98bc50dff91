//! Write plugins for Copal: back up, restore and migrate one application.

pub mod bindings;
mod command;
pub mod config;
mod facts;
mod finding;
#[doc(hidden)]
pub mod guest;
mod log;
mod plan;
mod plugin;
mod transform;
mod tree;

pub use command::{Command, Fragment, Output, Text, Variable, literal};
pub use config::NoConfig;
pub use facts::Facts;
pub use finding::{Failure, FailureKind, Finding, Severity};
pub use plan::{
    Action, BackupPlan, Base, Condition, CopyEntry, Fact, Feed, HttpRequest, Location, Placement,
    PlacementContent, RenameEntry, RestorePlan, Source, SourceContent, Step, StreamSource,
    WaitUntil, Window, WriteFile,
};
pub use plugin::{
    Application, BackupRequest, Capability, Capture, Description, Detection, Intent, Plugin, Probe,
    RestoreRequest, RootSpec, VerifyRequest,
};
pub use tracing;
pub use transform::{Change, Direction, Filter, Pass, Verdict};
pub use tree::{Entry, Kind, Owner, READ_LIMIT, Timestamp, Tree, Trees};
