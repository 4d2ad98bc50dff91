//! The Copal plugin `copal/cloudfoundry`: backs up, restores and migrates a Cloud Foundry's databases and blobstore together.

mod backup;
mod blobstore;
mod config;
mod database;
mod encryption;
mod facts;
mod loading;
mod pair;
mod pass;
mod preconditions;
mod quiesce;
mod restore;
mod script;
mod survey;
mod verify;

use copal_sdk::{
    BackupPlan, BackupRequest, Description, Detection, Failure, Finding, Intent, Plugin, Probe,
    RestorePlan, RestoreRequest, Tree, VerifyRequest,
};

pub use config::{Buildpacks, Config, Preset, QuiesceStep, Secret};
pub use loading::Loading;
pub use pass::{CloudFoundryPass, Placing, State};

/// The root of the blobstore.
pub(crate) const BLOBSTORE: &str = "blobstore";

/// The plugin `copal/cloudfoundry`.
pub struct CloudFoundry;

impl Plugin for CloudFoundry {
    type Config = Config;
    type Pass = CloudFoundryPass;

    fn describe() -> Description {
        Description::new(
            "copal/cloudfoundry",
            env!("CARGO_PKG_VERSION"),
            "Backs up, restores and migrates a Cloud Foundry: the databases of the Cloud Controller and of UAA, and the blobstore.",
        )
        .root(
            BLOBSTORE,
            "The blobstore's folder of buckets, such as /var/vcap/store/shared, on the host that serves it",
            &[],
        )
        .capability(
            "probe:[PGPASSWORD=] [{setting:via|uaa_via}] */psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d * [-h *] [-p *] [-U *]",
            "To look at the databases",
        )
        .capability(
            "run:[PGPASSWORD=] [{setting:via|uaa_via}] */psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d * [-h *] [-p *] [-U *]",
            "To record what is in the databases, to load them, and to compare them afterwards",
        )
        .capability(
            "run:[PGPASSWORD=] [{setting:via|uaa_via}] */pg_dump --data-only --no-password --encoding=UTF8 -d * [-h *] [-p *] [-U *]",
            "To dump the rows of the databases",
        )
        .capability(
            "run:[PGPASSWORD=] [{setting:via|uaa_via}] */pg_dump --schema-only --no-owner --no-privileges --no-password --encoding=UTF8 -d * [-h *] [-p *] [-U *]",
            "To dump their schemas, for a restore into empty databases",
        )
        .capability(
            "run:[PGPASSWORD=] [{setting:via|uaa_via}] */pg_dump --format=custom --compress=0 --no-password -d * [-h *] [-p *] [-U *]",
            "To save what a target's databases hold before they are replaced",
        )
        .capability(
            "run:[PGPASSWORD=] [{setting:via|uaa_via}] */pg_restore --clean --if-exists --single-transaction --no-password -d * [-h *] [-p *] [-U *]",
            "To put that back",
        )
        .capability("probe:getent passwd *", "To learn the numbers of the user vcap, where the blobstore's folder is not its own yet")
        .capability("run:{setting:quiesce.run}", "To keep the foundation from being written to, by the commands in `quiesce`")
        .capability("run:{setting:quiesce.undo}", "To take that back, by the commands in `quiesce`")
        .application("Cloud Foundry", "with PostgreSQL and a blobstore on disk (WebDAV or NFS), such as PaaS-TA 3.1 and 4.0")
        .intents([Intent::Recover, Intent::Migrate])
    }

    fn detect(root: &dyn Tree, _probe: &dyn Probe) -> Result<Option<Detection>, Failure> {
        blobstore::detect(root)
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

copal_sdk::export!(CloudFoundry);
