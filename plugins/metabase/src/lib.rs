//! The Copal plugin `copal/metabase`: backs up, restores, migrates and clones a Metabase with its application database, in H2 or PostgreSQL.

mod backup;
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
        Description::new(
            "copal/metabase",
            env!("CARGO_PKG_VERSION"),
            "Backs up, restores, migrates and clones a Metabase with its application database.",
        )
        .root(layout::DATA, "The folder that holds metabase.db.mv.db, where the application database is H2", &[])
        .root(layout::PLUGINS, "The folder of Metabase's drivers (MB_PLUGINS_DIR)", &[])
        .capability("run:psql -X -w -q -A -t -v ON_ERROR_STOP=1 -p * -h * -U * -d * -f -", "To read the application database in PostgreSQL, to pause it, to restore it")
        .capability("run:PGPASSWORD= psql -X -w -q -A -t -v ON_ERROR_STOP=1 -p * -h * -U * -d * -f -", "The same with the password `db_pass`")
        .capability("run:PGPASSFILE= psql -X -w -q -A -t -v ON_ERROR_STOP=1 -p * -h * -U * -d * -f -", "The same for what has to be taken back, with the password in a file")
        .capability("run:pg_dump --no-password --no-owner --no-privileges --no-comments --exclude-table-data=query_cache -p * -h * -U * -d *", "To dump the application database")
        .capability(
            r#"run:PGPASSWORD= sh -ec 'cat; "$@"; echo "COMMIT;"' sh pg_dump --no-password --no-owner --no-privileges --no-comments --exclude-table-data=query_cache -p * -h * -U * -d *"#,
            "To save what the target's database holds as one transaction that puts it back, where a migration may be rolled back",
        )
        .capability("run:curl --config {scratch}/read-only.curl", "To tell the Metabase at `api_url` that it is read-only")
        .capability("run:curl --config {scratch}/writable.curl", "To tell it that it is not any more")
        .capability("run:curl -fsS --max-time 20 *", "To ask the Metabase at `api_url` for its version")
        .capability("run:sleep *", "To wait until every node has noticed the read-only mode")
        .capability("run:java -jar * version", "To ask `jar` for its version")
        .capability(
            "run:MB_DB_DBNAME= MB_DB_HOST= MB_DB_PASS= MB_DB_PORT= MB_DB_TYPE= MB_DB_USER= MB_ENCRYPTION_SECRET_KEY= java --add-opens java.base/java.nio=ALL-UNNAMED -jar * *-h2 *",
            "To have Metabase dump its application database to H2, or load one from H2",
        )
        .capability("run:cat {scratch}/metabase.db.mv.db", "To store the dump that Metabase made")
        .capability("run:dd of=* bs=1M conv=fsync status=none", "To put that dump in its place")
        .capability("run:java -cp * org.h2.tools.RunScript -url * -script /dev/stdin -showResults", "To give a restored H2 database what it needs")
        .capability("run:java -cp * org.h2.tools.RunScript -url * -script /dev/stdin -showResults -continueOnError", "To read what is in an H2 database")
        .capability("run:docker inspect -f * *", "To see whether the container of `container` runs")
        .capability("run:docker stop *", "To stop the container while its data is read or replaced")
        .capability("run:docker start *", "To start the container again after a backup")
        .capability("run:systemctl is-active *", "To see whether the unit of `unit` runs")
        .capability("run:systemctl stop *", "To stop the unit while its data is read or replaced")
        .capability("run:systemctl start *", "To start the unit again after a backup")
        .application("Metabase", "0.42 and newer, with H2 of format 1, 2 or 3, or PostgreSQL")
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
