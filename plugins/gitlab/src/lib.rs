//! The Copal plugin `copal/gitlab`: backs up, restores and migrates a GitLab in Docker or from the Omnibus package, from its own backup
//! archives or from its data volume.

mod archive;
mod backup;
mod capabilities;
mod config;
mod detect;
mod facts;
mod installation;
mod layout;
mod pass;
mod restore;
mod secrets;
mod target;
mod verify;

use copal_sdk::service;
use copal_sdk::{
    BackupPlan, BackupRequest, Description, Detection, Failure, Finding, Intent, Plugin, Probe,
    RestorePlan, RestoreRequest, Tree, VerifyRequest,
};

pub use archive::selection::Selection;
pub use config::{Archives, Config, Every, Kind};
pub use layout::Layout;
pub use pass::{Git, GitlabPass, Placing, Saving, State};

/// The plugin `copal/gitlab`.
pub struct Gitlab;

impl Plugin for Gitlab {
    type Config = Config;
    type Pass = GitlabPass;

    fn describe() -> Description {
        let description = Description::new(
            "copal/gitlab",
            env!("CARGO_PKG_VERSION"),
            "Backs up, restores and migrates a GitLab: its own backup archives, or its data volume.",
        )
        .root(
            layout::BACKUPS,
            "The folder of GitLab's own backup archives (*_gitlab_backup.tar)",
            &[],
        )
        .root(
            layout::DATA,
            "The data volume: /home/git/data of sameersbn/gitlab, or /var/opt/gitlab of the Omnibus package",
            &[],
        )
        .root(
            layout::CONFIG,
            "The configuration of the Omnibus package, /etc/gitlab, which holds the secrets that no archive has",
            &[],
        )
        .application("GitLab", "9 to 18, community and enterprise edition; Omnibus package or image, and sameersbn/gitlab")
        .intents([Intent::Recover, Intent::Migrate]);
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

copal_sdk::export!(Gitlab);
