//! The Copal plugin `copal/gitlab`: backs up, restores and migrates a GitLab in Docker or from the Omnibus package, from its own backup
//! archives or from its data volume.

mod archive;
mod backup;
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
        Description::new(
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
        .capability("run:docker inspect -f * *", "To see whether the container of `container` runs, and to compare its secrets")
        .capability("run:docker stop *", "To stop the container while its data volume is read or replaced")
        .capability("run:docker start *", "To start the container again after a backup")
        .capability("run:systemctl is-active *", "To see whether the unit of `unit` runs")
        .capability("run:systemctl stop *", "To stop the unit while its data volume is read or replaced")
        .capability("run:systemctl start *", "To start the unit again after a backup")
        .capability("run:docker exec * id git", "To see which user git is in the target's container")
        .capability("run:id git", "To see which user git is on this host")
        .capability("run:docker exec * cat *", "To see the target's version, and to compare its secrets")
        .capability("run:cat *", "To see the version of a GitLab on this host")
        .capability("run:docker exec * gitlab-backup create", "To have GitLab make an archive (`create`)")
        .capability("run:gitlab-backup create", "To have GitLab make an archive (`create`)")
        .capability(
            "run:docker exec --user git * bundle exec rake gitlab:backup:create RAILS_ENV=production",
            "To have GitLab make an archive (`create`) in sameersbn's image",
        )
        .capability("run:grep -rqF --include=*_gitlab_backup.tar backup_information.yml *", "To see that the archive is there (`create` into an empty folder)")
        .capability(
            "run:docker exec * gitlab-backup restore BACKUP=* force=yes FORCE=yes GITLAB_ASSUME_YES=1",
            "To run GitLab's own restore (`restore`)",
        )
        .capability(
            "run:gitlab-backup restore BACKUP=* force=yes FORCE=yes GITLAB_ASSUME_YES=1",
            "To run GitLab's own restore (`restore`)",
        )
        .capability(
            "run:docker exec --user git * bundle exec rake gitlab:backup:restore RAILS_ENV=production BACKUP=* force=yes FORCE=yes GITLAB_ASSUME_YES=1",
            "To run GitLab's own restore (`restore`) in sameersbn's image",
        )
        .capability("run:docker exec * gitlab-ctl * *", "To stop Puma and Sidekiq during GitLab's own restore, and to see whether Gitaly runs")
        .capability("run:gitlab-ctl * *", "To stop Puma and Sidekiq during GitLab's own restore, and to see whether Gitaly runs")
        .capability("run:docker exec * supervisorctl * *", "The same in sameersbn's image")
        .capability("run:docker exec * find * * * * -maxdepth 0 ! -user git", "To see whether GitLab's own restore would fail at folders that are not git's")
        .capability("run:find * * * * -maxdepth 0 ! -user git", "The same on this host")
        .capability("run:docker exec * chown git * * * *", "To give such folders to git")
        .capability("run:chown git * * * *", "The same on this host")
        .capability("run:chown * *", "To give restored folders to the target's git user")
        .capability("write:backups", "To clear what an interrupted backup or restore of GitLab left in its folder")
        .application("GitLab", "9 to 18, community and enterprise edition; Omnibus package or image, and sameersbn/gitlab")
        .intents([Intent::Recover, Intent::Migrate])
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
