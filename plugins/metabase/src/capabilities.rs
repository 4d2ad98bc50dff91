//! What the plugin may have done, beside what all do that work with a service.

use copal_sdk::Description;

/// The words of `psql` after the program.
const PSQL: &str = "-X -w -q -A -t -v ON_ERROR_STOP=1 -p * [-h *] [-U *] -d * -f -";

/// The words of `pg_dump` after the program.
const PG_DUMP: &str = "--no-password --no-owner --no-privileges --no-comments --exclude-table-data=query_cache -p * [-h *] [-U *] -d *";

/// The words of Java that run H2's tool after its program.
const RUN_SCRIPT: &str = "-cp {setting:h2_jar|jar} org.h2.tools.RunScript";

/// The variables and words of Java that run Metabase's own commands.
const METABASE: &str = "MB_DB_DBNAME= MB_DB_HOST= [MB_DB_PASS=] MB_DB_PORT= MB_DB_TYPE= [MB_DB_USER=] [MB_ENCRYPTION_SECRET_KEY=] \
    {setting:java} --add-opens java.base/java.nio=ALL-UNNAMED -jar {setting:jar}";

/// Adds them to the plugin's description.
pub(crate) fn declare(description: Description) -> Description {
    // The programs stand in settings where they are not just these.
    let description = ["psql", "{setting:psql}"].iter().fold(description, |description, psql| {
        description
            .capability(
                format!("probe:[PGPASSWORD=] {psql} {PSQL}"),
                "To see what is in the application database in PostgreSQL",
            )
            .capability(
                format!("run:[PGPASSWORD=] {psql} {PSQL}"),
                "To record what is in the application database in PostgreSQL, to restore it, and to pause a Metabase",
            )
            .capability(
                format!("run:PGPASSFILE= {psql} {PSQL}"),
                "The same for what has to be taken back, with the password in a file",
            )
    });
    let description = ["pg_dump", "{setting:pg_dump}"].iter().fold(description, |description, pg_dump| {
        description
            .capability(
                format!("run:[PGPASSWORD=] {pg_dump} {PG_DUMP}"),
                "To dump the application database",
            )
            .capability(
                format!(r#"run:[PGPASSWORD=] sh -ec 'cat; "$@"; echo "COMMIT;"' sh {pg_dump} {PG_DUMP}"#),
                "To save what the target's database holds as one transaction that puts it back, where a migration may be rolled back",
            )
    });
    description
        .capability("run:curl --config {scratch}/read-only.curl", "To tell the Metabase at `api_url` that it is read-only")
        .capability("run:curl --config {scratch}/writable.curl", "To tell it that it is not any more")
        .capability("probe:curl -fsS --max-time 20 */api/session/properties", "To ask the Metabase at `api_url` for its version")
        .capability("run:sleep *", "To wait until every node has noticed the read-only mode")
        .capability("probe:{setting:java} -jar {setting:jar} version", "To ask `jar` for its version")
        .capability(format!("run:{METABASE} dump-to-h2 {{scratch}}/metabase.db"), "To have Metabase dump its application database to H2")
        .capability(format!("run:{METABASE} load-from-h2 *"), "To have Metabase load its application database from H2")
        .capability("run:cat {scratch}/metabase.db.mv.db", "To store the dump that Metabase made")
        .capability("run:dd of={scratch}/metabase.db.mv.db bs=1M conv=fsync status=none", "To put that dump where Metabase loads it from")
        .capability("run:dd of={root:data}/* bs=1M conv=fsync status=none", "To put that dump in its place")
        .capability(
            format!("probe:{{setting:java}} {RUN_SCRIPT} -url jdbc:h2:{{root:data}}/* -script /dev/stdin -showResults -continueOnError"),
            "To read what is in an H2 database",
        )
        .capability(
            format!("run:{{setting:java}} {RUN_SCRIPT} -url jdbc:h2:{{root:data}}/* -script /dev/stdin -showResults [-continueOnError]"),
            "To give a restored H2 database what it needs, and to read what is in it",
        )
        .capability(
            format!("run:{{setting:java}} {RUN_SCRIPT} -url jdbc:h2:{{scratch}}/* -script /dev/stdin -showResults -continueOnError"),
            "To read what is in a copy of an H2 database",
        )
}
