//! The Copal plugin `copal/metabase`: backs up, restores, migrates and clones a Metabase with its application database, in H2 or PostgreSQL.

mod backup;
mod capabilities;
mod config;
mod detect;
mod encryption;
mod facts;
mod inspection;
mod java;
mod layout;
mod pass;
mod postgres;
mod preconditions;
mod quiesce;
mod restore;
mod sql;
mod verify;
mod version;

use copal_sdk::service;
use copal_sdk::{
    BackupPlan, BackupRequest, Description, Detection, Failure, Finding, Plugin, Probe,
    RestorePlan, RestoreRequest, Tree, VerifyRequest,
};

pub use config::{Config, Secret};
pub use pass::{Guard, MetabasePass, State};

/// The plugin `copal/metabase`.
pub struct Metabase;

impl Plugin for Metabase {
    type Config = Config;
    type Pass = MetabasePass;

    fn describe() -> Description {
        let description = Description::new(
            "copal/metabase",
            env!("CARGO_PKG_VERSION"),
            "Backs up, restores, migrates and clones a Metabase with its application database.",
        )
        .root(
            layout::DATA,
            "The folder that holds metabase.db.mv.db, where the application database is H2",
            &[],
        )
        .root(
            layout::PLUGINS,
            "The folder of Metabase's drivers (MB_PLUGINS_DIR)",
            &[],
        )
        .application(
            "Metabase",
            "0.42 and newer, with H2 of format 1, 2 or 3, or PostgreSQL",
        );
        capabilities::declare(service::declare(description))
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

copal_sdk::export!(Metabase);
