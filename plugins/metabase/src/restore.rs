//! Plans a restore.

use copal_sdk::h2::{self, FILE_SUFFIX, releases_of};
use copal_sdk::{
    Command, Failure, Finding, Intent, Placement, RestorePlan, RestoreRequest, Safeguard, Step,
    literal,
};

use crate::config::Config;
use crate::inspection::Dialect;
use crate::java::{self, H2};
use crate::layout::{DATA, DUMP_STREAM, PLUGINS, SQL_STREAM, candidates, opened};
use crate::pass::State;
use crate::postgres::{EMPTY, Postgres};
use crate::preconditions::{
    Saved, recorded, refuse_downgrade, refuse_format, refuse_key, refuse_users, stop, target_h2,
    target_postgres,
};
use crate::sql::{self, Fixups};

/// The step whose output tells what is in the restored database.
pub(crate) const READ_STEP: &str = "read-database";

pub(crate) fn plan(request: &RestoreRequest<'_, Config>) -> Result<RestorePlan, Failure> {
    let config = &request.config;
    config.check()?;
    let mut plan = RestorePlan::new();
    let Some(saved) = Saved::find(request)? else {
        return Err(Failure::missing(
            "metabase.snapshot.empty",
            "the snapshot holds no application database of a Metabase",
        )
        .remedy("choose another snapshot: `copal snapshots` lists them"));
    };
    let recorded = recorded(&request.snapshot)?;
    let postgres = Postgres::of(config);
    let there = match &postgres {
        Some(postgres) => target_postgres(request, &mut plan, postgres)?,
        None => target_h2(request, &mut plan)?,
    };
    if let Some(there) = &there {
        refuse_users(request, &mut plan, recorded.as_ref(), there)?;
    }
    refuse_downgrade(request, &mut plan, recorded.as_ref(), there.as_ref())?;
    refuse_key(request, &mut plan, recorded.as_ref())?;
    stop(request, &mut plan, there.as_ref())?;
    if let (Some(_), Some(_)) = (request.snapshot.get(PLUGINS), request.targets.get(PLUGINS)) {
        plan.placements.push(Placement::tree(PLUGINS));
    }
    announce(request, &mut plan);

    let fixups = Fixups {
        intent: request.intent,
        site_url: config.site_url.as_deref(),
    };
    match (saved, postgres) {
        (Saved::Sql, Some(postgres)) => {
            plan.placements.push(Placement::feed(SQL_STREAM, postgres.psql()).filtered());
            protect(&mut plan, &postgres);
            read_postgres(&mut plan, &postgres);
            return plan.state(&State::Restore(EMPTY.to_owned(), fixups.for_postgres()));
        }
        (Saved::Sql, None) => plan.findings.push(
            Finding::error("metabase.restore.database", "The snapshot holds a dump of PostgreSQL, which needs a PostgreSQL database.")
                .remedy("Set `db_dbname` to an empty database and, where they differ, `db_host`, `db_port` and `db_user`."),
        ),
        (Saved::Dump, Some(postgres)) => {
            let path = "{scratch}/metabase.db";
            plan.placements.push(place_file(&format!("{path}{FILE_SUFFIX}")));
            load(request, &mut plan, &postgres, path, &fixups);
        }
        (Saved::Dump, None) => {
            let Some(data) = request.targets.get(DATA) else {
                plan.findings.push(no_target());
                return plan.state(&State::Backup(None));
            };
            let usual = candidates(config, &data.location());
            let path = usual.first().map_or("metabase.db", String::as_str);
            plan.placements.push(place_file(&format!("{{root:{DATA}}}/{}{FILE_SUFFIX}", literal(path))));
            change_h2(request, &mut plan, path, "H2", &fixups)?;
        }
        (Saved::File(database), postgres) => {
            refuse_format(&mut plan, config, &database);
            let Some(data) = request.targets.get(DATA) else {
                plan.findings.push(no_target());
                return plan.state(&State::Backup(None));
            };
            opened(&data.location(), &database.path)?;
            plan.placements.push(Placement::tree(DATA));
            match postgres {
                Some(postgres) => {
                    let path = format!("{{root:{DATA}}}/{}", literal(&database.path));
                    load(request, &mut plan, &postgres, &path, &fixups);
                }
                None => {
                    let releases = database.header.as_ref().map_or("H2", |header| releases_of(header.format));
                    change_h2(request, &mut plan, &database.path, releases, &fixups)?;
                }
            }
        }
    }
    plan.state(&State::Backup(None))
}

fn no_target() -> Finding {
    Finding::error("metabase.restore.target", "The snapshot holds an H2 database, for which no place is given.")
        .remedy(format!("Add `--to {DATA}=DIR` with the folder that Metabase has its database in, or would have it in."))
}

/// Says what the intent means for whoever uses the restored Metabase.
fn announce(request: &RestoreRequest<'_, Config>, plan: &mut RestorePlan) {
    if request.intent == Intent::Clone {
        plan.findings.push(
            Finding::info("metabase.clone.paused", "The clone has an identity of its own, and its scheduler is paused: it sends no subscriptions and alerts beside the original.")
                .remedy(format!("When it may, run on its database, and start it again: {}", sql::resume_clone())),
        );
    }
    if request.intent == Intent::Migrate && request.config.site_url.is_none() {
        plan.findings.push(
            Finding::info(
                "metabase.site-url",
                "Links that Metabase sends keep their address (site-url).",
            )
            .remedy("Set `site_url` if users will reach it at another."),
        );
    }
}

/// Writes the dump that Metabase made as a file.
fn place_file(path: &str) -> Placement {
    let words = [
        "dd",
        &format!("of={path}"),
        "bs=1M",
        "conv=fsync",
        "status=none",
    ]
    .map(str::to_owned);
    Placement::feed(DUMP_STREAM, Command::new(words).timeout(604_800))
}

/// Says how what the target's database holds is saved and put back.
fn protect(plan: &mut RestorePlan, postgres: &Postgres<'_>) {
    let (save, put_back) = (postgres.replacing_dump(), postgres.psql());
    plan.safeguards
        .push(Safeguard::new(SQL_STREAM, save, put_back));
}

fn read_postgres(plan: &mut RestorePlan, postgres: &Postgres<'_>) {
    let command = postgres.run(&Dialect::Postgres.inspect());
    plan.after
        .push(Step::new(READ_STEP, "Read what is in the restored database", command).captured());
}

/// Has Metabase load an H2 database into PostgreSQL, and gives that what a restored one needs.
fn load(
    request: &RestoreRequest<'_, Config>,
    plan: &mut RestorePlan,
    postgres: &Postgres<'_>,
    path: &str,
    fixups: &Fixups<'_>,
) {
    let Some(command) = java::metabase(&request.config, postgres, "load-from-h2", path) else {
        plan.findings.push(
            Finding::error("metabase.restore.jar", "The snapshot holds an H2 database, which Metabase itself has to load into PostgreSQL.")
                .remedy("Set `java` and `jar`, or leave `db_dbname` out to restore it as a file."),
        );
        return;
    };
    protect(plan, postgres);
    plan.after.push(Step::new(
        "empty-database",
        format!("Empty the database {}", postgres.title()),
        postgres.run(EMPTY),
    ));
    plan.after.push(Step::new(
        "load-from-h2",
        "Have Metabase load the data into PostgreSQL",
        command,
    ));
    plan.after.push(Step::new(
        "change-database",
        "Give the database what a restored one needs",
        postgres.run(&fixups.for_postgres()),
    ));
    read_postgres(plan, postgres);
}

/// The changes inside an H2 database, run by the host where Java is configured, else told to the operator.
fn change_h2(
    request: &RestoreRequest<'_, Config>,
    plan: &mut RestorePlan,
    path: &str,
    releases: &str,
    fixups: &Fixups<'_>,
) -> Result<(), Failure> {
    let location = request.targets.get(DATA).map(|data| data.location());
    let location = location.unwrap_or_default();
    let database = opened(&location, path)?;
    let Some(tools) = H2::of(&request.config) else {
        let there = h2::Database::new(format!("{location}/{path}"), [])?;
        let url = there.url().replace('\'', r"'\''");
        plan.findings.push(
            Finding::warning("metabase.sql.by-hand", "The database has to be changed too, before Metabase starts for the first time.")
                .remedy(format!(
                    "Set `java`, and `jar` or `h2_jar`, to have it done. Or save the lines below as changes.sql and run, with a jar of {releases}: \
                     java -cp H2.jar org.h2.tools.RunScript -url '{url}' -script changes.sql\n{}",
                    fixups.for_h2()
                )),
        );
        return Ok(());
    };
    plan.after.push(Step::new(
        "change-database",
        "Give the database what a restored one needs",
        tools.run(&database, &fixups.for_h2()),
    ));
    plan.after.push(
        Step::new(
            READ_STEP,
            "Read what is in the restored database",
            tools.ask(database, &Dialect::H2.inspect()),
        )
        .captured(),
    );
    Ok(())
}
