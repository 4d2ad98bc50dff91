//! Plans a restore: data, lock, migration, proof that nothing is pending, start.

use copal_sdk::{
    Command, Failure, Feed, Finding, Fragment, Placement, PlacementContent, RestorePlan,
    RestoreRequest, Safeguard, Step, literal,
};

use crate::compare::{self, Comparison, Severe};
use crate::config::Config;
use crate::history::{History, Survey, qualified};
use crate::pass::State;
use crate::postgres::{Database, text};
use crate::recorder;
use crate::{CHANGELOG, STREAM, STREAMS, facts};

/// The step whose answer `verify` reads.
pub(crate) const PENDING_STEP: &str = "nothing-pending";

pub(crate) fn plan(request: &RestoreRequest<'_, Config>) -> Result<RestorePlan, Failure> {
    let config = &request.config;
    config.check()?;
    if !request.streams.iter().any(|stream| stream == STREAM) {
        let message =
            format!("the snapshot holds no stream {STREAM}, so there is no database to restore");
        let missing = Failure::missing("liquibase.history.missing", message);
        return Err(missing.remedy("restore a snapshot that this plugin made"));
    }
    let history = history(request)?;
    let database = Database::of(config)?;
    let survey = Survey::of(&database, config, request.probe)?;

    let mut plan = RestorePlan::new();
    if history.is_none() {
        plan.findings.push(Finding::info(
            "liquibase.history.later",
            "The dump's history is compared with the changelog when there is a snapshot of it.",
        ));
    }
    place(&mut plan, request, &database, &survey)?;
    check_failed(&mut plan, config, &history);
    let compared = match request.targets.get(CHANGELOG) {
        Some(tree) => Some(compare::compare(tree, config, &history)?),
        None => {
            let message = "What the application's changelog holds was not compared with the history of the snapshot.";
            let code = "liquibase.changelog.unseen";
            plan.findings.push(match config.migrate.is_empty() && !starts(request) {
                true => Finding::warning(code, message),
                false => Finding::error(code, format!("{message} So it could not be proved that nothing is pending before the application starts.")),
            }.remedy("Add --to changelog=DIR with the folder of the new release's changelog."));
            None
        }
    };
    if let Some(compared) = &compared {
        plan.findings
            .extend(compared.findings(match config.allow_unexpected {
                true => Severe::Never,
                false => Severe::Unexpected,
            }));
    }
    clear_lock(&mut plan, &database, &history);
    let migrated = migrate(&mut plan, request, &history)?;
    if (migrated || starts(request))
        && let Some(compared) = &compared
    {
        nothing_pending(&mut plan, &database, &history, compared);
    }
    start(&mut plan, request);
    plan.state(&State::Restore {
        replace: config.replace,
    })
}

/// The history that the dump holds. A migration is also planned before there is a dump; then it is the one that the database has, if that is known.
fn history(request: &RestoreRequest<'_, Config>) -> Result<History, Failure> {
    match request.snapshot.get(STREAMS) {
        Some(streams) => recorder::read(streams, STREAM),
        None => Ok(request.facts.get(facts::HISTORY)?.unwrap_or_default()),
    }
}

/// Feeds the dump, if the database may take it.
fn place(
    plan: &mut RestorePlan,
    request: &RestoreRequest<'_, Config>,
    database: &Database<'_>,
    survey: &Survey,
) -> Result<(), Failure> {
    let config = &request.config;
    if survey.objects > 0 {
        let holds = format!(
            "The database {} holds {} tables, views, functions and the like",
            database.shown(),
            survey.objects
        );
        plan.findings.push(if config.replace {
            Finding::warning(
                "liquibase.target.replaced",
                format!("{holds}; all of it is dropped, in one transaction with the restore."),
            )
        } else {
            Finding::error("liquibase.target.not-empty", format!("{holds}.")).remedy(
                "Restore into a new database, or set `replace=true` to lose what this one holds.",
            )
        });
    }
    let saved: Option<u32> = request.facts.get(facts::SERVER_VERSION)?;
    if saved.is_some_and(|saved| saved / 10_000 > survey.version / 10_000) {
        plan.findings.push(Finding::warning(
            "liquibase.target.older",
            format!(
                "The server is PostgreSQL {}, older than the {} that the dump is from; it may not understand all of it.",
                survey.version / 10_000,
                saved.unwrap_or_default() / 10_000
            ),
        ));
    }
    plan.placements.push(Placement {
        name: "database".to_owned(),
        after: Vec::new(),
        content: PlacementContent::Feed(Feed {
            name: STREAM.to_owned(),
            command: database.psql().timeout(config.timeout),
            filter: true,
        }),
    });
    plan.safeguards.push(Safeguard::new(
        STREAM,
        database.replacing_dump(),
        database.psql().timeout(config.timeout),
    ));
    Ok(())
}

/// Flyway migrates nothing behind a migration that failed.
fn check_failed(plan: &mut RestorePlan, config: &Config, history: &History) {
    let migrations = history.flyway.iter().flat_map(|flyway| &flyway.migrations);
    for failed in migrations.filter(|installed| !installed.success) {
        let message = format!(
            "In the snapshot the migration {} had failed and was left half done.",
            failed.script
        );
        plan.findings.push(if config.migrate.is_empty() {
            Finding::warning("liquibase.flyway.failed", message)
        } else {
            Finding::error("liquibase.flyway.failed", message).remedy(
                "Mend the source, run `flyway repair` there and back up again; or leave `migrate` out, and mend the restored database.",
            )
        });
    }
}

/// Only here, where the database is fresh and no application knows it yet, is the lock known to be nobody's.
fn clear_lock(plan: &mut RestorePlan, database: &Database<'_>, history: &History) {
    let Some(liquibase) = history
        .liquibase
        .as_ref()
        .filter(|liquibase| liquibase.has_lock)
    else {
        return;
    };
    if let Some(lock) = &liquibase.lock {
        plan.findings.push(Finding::info(
            "liquibase.lock.stale",
            format!(
                "In the snapshot the lock is held by {}; it is cleared.",
                lock.shown()
            ),
        ));
    }
    let table = qualified(&liquibase.schema, &format!("{}lock", liquibase.table));
    let sql = format!("UPDATE {table} SET locked = false, lockgranted = NULL, lockedby = NULL;\n");
    plan.after.push(Step::new(
        "clear-lock",
        "Clear Liquibase's lock in the restored database",
        database.psql().stdin([literal(&sql)]),
    ));
}

/// Adds the migration's step; whether there is one.
fn migrate(
    plan: &mut RestorePlan,
    request: &RestoreRequest<'_, Config>,
    history: &History,
) -> Result<bool, Failure> {
    let config = &request.config;
    if config.migrate.is_empty() {
        return Ok(false);
    }
    let url = match config.url() {
        Some(url) if !request.rehearsal || config.jdbc_url.is_none() => url,
        _ if request.rehearsal => {
            plan.findings.push(
                Finding::info(
                    "liquibase.migrate.rehearsal",
                    "The migration is left out of the rehearsal: it can't reach the scratch database, or `jdbc_url` leads to the real one.",
                )
                .remedy("Give the rehearsal a `host` and `port` of its own that Java can connect to, and no `jdbc_url`."),
            );
            return Ok(false);
        }
        _ => {
            return Err(Failure::invalid_config(
                "liquibase.config.url",
                "where the migration finds the database is not known: there is no `host`, or it is a socket's directory",
            )
            .remedy("set `host`, or `jdbc_url`"));
        }
    };
    let mut command = Command::new(&config.migrate).timeout(config.migrate_timeout);
    let by_liquibase = match history.is_none() {
        true => config.changelog.is_some(),
        false => history.liquibase.is_some(),
    };
    let (url_name, user_name, password_name) = match by_liquibase {
        true => (
            "LIQUIBASE_COMMAND_URL",
            "LIQUIBASE_COMMAND_USERNAME",
            "LIQUIBASE_COMMAND_PASSWORD",
        ),
        false => ("FLYWAY_URL", "FLYWAY_USER", "FLYWAY_PASSWORD"),
    };
    command = command.env(url_name, [literal(&url)]);
    if let Some(user) = &config.user {
        command = command.env(user_name, [literal(user)]);
    }
    if let Some(password) = &config.password {
        command = command.env(password_name, [Fragment::secret(&password.0)]);
    }
    for (name, secret) in &config.migrate_secrets {
        command = command.env(name, [Fragment::secret(&secret.0)]);
    }
    plan.after.push(Step::new(
        "migrate",
        "Migrate the restored database",
        command,
    ));
    Ok(true)
}

/// Fails where the migration left something out, so that the application is not started. An application is ahead of its database then.
fn nothing_pending(
    plan: &mut RestorePlan,
    database: &Database<'_>,
    history: &History,
    compared: &Comparison,
) {
    let json = |value: &serde_json::Value| text(&value.to_string());
    let mut looks = Vec::new();
    if let Some(liquibase) = &history.liquibase {
        looks.push(format!(
            "SELECT (e->>0) || '::' || (e->>1) || '::' || (e->>2) FROM jsonb_array_elements({}::jsonb) e WHERE NOT EXISTS \
             (SELECT FROM {} h WHERE h.filename = e->>0 AND h.id = e->>1 AND h.author = e->>2)",
            json(&compared.expected_change_sets()),
            qualified(&liquibase.schema, &liquibase.table)
        ));
    }
    if let Some(flyway) = &history.flyway {
        let table = qualified(&flyway.schema, &flyway.table);
        looks.push(format!(
            "SELECT e->>0 FROM jsonb_array_elements({}::jsonb) e WHERE NOT EXISTS (SELECT FROM {table} h WHERE h.success \
             AND h.version IS NOT DISTINCT FROM e->>1 AND (h.version IS NOT NULL OR h.description = e->>2))",
            json(&compared.expected_migrations())
        ));
        looks.push(format!("SELECT script FROM {table} WHERE NOT success"));
    }
    let sql = format!(
        "CREATE TEMPORARY TABLE copal_pending (missing) AS {};\n\
         DO $$ DECLARE n bigint; first text; BEGIN SELECT count(*), min(missing) INTO n, first FROM copal_pending; \
         IF n > 0 THEN RAISE EXCEPTION '% pending, such as %', n, first; END IF; END $$;\nSELECT count(*) FROM copal_pending;\n",
        looks.join(" UNION ALL ")
    );
    let step = Step::new(
        PENDING_STEP,
        "See that nothing is pending",
        database.psql().stdin([literal(&sql)]),
    );
    plan.after.push(step.captured());
}

/// Whether the application is started at the end.
fn starts(request: &RestoreRequest<'_, Config>) -> bool {
    !request.config.start.is_empty() && !request.rehearsal
}

fn start(plan: &mut RestorePlan, request: &RestoreRequest<'_, Config>) {
    if starts(request) {
        let command = Command::new(&request.config.start);
        plan.after
            .push(Step::new("start", "Start the application", command));
    }
}
