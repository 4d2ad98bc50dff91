//! The Copal plugin `{{publisher}}/{{name}}`: backs up and restores {{name}}, a directory of notes.

mod backup;
mod detect;
mod pass;
mod restore;
mod running;
mod settings;
mod verify;

use copal_sdk::{
    BackupPlan, BackupRequest, Description, Detection, Failure, Finding, Plugin, Probe,
    RestorePlan, RestoreRequest, Tree, VerifyRequest,
};
use schemars::JsonSchema;
use serde::Deserialize;

pub use pass::WithoutDrafts;

/// The root: the application's directory.
const HOME: &str = "home";

/// The fact that records which format the saved notes have.
const FORMAT: &str = "format";

/// The plugin `{{publisher}}/{{name}}`.
pub struct {{Name}}Plugin;

/// What an operator can set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The systemd unit to stop while the application's files are read or replaced.
    pub unit: Option<String>,
}

impl Plugin for {{Name}}Plugin {
    type Config = Config;
    type Pass = WithoutDrafts;

    fn describe() -> Description {
        Description::new(
            "{{publisher}}/{{name}}",
            env!("CARGO_PKG_VERSION"),
            "Saves notes without their drafts, and restores them.",
        )
        .root(HOME, "The folder that holds settings.ini and notes", &[])
        .capability(
            "run:systemctl stop *",
            "To stop the unit of `unit` while its files are read or replaced",
        )
        .capability(
            "run:systemctl start *",
            "To start the unit again afterwards",
        )
        .application("{{name}}", "all whose notes have a format of 1 or more")
    }

    fn detect(root: &dyn Tree, _probe: &dyn Probe) -> Result<Option<Detection>, Failure> {
        detect::detect(root)
    }

    fn plan_backup(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
        backup::plan(request)
    }

    fn plan_restore(request: &RestoreRequest<'_, Config>) -> Result<RestorePlan, Failure> {
        restore::plan(request)
    }

    fn verify(request: &VerifyRequest<'_, Config>) -> Result<Vec<Finding>, Failure> {
        verify::verify(request)
    }
}

copal_sdk::export!({{Name}}Plugin);
