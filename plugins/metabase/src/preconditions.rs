//! What refuses a restore before a byte is written.

use copal_sdk::service::State as ServiceState;
use copal_sdk::{Failure, Finding, Intent, RestorePlan, RestoreRequest, Step, Trees};

use crate::config::{Config, PROBE};
use crate::encryption::Check;
use crate::facts;
use crate::inspection::{Dialect, Inspection};
use crate::java::H2;
use crate::layout::{DATA, DUMP_STREAM, Database, INSPECTION_STREAM, SQL_STREAM, opened};
use crate::postgres::Postgres;
use crate::version;

/// More than any inspection holds.
const LARGEST: usize = 1 << 20;

/// What a snapshot holds of an application database.
#[derive(Debug)]
pub(crate) enum Saved {
    /// A dump of PostgreSQL.
    Sql,
    /// A dump that Metabase itself made, as an H2 file.
    Dump,
    /// An H2 file.
    File(Database),
}

impl Saved {
    /// What the snapshot holds; none where it holds no database.
    pub(crate) fn find(request: &RestoreRequest<'_, Config>) -> Result<Option<Self>, Failure> {
        let has = |name: &str| request.streams.iter().any(|stream| stream == name);
        if has(SQL_STREAM) {
            return Ok(Some(Self::Sql));
        }
        if has(DUMP_STREAM) {
            return Ok(Some(Self::Dump));
        }
        let Some(data) = request.snapshot.get(DATA) else {
            return Ok(None);
        };
        let path: Option<String> = request.facts.get(facts::H2_PATH)?;
        let config = Config {
            db_file: path.or_else(|| request.config.db_file.clone()),
            ..Config::default()
        };
        Ok(Database::find(&config, data)?.map(Self::File))
    }
}

/// What the database said of itself when it was saved; none where it was not asked.
pub(crate) fn recorded(snapshot: &Trees) -> Result<Option<Inspection>, Failure> {
    let Some(streams) = snapshot.get("streams") else {
        return Ok(None);
    };
    if !streams.exists(INSPECTION_STREAM)? {
        return Ok(None);
    }
    let answers = streams.read_all(INSPECTION_STREAM, LARGEST)?;
    Ok(Inspection::parse(&answers))
}

/// The target's PostgreSQL database; none where a finding says that it can't be reached.
pub(crate) fn target_postgres(
    request: &RestoreRequest<'_, Config>,
    plan: &mut RestorePlan,
    postgres: &Postgres<'_>,
) -> Result<Option<Inspection>, Failure> {
    let output = request
        .probe
        .run(&postgres.run(&Dialect::Postgres.inspect()).timeout(PROBE))?;
    if !output.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or("psql does not say why");
        plan.findings.push(
            Finding::error("metabase.database.unread", format!("The database {} can't be read: {said}.", postgres.title()))
                .remedy("Create the database, and check `db_host`, `db_port`, `db_dbname`, `db_user` and `db_pass`."),
        );
        return Ok(None);
    }
    Ok(Some(Inspection::parse(&output.stdout).unwrap_or_default()))
}

/// What the H2 database of the target says of itself; none where there is no such file, or a finding says that it can't be asked.
pub(crate) fn target_h2(
    request: &RestoreRequest<'_, Config>,
    plan: &mut RestorePlan,
) -> Result<Option<Inspection>, Failure> {
    let config = &request.config;
    let Some(data) = request.targets.get(DATA) else {
        return Ok(None);
    };
    let Some(database) = Database::find(config, data)? else {
        return Ok(None);
    };
    let at = format!("{DATA}/{}", database.file());
    if !database.clean() && config.service()?.is_none() && !config.stopped {
        plan.findings.push(
            Finding::error("metabase.target.running", "The target's database is open or was not closed properly, so Metabase seems to run there.")
                .remedy("Set `container` or `unit` so that it is stopped first, or stop it yourself and set `stopped=true`.")
                .at(at),
        );
        return Ok(None);
    }
    let tools = H2::of(config).filter(|tools| database.clean() && tools.wrong(&database).is_none());
    let answers = match (tools, opened(&data.location(), &database.path)) {
        (Some(tools), Ok(opened)) => {
            let command = tools.ask(opened, &Dialect::H2.inspect());
            Inspection::parse(&request.probe.run(&command.timeout(PROBE))?.stdout)
        }
        _ => None,
    };
    if answers.is_none() {
        plan.findings.push(
            Finding::error("metabase.target.unread", "The target has an H2 database already, and whether anybody works with it can't be told.")
                .remedy("Move it away, or stop Metabase and set `java` and `jar` or `h2_jar` so that it can be asked.")
                .at(at),
        );
    }
    Ok(answers)
}

/// Refuses a target in which people work, unless it is the snapshot's own Metabase that is to be as it was.
pub(crate) fn refuse_users(
    request: &RestoreRequest<'_, Config>,
    plan: &mut RestorePlan,
    saved: Option<&Inspection>,
    there: &Inspection,
) -> Result<(), Failure> {
    let users = there.users.unwrap_or(0);
    let fact: Option<Option<String>> = request.facts.get(facts::SITE)?;
    let site = saved.map_or(fact.flatten(), |saved| saved.site.clone());
    let same = site.is_some() && site == there.site;
    if users == 0 || request.rehearsal || (request.intent == Intent::Recover && same) {
        return Ok(());
    }
    let (code, message) = if request.intent == Intent::Recover {
        (
            "metabase.identity.differs",
            format!(
                "The target is another Metabase than the snapshot's, or can't be told from one, and {users} people have accounts there."
            ),
        )
    } else {
        (
            "metabase.target.users",
            format!("The target's database is in use: {users} people have accounts there."),
        )
    };
    plan.findings.push(Finding::error(code, message).remedy(
        "Restore into an empty database, or into that of a Metabase that nobody has set up yet.",
    ));
    Ok(())
}

/// Refuses a database that is newer than the Metabase that is to run on it.
pub(crate) fn refuse_downgrade(
    request: &RestoreRequest<'_, Config>,
    plan: &mut RestorePlan,
    saved: Option<&Inspection>,
    there: Option<&Inspection>,
) -> Result<(), Failure> {
    let fact: Option<Option<u32>> = request.facts.get(facts::CHANGESET)?;
    let Some(needed) = saved.and_then(|saved| saved.changeset).or(fact.flatten()) else {
        plan.findings.push(
            Finding::warning(
                "metabase.version.unknown",
                "Which version of Metabase the snapshot's database needs is not recorded.",
            )
            .remedy("Run the version on it that it was saved from, or a newer one."),
        );
        return Ok(());
    };
    let release = version::configured(&request.config, request.probe);
    let target = release.as_deref().and_then(version::major);
    let known = target.or_else(|| there.and_then(|there| there.changeset));
    match known {
        Some(known) if known < needed => plan.findings.push(
            Finding::error(
                "metabase.version.downgrade",
                format!("The snapshot's database has changes of version {needed}, but the target's Metabase is of version {known} and can't use it."),
            )
            .remedy(format!("Install Metabase {needed} or newer. (`java -jar metabase.jar migrate down` of the newer version takes a database back by one.)")),
        ),
        Some(_) => {}
        None => plan.findings.push(
            Finding::warning("metabase.version.unknown", format!("The database needs Metabase {needed} or newer; which one will run on it is not known."))
                .remedy("Set `version`, or `java` and `jar`, to have it checked."),
        ),
    }
    Ok(())
}

/// Refuses to restore what nobody could decrypt.
pub(crate) fn refuse_key(
    request: &RestoreRequest<'_, Config>,
    plan: &mut RestorePlan,
    saved: Option<&Inspection>,
) -> Result<(), Failure> {
    let fact: Option<Option<Check>> = request.facts.get(facts::KEY_CHECK)?;
    let known = saved.is_some()
        || request
            .facts
            .get::<Option<bool>>(facts::ENCRYPTED)?
            .flatten()
            .is_some();
    let check = saved.map_or_else(|| fact.flatten(), Inspection::key_check);
    let key = request.config.key();
    match (check, key) {
        (None, _) if !known => plan.findings.push(
            Finding::warning("metabase.key.unknown", "Whether the snapshot's database is encrypted is not recorded.")
                .remedy("If it is, Metabase needs the same MB_ENCRYPTION_SECRET_KEY."),
        ),
        (None, _) => {}
        (Some(check), Some(key)) if check.opens(key) => {}
        (Some(_), Some(_)) => plan.findings.push(
            Finding::error("metabase.key.wrong", "`encryption_key` is not the key that the snapshot's database is encrypted with.")
                .remedy("Set it to the MB_ENCRYPTION_SECRET_KEY of the Metabase that was saved."),
        ),
        (Some(_), None) => plan.findings.push(
            Finding::error("metabase.key.missing", "The snapshot's database is encrypted, and nobody could use it without the key.")
                .remedy("Set `encryption_key` to the MB_ENCRYPTION_SECRET_KEY of the Metabase that was saved, and run the restored one with it too."),
        ),
    }
    Ok(())
}

/// Refuses a jar of H2 that can't open the snapshot's database.
pub(crate) fn refuse_format(plan: &mut RestorePlan, config: &Config, database: &Database) {
    match &database.header {
        Err(error) => plan.findings.push(
            Finding::error("metabase.snapshot.database", format!("The snapshot's database can't be read: {error}."))
                .remedy("Choose another snapshot: `copal snapshots` lists them."),
        ),
        Ok(header) if !header.clean => plan.findings.push(Finding::warning(
            "metabase.h2.forced",
            "The snapshot's database was not closed properly before it was saved; H2 repairs it when it opens it.",
        )),
        Ok(_) => {}
    }
    plan.findings
        .extend(H2::of(config).and_then(|tools| tools.wrong(database)));
}

/// Adds the step that stops the target's Metabase, or refuses where it seems to run. Nothing starts it again: a restore that failed half-way must not
/// run, and one that succeeded is looked at first.
pub(crate) fn stop(
    request: &RestoreRequest<'_, Config>,
    plan: &mut RestorePlan,
    there: Option<&Inspection>,
) -> Result<(), Failure> {
    if request.rehearsal {
        return Ok(());
    }
    let service = request.config.service()?;
    let runs = there.is_some_and(|there| there.alive > 0);
    match service
        .as_ref()
        .map(|service| (service, service.state(request.probe)))
    {
        Some((service, ServiceState::Absent)) => plan.findings.push(service.absent()),
        Some((_, ServiceState::Stopped)) | None => {
            if runs && !request.config.stopped {
                plan.findings.push(
                    Finding::error("metabase.target.running", "A Metabase has used the target's database within the last minute.")
                        .remedy("Set `container` or `unit` so that it is stopped first, or stop it, on every node, and set `stopped=true`."),
                );
            }
        }
        Some((service, state)) => {
            if let ServiceState::Unknown(failure) = state {
                plan.findings.push(service.unasked(&failure));
            }
            let title = format!("Stop {}", service.title());
            plan.before
                .push(Step::new("stop-metabase", title, service.stop()));
        }
    }
    let start = service.map_or_else(
        || "Start Metabase".to_owned(),
        |service| format!("`{}`", service.start().argv.join(" ")),
    );
    plan.findings.push(
        Finding::info(
            "metabase.start",
            "Metabase stays stopped after the restore.",
        )
        .remedy(format!("{start} when you have looked at the result.")),
    );
    Ok(())
}
