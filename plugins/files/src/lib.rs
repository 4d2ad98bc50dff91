//! Copal plugin for any directory.

use copal_sdk::{Description, Detection, Failure, NoConfig, Plugin, Probe, Tree};

/// The plugin `copal/files`.
pub struct Files;

impl Plugin for Files {
    type Config = NoConfig;
    type Pass = ();

    fn describe() -> Description {
        Description::new(
            "copal/files",
            env!("CARGO_PKG_VERSION"),
            "Backs up any directory and restores it as it was.",
        )
        .root("files", "The directory to back up", &[])
        .any_roots()
    }

    fn detect(_root: &dyn Tree, _probe: &dyn Probe) -> Result<Option<Detection>, Failure> {
        Ok(Some(
            Detection::new("files", "files", 1).because("any directory can be backed up as files"),
        ))
    }
}

copal_sdk::export!(Files);
