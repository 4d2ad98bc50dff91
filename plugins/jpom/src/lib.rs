//! The Copal plugin `copal/jpom`: backs up, restores, migrates and clones a Jpom server.

mod application_yml;
mod backup;
mod config;
mod contents;
mod detect;
mod facts;
mod install_json;
mod java;
mod layout;
mod pass;
mod preconditions;
mod restore;
mod sql;
mod survey;
mod verify;

use copal_sdk::service;
use copal_sdk::{
    BackupPlan, BackupRequest, Description, Detection, Failure, Finding, Plugin, Probe,
    RestorePlan, RestoreRequest, Tree, VerifyRequest,
};

pub use config::{Builds, Config, Every, ExternalDatabase, Secret};
pub use pass::{Guard, JpomPass, Placing, Saving, State};

/// The plugin `copal/jpom`.
pub struct Jpom;

impl Plugin for Jpom {
    type Config = Config;
    type Pass = JpomPass;

    fn describe() -> Description {
        let description = Description::new(
            "copal/jpom",
            env!("CARGO_PKG_VERSION"),
            "Backs up, restores, migrates and clones a Jpom server with its database and its identity.",
        )
        .root(
            layout::HOME,
            "The folder that holds conf, data and logs, perhaps the program too",
            &[layout::DATA, layout::CONF],
        )
        .root(layout::DATA, "Jpom's folder alone (jpom.path), where it is mounted apart", &[layout::HOME])
        .root(layout::CONF, "The folder that holds application.yml, where it is mounted apart", &[layout::HOME])
        .capability(
            "run:{setting:java} -cp {setting:h2_jar} @{scratch}/Script.args -url jdbc:h2:{scratch}/* -script /dev/fd/1",
            "To export the database as SQL, from a copy of it",
        )
        .capability(
            "run:{setting:java} -cp {setting:h2_jar} @{scratch}/RunScript.args -url jdbc:h2:{root:* -script {scratch}/identity.sql -showResults",
            "To give a restored database its new place and identity, and to read the ids in it",
        )
        .application(
            "Jpom server",
            "up to 2.11, with an H2 database of format 1, 2 or 3",
        );
        service::declare(description)
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

copal_sdk::export!(Jpom);
