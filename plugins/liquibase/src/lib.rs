//! The Copal plugin `copal/liquibase`: backs up and restores PostgreSQL databases that Liquibase or Flyway migrates.

mod backup;
mod changelog;
mod compare;
mod config;
mod detect;
mod facts;
mod flyway;
mod history;
mod pass;
mod postgres;
mod recorder;
mod restore;
mod verify;

use copal_sdk::{
    BackupPlan, BackupRequest, Description, Detection, Failure, Finding, Plugin, Probe,
    RestorePlan, RestoreRequest, Tree, VerifyRequest,
};

pub use config::{Config, OnLock, Secret};
pub use pass::{LiquibasePass, State};
pub use recorder::Recording;

/// The root of the changelog: only looked at.
const CHANGELOG: &str = "changelog";
/// The root of a dump.
const DUMP: &str = "dump";
/// The stream that holds the database.
const STREAM: &str = "database.sql";
/// The tree of a snapshot's streams.
const STREAMS: &str = "streams";

/// The plugin `copal/liquibase`.
pub struct LiquibasePlugin;

impl Plugin for LiquibasePlugin {
    type Config = Config;
    type Pass = LiquibasePass;

    fn describe() -> Description {
        Description::new(
            "copal/liquibase",
            env!("CARGO_PKG_VERSION"),
            "Backs up and restores a PostgreSQL database with its history of migrations, and migrates it as a step of its own.",
        )
        .root(CHANGELOG, "The folder of the changelog or of Flyway's migrations: compared with the history, never saved or changed", &[])
        .root(DUMP, "A folder with a dump of the database, instead of the database itself", &[])
        .capability(
            "probe:[PGPASSWORD=] [{setting:via}] */psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d *",
            "To read the history and the lock, and what a target holds",
        )
        .capability(
            "run:[PGPASSWORD=] [{setting:via}] */psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d *",
            "To wait for the lock, to execute the dump, to clear the lock, to see that nothing is pending, and to put back what a rolled back migration replaced",
        )
        .capability(
            "run:[PGPASSWORD=] [{setting:via}] */pg_dump -w [{setting:dump_options}] -d *",
            "To dump the database",
        )
        .capability(
            r#"run:[PGPASSWORD=] sh -ec 'cat; "$@"; echo "COMMIT;"' sh [{setting:via}] */pg_dump -w [{setting:dump_options}] -d *"#,
            "To save what the target database holds as one transaction that puts it back, where a migration may be rolled back",
        )
        .capability(
            "run:LIQUIBASE_COMMAND_URL= [LIQUIBASE_COMMAND_USERNAME=] [LIQUIBASE_COMMAND_PASSWORD=] {setting:migrate_secrets}= {setting:migrate}",
            "To migrate the restored database, by the command in `migrate`",
        )
        .capability(
            "run:FLYWAY_URL= [FLYWAY_USER=] [FLYWAY_PASSWORD=] {setting:migrate_secrets}= {setting:migrate}",
            "To migrate the restored database by Flyway, by the command in `migrate`",
        )
        .capability("run:{setting:start}", "To start the application after the migration, by the command in `start`")
        .capability("run:cat -- {root:dump}/*", "To take a dump that is SQL")
        .capability("run:gzip -dc -- {root:dump}/*", "To take a dump that is compressed SQL")
        .capability("run:pg_restore --file=- {root:dump}/*", "To take a dump in pg_dump's own format")
        .application("Liquibase on PostgreSQL", "all whose history is in the database")
        .application("Flyway on PostgreSQL", "4 and later")
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

copal_sdk::export!(LiquibasePlugin);
