//! Plans a backup.

use copal_sdk::h2::{self, FILE_SUFFIX};
use copal_sdk::service::State as ServiceState;
use copal_sdk::{
    BackupPlan, BackupRequest, Command, CopyEntry, Failure, Finding, Location, Source, Step,
};
use serde::Serialize;
use serde_json::json;

use crate::config::{Config, PROBE};
use crate::facts;
use crate::inspection::{Dialect, Inspection};
use crate::java::{self, H2};
use crate::layout::{
    DATA, DUMP_STREAM, Database, INSPECTION_STREAM, PLUGINS, SQL_STREAM, candidates, opened,
};
use crate::pass::{Guard, State};
use crate::postgres::Postgres;
use crate::quiesce;
use crate::sql;
use crate::version;

/// The copy of an H2 database, and a dump to H2, in the scratch folder, without suffix.
const COPY: &str = "metabase.db";

/// Why nothing changes while the data is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Consistency {
    /// The plan stops Metabase.
    Stopped,
    /// The operator says that Metabase is stopped, or it was found so.
    Idle,
    /// The plan makes Metabase read-only and pauses its scheduler.
    ReadOnly,
    /// The database was closed while planning, and the pass watches that it is when it is read.
    Closed,
}

pub(crate) fn plan(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
    let config = &request.config;
    config.check()?;
    let mut plan = BackupPlan::new();
    if request.roots.get(PLUGINS).is_some() {
        plan.sources.push(Source::tree(PLUGINS));
    }
    match Postgres::of(config) {
        Some(postgres) => of_postgres(plan, request, &postgres),
        None => of_h2(plan, request),
    }
}

/// Adds the step that stops the service, if it runs: whether the plan or the operator sees to it that nothing changes, or none does.
fn stop(
    plan: &mut BackupPlan,
    request: &BackupRequest<'_, Config>,
) -> Result<Option<Consistency>, Failure> {
    let stopped = request.config.stopped.then_some(Consistency::Idle);
    let Some(service) = request.config.service()? else {
        return Ok(stopped);
    };
    match service.state(request.probe) {
        ServiceState::Stopped => return Ok(Some(Consistency::Idle)),
        ServiceState::Absent => plan.findings.push(service.absent()),
        ServiceState::Running => {}
        ServiceState::Unknown(failure) => plan.findings.push(service.unasked(&failure)),
    }
    let title = format!("Stop {}", service.title());
    plan.quiesce
        .push(Step::new("stop-metabase", title, service.stop()).undo(service.start()));
    Ok(Some(Consistency::Stopped))
}

fn of_postgres(
    mut plan: BackupPlan,
    request: &BackupRequest<'_, Config>,
    postgres: &Postgres<'_>,
) -> Result<BackupPlan, Failure> {
    let config = &request.config;
    let inspect = Dialect::Postgres.inspect();
    let output = request.probe.run(&postgres.run(&inspect).timeout(PROBE))?;
    let Some(inspection) = Inspection::parse(&output.stdout) else {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said
            .lines()
            .next()
            .unwrap_or("it has no table databasechangelog");
        plan.sources
            .push(Source::stream(SQL_STREAM, postgres.dump()));
        plan.findings.push(
            Finding::error("metabase.database.unread", format!("The database {} can't be read as a Metabase's: {said}.", postgres.title()))
                .remedy("Check `db_host`, `db_port`, `db_dbname`, `db_user` and `db_pass` against the variables MB_DB_… of Metabase."),
        );
        return Ok(plan);
    };
    findings(&mut plan, config, &inspection);
    let dumped = config.metabase().is_some();
    let consistency = match stop(&mut plan, request)? {
        Some(consistency) => consistency,
        None => {
            plan.quiesce
                .extend(quiesce::steps(config, postgres, &inspection));
            Consistency::ReadOnly
        }
    };
    plan.sources
        .push(Source::stream(INSPECTION_STREAM, postgres.run(&inspect)));
    let dump = java::metabase(
        config,
        postgres,
        "dump-to-h2",
        &format!("{{scratch}}/{COPY}"),
    );
    match dump {
        Some(command) => {
            plan.quiesce.push(Step::new(
                "dump-to-h2",
                "Have Metabase dump its application database to H2",
                command,
            ));
            if consistency == Consistency::ReadOnly {
                plan.quiesce.push(Step::new(
                    "assert-read-only",
                    "See that Metabase was read-only all the time",
                    postgres.run(sql::ASSERT_READ_ONLY),
                ));
            }
            let file = format!("{{scratch}}/{COPY}{FILE_SUFFIX}");
            plan.sources.push(
                Source::stream(DUMP_STREAM, Command::new(["cat", &file]).timeout(604_800)).live(),
            );
        }
        None => plan
            .sources
            .push(Source::stream(SQL_STREAM, postgres.dump())),
    }
    if dumped {
        refuse_other_jar(&mut plan, request, &inspection);
        plan.findings.push(Finding::info(
            "metabase.dump.h2",
            "Metabase dumps its database itself, to H2: without the state of its scheduler, its query cache and its history of schema changes.",
        ).remedy("Leave `jar` out to have everything saved by pg_dump."));
    }
    record(&mut plan, request, Some(&inspection));
    plan.fact(facts::DATABASE, "postgres")
        .fact(facts::CONSISTENCY, json!(consistency))
        .state(&State::Backup(None))
}

fn of_h2(mut plan: BackupPlan, request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
    let config = &request.config;
    let Some(data) = request.roots.get(DATA) else {
        return Err(Failure::missing(
            "metabase.root",
            "neither the root `data` nor the PostgreSQL database `db_dbname` is given",
        )
        .remedy("give the folder that holds metabase.db.mv.db, or set `db_dbname` and, where they differ, `db_host`, `db_port` and `db_user`"));
    };
    let Some(database) = Database::find(config, data)? else {
        let looked: Vec<_> = candidates(config, &data.location())
            .iter()
            .map(|path| format!("{path}{FILE_SUFFIX}"))
            .collect();
        return Err(Failure::missing(
            "metabase.not-found",
            format!(
                "{} holds no H2 database of a Metabase: {} is not there",
                data.location(),
                looked.join(" nor ")
            ),
        )
        .remedy("give the folder that holds it, or set `db_file` as MB_DB_FILE"));
    };
    let at = format!("{DATA}/{}", database.file());
    plan.sources.push(Source::tree(DATA));
    let consistency = match stop(&mut plan, request)? {
        Some(consistency) => consistency,
        None => {
            plan.findings.push(if database.clean() {
                Finding::warning(
                    "metabase.h2.closed",
                    "The database is closed, so Metabase does not run now. It has to stay so until the backup is done; should it be opened before, the snapshot will be marked incomplete.",
                )
                .remedy("Set `container` or `unit` so that Metabase is stopped for you, or `stopped=true` to say that you stopped it.")
            } else {
                Finding::error(
                    "metabase.h2.unclean",
                    "The database is open or was not closed properly, and a copy of an open H2 database is silently stale.",
                )
                .remedy("Set `container` or `unit` so that Metabase is stopped while its files are read, or stop it yourself and set `stopped=true`.")
                .at(&at)
            });
            Consistency::Closed
        }
    };
    let guard = match consistency {
        Consistency::Closed => Guard::Refuse,
        _ if database.clean() => Guard::Refuse,
        _ => Guard::Warn,
    };
    if let Err(error) = &database.header {
        plan.findings.push(
            Finding::error(
                "metabase.h2.header",
                format!("The database's header can't be read: {error}."),
            )
            .remedy("Check with Metabase that the database opens.")
            .at(&at),
        );
    }
    let mut inspection = None;
    match H2::of(config) {
        None => plan.findings.push(
            Finding::warning("metabase.inspection.none", "Without Java and a jar, the database's version and whether it is encrypted are not recorded, so a restore can't check them.")
                .remedy("Set `java`, and `jar` to metabase.jar or `h2_jar` to a jar of H2."),
        ),
        Some(tools) => match tools.wrong(&database) {
            Some(finding) => plan.findings.push(finding),
            None => {
                if consistency != Consistency::Stopped && database.clean() {
                    inspection = ask(request, &tools, &database)?;
                }
                plan.quiesce.push(Step::new(
                    "copy-database",
                    "Copy the database, so that Metabase need not wait until it has been asked what is in it",
                    CopyEntry {
                        from: Location::root(DATA, database.file()),
                        to: Location::scratch(format!("{COPY}{FILE_SUFFIX}")),
                    },
                ));
                let copy = h2::Database::new(format!("{{scratch}}/{COPY}"), [])?;
                let command = tools.ask(copy, &Dialect::H2.inspect());
                plan.sources.push(Source::stream(INSPECTION_STREAM, command).live());
            }
        },
    }
    if let Some(inspection) = &inspection {
        findings(&mut plan, config, inspection);
    }
    record(&mut plan, request, inspection.as_ref());
    plan.fact(facts::DATABASE, "h2")
        .fact(facts::CONSISTENCY, json!(consistency))
        .fact(facts::H2_PATH, database.path.as_str())
        .fact(
            "h2Format",
            database.header.as_ref().ok().map(|header| header.format),
        )
        .state(&State::Backup(Some((database.file(), guard))))
}

/// Refuses to have another release dump the database: it would first bring the running Metabase's database to its own schema, which a minor release
/// may change too.
fn refuse_other_jar(
    plan: &mut BackupPlan,
    request: &BackupRequest<'_, Config>,
    inspection: &Inspection,
) {
    let config = &request.config;
    let jar = version::configured(config, request.probe);
    let runs = version::running(config, request.probe).or_else(|| config.version.clone());
    let bare = |release: &Option<String>| {
        let release = release.as_deref()?;
        Some(release.strip_prefix('v').unwrap_or(release).to_owned())
    };
    let same = bare(&jar).is_some() && bare(&jar) == bare(&runs);
    if same && jar.as_deref().and_then(version::major) == inspection.changeset {
        return;
    }
    let shown = |release: Option<String>| release.unwrap_or_else(|| "unknown".to_owned());
    let major = inspection.changeset.map(|major| major.to_string());
    plan.findings.push(
        Finding::error(
            "metabase.jar.version",
            format!(
                "`jar` might change the schema of the running Metabase's database before it dumps it: the jar's release is {}, that of the Metabase that runs is {}, the database's major version {}.",
                shown(jar),
                shown(runs),
                shown(major)
            ),
        )
        .remedy("Set `jar` to that of the Metabase that runs, and `version` to its release or `api_url` and `api_key` to have it asked; or leave `jar` out."),
    );
}

/// What a closed database says of itself.
fn ask(
    request: &BackupRequest<'_, Config>,
    tools: &H2<'_>,
    database: &Database,
) -> Result<Option<Inspection>, Failure> {
    let location = request.roots.get(DATA).map(|data| data.location());
    let Ok(opened) = opened(&location.unwrap_or_default(), &database.path) else {
        return Ok(None);
    };
    let command = tools.ask(opened, &Dialect::H2.inspect());
    let output = request.probe.run(&command.timeout(PROBE))?;
    Ok(Inspection::parse(&output.stdout))
}

/// What the operator should know of the database that is about to be saved.
fn findings(plan: &mut BackupPlan, config: &Config, inspection: &Inspection) {
    if inspection.changing > 0 {
        plan.findings.push(
            Finding::error("metabase.changing", "The lock of the schema's migration is held: Metabase is being upgraded, or was ended in the middle of it.")
                .remedy("Wait until the new version has started. If nothing is starting, run `java -jar metabase.jar migrate release-locks` and start Metabase."),
        );
    }
    if inspection.quiesced {
        plan.findings.push(Finding::warning(
            "metabase.paused",
            "An earlier backup was cut off and left Metabase read-only with its scheduler paused. This one lets it go on when it is done.",
        ).remedy("`copal resume` does it at once."));
    } else if inspection
        .read_only
        .as_deref()
        .is_some_and(|value| value != "false")
    {
        plan.findings.push(Finding::info(
            "metabase.read-only",
            "Metabase is in read-only mode already, and is left so; a restored one can be written to.",
        ));
    }
    if inspection.nodes > 1 {
        plan.findings.push(Finding::info(
            "metabase.cluster",
            format!(
                "Metabase's scheduler knows of {} nodes, so this is a cluster.",
                inspection.nodes
            ),
        ));
    }
    let Some(check) = inspection.key_check() else {
        return;
    };
    plan.findings.push(match config.key() {
        Some(key) if check.opens(key) => Finding::info(
            "metabase.key.needed",
            "The database's secrets are encrypted with `encryption_key`, which a restore needs. It is not in the snapshot.",
        ),
        Some(_) => Finding::error("metabase.key.wrong", "`encryption_key` is not the key that the database is encrypted with.")
            .remedy("Set it to the value of MB_ENCRYPTION_SECRET_KEY that Metabase runs with."),
        None if config.metabase().is_some() && config.db_dbname.is_some() => {
            Finding::error("metabase.key.missing", "The database is encrypted, and Metabase can't dump it without the key.")
                .remedy("Set `encryption_key` to the value of MB_ENCRYPTION_SECRET_KEY.")
        }
        None => Finding::warning(
            "metabase.key.needed",
            "The database's secrets are encrypted. A restore needs the key, MB_ENCRYPTION_SECRET_KEY, which is not in the snapshot.",
        )
        .remedy("Keep the key where it outlives this machine."),
    });
}

fn record(
    plan: &mut BackupPlan,
    request: &BackupRequest<'_, Config>,
    inspection: Option<&Inspection>,
) {
    let release = version::running(&request.config, request.probe)
        .or_else(|| version::configured(&request.config, request.probe));
    let check = inspection.and_then(Inspection::key_check);
    let mut fact = |name: &str, value: serde_json::Value| {
        plan.facts.push(copal_sdk::Fact::new(name, value));
    };
    fact(facts::VERSION, json!(release));
    fact(
        facts::CHANGESET,
        json!(inspection.and_then(|answers| answers.changeset)),
    );
    fact(facts::ENCRYPTED, json!(inspection.map(|_| check.is_some())));
    fact(facts::KEY_CHECK, json!(check));
    fact(
        facts::SITE,
        json!(inspection.and_then(|answers| answers.site.as_ref())),
    );
}
