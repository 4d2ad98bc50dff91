//! Copal plugin for any directory: saves all of it but what the operator leaves out, and restores it as it was.

mod backup;

use copal_sdk::{
    BackupPlan, BackupRequest, Description, Detection, Failure, Glob, Plugin, Probe, Tree,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The plugin `copal/files`.
pub struct Files;

/// What an operator can set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Patterns of what to leave out. `*.tmp` matches a name in every directory, `/cache` only at the top, `logs/**/*.gz` at any depth beneath
    /// `logs`; a `/` at the end matches directories only. A directory is left out with all beneath it.
    pub exclude: Vec<Glob>,
}

impl Plugin for Files {
    type Config = Config;
    type Pass = backup::Exclude;

    fn describe() -> Description {
        Description::new(
            "copal/files",
            env!("CARGO_PKG_VERSION"),
            "Saves any directory and restores it as it was.",
        )
        .root("files", "The directory to save", &[])
        .any_roots()
    }

    fn detect(_root: &dyn Tree, _probe: &dyn Probe) -> Result<Option<Detection>, Failure> {
        Ok(Some(
            Detection::new("files", "files", 1).because("any directory can be saved as files"),
        ))
    }

    fn plan_backup(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
        BackupPlan::whole(&request.roots).state(&Some(&request.config.exclude))
    }
}

copal_sdk::export!(Files);

#[cfg(test)]
mod tests;
