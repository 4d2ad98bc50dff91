//! Plans and performs Copal's backups and restores: joins the sandbox, where plugins compute, with the repository, where data lies.

mod action;
mod authority;
mod backup;
mod context;
mod convert;
mod detect;
mod drill;
mod error;
mod exclusive;
mod feed;
mod files;
mod hooks;
mod journal;
mod manifest;
mod migrate;
mod observer;
mod operator;
mod passes;
mod places;
mod plan;
mod probe;
mod process;
mod proposal;
mod restore;
mod resume;
mod rollback;
mod roots;
mod safety;
mod scratch;
mod settings;
mod snapshot_tree;
mod steps;
mod upkeep;

pub use action::ActionError;
pub use authority::{Authority, RELEASE_PATH, Refusal, Release, Use};
pub use backup::{ApprovedBackup, BackupJob, BackupOutcome, INCOMPLETE_TAG, PlannedBackup};
pub use context::Context;
pub use detect::detect;
pub use drill::{
    Compared, DrillJob, Drilled, Evidence, Phase, Postgres, Purpose, Rehearsed, Verdict,
};
pub use error::{Error, UndoFailure, shell_quote};
pub use hooks::{Around, Ended, Hooks};
pub use journal::Begun;
pub use manifest::{MANIFEST_PATH, Manifest, Missing, PLUGIN_PATH, PluginIdentity};
pub use migrate::{
    ApprovedMigration, Attempt, Entered, MigrationJob, MigrationOutcome, PlannedMigration, Record,
    RestorePreview, Stage, unfinished,
};
pub use observer::{Observer, StepState};
pub use operator::{OperatorFeed, OperatorStream, command};
pub use places::{PlaceError, Root};
pub use plan::Needed;
pub use probe::GrantedProbe;
pub use process::ProcessError;
pub use proposal::intent_word;
pub use restore::{ApprovedRestore, Extent, Placed, PlannedRestore, RestoreJob, RestoreOutcome};
pub use resume::{Resumed, interrupted, resume};
pub use rollback::{
    ApprovedRollback, PlannedRollback, RollbackJob, RollbackOutcome, latest_safety,
};
pub use roots::{sources, targets};
pub use safety::{SAFETY_TAG, Safety, is_safety, snapshot};
pub use settings::{Formats, Mismatch, Schema, Settings, SettingsError, beneath, nearest};
pub use steps::StepOutcome;
pub use upkeep::{
    Group, RepairedSnapshot, Retagged, RewriteOptions, RewrittenSnapshot, SnapshotRepairOptions,
    TagChange, groups, is_own_tag, repair_snapshots, retag, rewrite_snapshots,
};
