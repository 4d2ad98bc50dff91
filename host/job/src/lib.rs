//! Plans and performs Copal's backups and restores: joins the sandbox, where plugins compute, with the repository, where data lies.

mod action;
mod backup;
mod context;
mod convert;
mod detect;
mod error;
mod journal;
mod manifest;
mod observer;
mod passes;
mod places;
mod plan;
mod probe;
mod process;
mod restore;
mod resume;
mod roots;
mod scratch;
mod settings;
mod snapshot_tree;
mod steps;

pub use action::ActionError;
pub use backup::{ApprovedBackup, BackupJob, BackupOutcome, INCOMPLETE_TAG, PlannedBackup};
pub use context::Context;
pub use detect::detect;
pub use error::{Error, UndoFailure, shell_quote};
pub use journal::Begun;
pub use manifest::{MANIFEST_PATH, Manifest, Missing, PLUGIN_PATH, PluginIdentity};
pub use observer::{Observer, StepState};
pub use places::{PlaceError, Root};
pub use plan::Needed;
pub use process::ProcessError;
pub use restore::{ApprovedRestore, PlannedRestore, RestoreJob, RestoreOutcome, intent_word};
pub use resume::{Resumed, interrupted, resume};
pub use settings::{Schema, SettingsError};
pub use steps::StepOutcome;
