//! Plans a backup.

use copal_sdk::{
    BackupPlan, BackupRequest, Command, Failure, Finding, Source, Step, Tree, Trees, WaitUntil,
    literal,
};
use serde_json::json;

use crate::config::{Config, OnLock};
use crate::history::{History, Survey, lock_table, qualified};
use crate::pass::State;
use crate::postgres::Database;
use crate::recorder::{Recording, no_history};
use crate::{CHANGELOG, DUMP, STREAM, compare, facts};

/// Seconds between two looks at the lock.
const LOOK: u32 = 5;

pub(crate) fn plan(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
    let config = &request.config;
    config.check()?;
    let plan = match request.roots.get(DUMP) {
        Some(root) => of_dump(config, root)?,
        None => of_database(request)?,
    };
    plan.state(&State::Backup(Recording {
        table: config.history_table.clone(),
        schema: config.schema.clone(),
        ignore_lock: config.lock == OnLock::Ignore,
    }))
}

/// Dumps the database.
fn of_database(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
    let config = &request.config;
    let database = Database::of(config)?;
    let survey = Survey::of(&database, config, request.probe)?;
    let history = History::of(&database, config, &survey, request.probe)?;
    if history.is_none() {
        return Err(no_history(&format!("the database {}", database.shown())));
    }
    let mut plan = BackupPlan::new();
    lock(&mut plan, config, &database, &history);
    describe(&mut plan, &history);
    compare_with_changelog(&mut plan, &request.roots, config, &history)?;
    if history.len() <= facts::SHORT {
        plan = plan.fact(facts::HISTORY, json!(history));
    }
    Ok(plan
        .fact(facts::SERVER_VERSION, survey.version)
        .fact(facts::DATABASE, database.shown())
        .fact(facts::TOOLS, json!(tools(&history)))
        .source(Source::stream(STREAM, database.pg_dump()).filtered()))
}

/// What a held lock means, and the step that waits for it.
fn lock(plan: &mut BackupPlan, config: &Config, database: &Database<'_>, history: &History) {
    let Some(liquibase) = &history.liquibase else {
        return;
    };
    if config.lock == OnLock::Wait && liquibase.has_lock {
        let table = qualified(&liquibase.schema, &lock_table(config));
        let raise = format!(
            "DO $$ BEGIN IF EXISTS (SELECT FROM {table} WHERE locked) THEN RAISE EXCEPTION 'the lock is held'; END IF; END $$;\n"
        );
        let free = database.psql().stdin([literal(&raise)]);
        plan.quiesce.push(Step::new(
            "wait-for-lock",
            "Wait until no migration runs",
            WaitUntil::new(free, LOOK, config.lock_timeout),
        ));
    }
    let Some(held) = &liquibase.lock else { return };
    let held = held.shown();
    plan.findings.push(match config.lock {
        OnLock::Refuse => Finding::error("liquibase.lock.held", format!("A migration runs: the lock is held by {held}."))
            .remedy(
                "Back up when it is over, or set `lock=wait`. If whoever held it is gone, run `liquibase release-locks`, or set `lock=ignore`.",
            ),
        OnLock::Wait => Finding::info(
            "liquibase.lock.waiting",
            format!("The lock is held by {held}; the backup waits for it, {} s at most.", config.lock_timeout),
        ),
        OnLock::Ignore => Finding::warning(
            "liquibase.lock.ignored",
            format!("The lock is held by {held}. If a migration runs nevertheless, the dump holds the state between two of its change sets."),
        ),
    });
}

/// Says what history goes into the snapshot.
fn describe(plan: &mut BackupPlan, history: &History) {
    if let Some(liquibase) = &history.liquibase {
        let last = liquibase.change_sets.last();
        let last = last.map(|ran| format!("; the last is {}", ran.shown()));
        plan.findings.push(Finding::info(
            "liquibase.history.found",
            format!(
                "Liquibase has run {} change sets{}.",
                liquibase.change_sets.len(),
                last.unwrap_or_default()
            ),
        ));
    }
    if let Some(flyway) = &history.flyway {
        let mut versions = flyway
            .migrations
            .iter()
            .filter_map(|installed| installed.version.as_deref());
        let last = versions
            .next_back()
            .map(|version| format!("; the last version is {version}"));
        plan.findings.push(Finding::info(
            "liquibase.flyway.found",
            format!(
                "Flyway has run {} migrations{}.",
                flyway.migrations.len(),
                last.unwrap_or_default()
            ),
        ));
        if let Some(failed) = flyway
            .migrations
            .iter()
            .find(|installed| !installed.success)
        {
            plan.findings.push(
                Finding::warning("liquibase.flyway.failed", format!("The migration {} failed and was left half done.", failed.script))
                    .remedy("Mend it, run `flyway repair` and back up again: a restore that migrates refuses this snapshot."),
            );
        }
    }
}

fn compare_with_changelog(
    plan: &mut BackupPlan,
    roots: &Trees,
    config: &Config,
    history: &History,
) -> Result<(), Failure> {
    if let Some(tree) = roots.get(CHANGELOG) {
        let compared = compare::compare(tree, config, history)?;
        plan.findings
            .extend(compared.findings(compare::Severe::Never));
    }
    Ok(())
}

fn tools(history: &History) -> Vec<&'static str> {
    let liquibase = history.liquibase.as_ref().map(|_| "liquibase");
    liquibase
        .into_iter()
        .chain(history.flyway.as_ref().map(|_| "flyway"))
        .collect()
}

/// Takes a dump that lies in a root.
fn of_dump(config: &Config, root: &dyn Tree) -> Result<BackupPlan, Failure> {
    let file = match &config.dump_file {
        Some(file) => file.clone(),
        None => only_file(root)?,
    };
    let head = match root.stat(&file)? {
        Some(entry) if entry.is_file() => root.read(&file, 0, 5)?,
        _ => {
            let message = format!("{DUMP}/{file} is not a file");
            return Err(
                Failure::missing("liquibase.dump.missing", message).remedy("set `dump_file`")
            );
        }
    };
    let path = format!("{{root:{DUMP}}}/{}", literal(&file));
    let command = match &head[..] {
        b"PGDMP" => Command::new(["pg_restore".to_owned(), "--file=-".to_owned(), path]),
        [0x1f, 0x8b, ..] => {
            Command::new(["gzip".to_owned(), "-dc".to_owned(), "--".to_owned(), path])
        }
        _ => Command::new(["cat".to_owned(), "--".to_owned(), path]),
    };
    let source = Source::stream(STREAM, command.timeout(config.timeout)).filtered();
    Ok(BackupPlan::new()
        .finding(
            Finding::info(
                "liquibase.dump.found",
                "The snapshot takes this dump, and its history while it reads it.",
            )
            .at(format!("{DUMP}/{file}")),
        )
        .fact(facts::DATABASE, format!("{DUMP}/{file}"))
        .source(source))
}

fn only_file(root: &dyn Tree) -> Result<String, Failure> {
    let entries = root.list("")?;
    let mut files = entries.iter().filter(|entry| entry.is_file());
    match (files.next(), files.next()) {
        (Some(file), None) => Ok(file.path.clone()),
        (found, _) => {
            let what = if found.is_some() {
                "several files"
            } else {
                "no file"
            };
            let message = format!(
                "{} holds {what}, so which is the dump is not known",
                root.location()
            );
            Err(Failure::missing("liquibase.dump.missing", message).remedy("set `dump_file`"))
        }
    }
}
