//! Plans a backup.

use copal_sdk::h2::{self, Release};
use copal_sdk::service;
use copal_sdk::{BackupPlan, BackupRequest, CopyEntry, Failure, Finding, Location, Source, Step};
use serde_json::json;

use crate::config::{Config, ExternalDatabase};
use crate::contents::{contents, name_secrets, parts};
use crate::facts::{self, Consistency};
use crate::java;
use crate::layout::{CONF, DATABASE, Layout, join};
use crate::pass::State;
use crate::survey::{Database, Mode, Survey, main_tree};

/// The stream that holds the database as SQL.
pub(crate) const SQL_STREAM: &str = "jpom.sql";

pub(crate) fn plan(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
    let config = &request.config;
    config.check()?;
    let main = main_tree(&request.roots)?;
    let mut survey = Survey::of(main, request.roots.get(CONF), &[&main.location()])?;
    let Some(layout) = survey.layout.clone() else {
        return Err(Failure::missing(
            "jpom.not-found",
            format!(
                "{} holds no Jpom: neither data/db/Server.mv.db nor db/Server.mv.db is there",
                main.location()
            ),
        )
        .remedy("give the folder that holds conf, data and logs"));
    };
    let mut plan = BackupPlan::new();
    plan.findings.append(&mut survey.problems);

    for root in request.roots.iter() {
        plan.sources.push(Source::tree(root.name()));
    }
    let consistency = quiesce(&mut plan, request, &survey)?;
    check_install(&mut plan, &survey, &layout);
    check_database(&mut plan, config, &survey, &layout);
    export_sql(&mut plan, config, &survey, &layout)?;
    let saving = contents(&mut plan, config, main, &survey, &layout, consistency)?;
    name_secrets(&mut plan, main, &survey, &layout)?;

    let header = header(&survey);
    plan.fact(facts::INSTALL_ID, survey.id())
        .fact(facts::LAYOUT, json!(layout.kind()))
        .fact(facts::BASE, layout.base.as_str())
        .fact(facts::LOCATION, join(&main.location(), &layout.base))
        .fact(facts::DATABASE_MODE, survey.mode.name())
        .fact(
            "databasePath",
            survey
                .database
                .as_ref()
                .map(|database| join(&layout.root, &database.file())),
        )
        .fact("h2Format", header.map(|header| header.format))
        .fact(facts::H2_CLEAN, header.map(|header| header.clean))
        .fact(facts::CONSISTENCY, json!(consistency))
        .fact("jpomVersion", survey.version.as_deref())
        .fact("clusterId", survey.settings.cluster_id.or("default"))
        .fact(facts::WITHOUT_DB_BACKUP, config.without_db_backup)
        .fact(facts::PARTS, parts(main, &survey, &layout)?)
        .state(&State::Backup(saving))
}

fn header(survey: &Survey) -> Option<&h2::Header> {
    survey.database.as_ref()?.header.as_ref().ok()
}

/// Adds the steps that stop Jpom, or says why nothing need be stopped, or that something must.
fn quiesce(
    plan: &mut BackupPlan,
    request: &BackupRequest<'_, Config>,
    survey: &Survey,
) -> Result<Consistency, Failure> {
    let config = &request.config;
    let running = match config.service()? {
        None => None,
        Some(service) => match service.state(request.probe) {
            service::State::Running => Some(service),
            service::State::Unknown(failure) => {
                plan.findings.push(service.unasked(&failure));
                Some(service)
            }
            service::State::Stopped => None,
            service::State::Absent => {
                plan.findings.push(service.absent());
                return Ok(Consistency::Quiesced);
            }
        },
    };
    if let Some(service) = running {
        let title = service.title();
        let stop = Step::new("stop-jpom", format!("Stop {title}"), service.stop());
        plan.quiesce.push(stop.undo(service.start()));
        return Ok(Consistency::Quiesced);
    }
    if config.stopped {
        return Ok(Consistency::Stopped);
    }
    plan.findings.push(match &survey.database {
        Some(database) if database.clean() => Finding::warning(
            "jpom.h2.closed",
            "The database is closed, so Jpom does not run now. It has to stay so until the backup is done; should it be opened \
             before, the snapshot will be marked incomplete.",
        )
        .remedy("Set `container` or `unit` so that Jpom is stopped for you, or `stopped=true` to say that you stopped it."),
        Some(database) => Finding::error(
            "jpom.h2.unclean",
            "The database is open or was not closed properly, and a copy of an open H2 database is silently stale.",
        )
        .remedy(
            "Set `container` or `unit` so that Jpom is stopped while its files are read, or stop it yourself and set `stopped=true`.",
        )
        .at(join(&main_name(survey), &database.file())),
        None => Finding::warning(
            "jpom.running",
            "Whether Jpom runs can't be seen from its files, which may change while they are read.",
        )
        .remedy("Set `container` or `unit` so that Jpom is stopped for you, or stop it yourself and set `stopped=true`."),
    });
    Ok(Consistency::Closed)
}

fn main_name(survey: &Survey) -> String {
    survey
        .layout
        .as_ref()
        .map_or_else(String::new, |layout| layout.root.clone())
}

fn check_install(plan: &mut BackupPlan, survey: &Survey, layout: &Layout) {
    let read_by_jpom = layout.path("data/INSTALL.json");
    let at = |path: &str| join(&layout.root, path);
    match &survey.install {
        None => plan.findings.push(
            Finding::error("jpom.install.missing", "There is no INSTALL.json, so this Jpom has no identity that could be restored.")
                .remedy("Start this Jpom once: it makes the file. Or check that the root is the right folder.")
                .at(at(&read_by_jpom)),
        ),
        Some(install) => match &install.content {
            Err(error) => plan.findings.push(
                Finding::error("jpom.install.invalid", format!("INSTALL.json is of no use: {error}."))
                    .remedy("Correct the file; CLUSTER_INFO in the database holds the id.")
                    .at(at(&install.path)),
            ),
            Ok(_) if install.path != read_by_jpom => plan.findings.push(
                Finding::warning(
                    "jpom.install.place",
                    format!("INSTALL.json lies here, but Jpom reads {read_by_jpom} and makes itself a new id where that is missing."),
                )
                .remedy("Check which of the two places this Jpom uses.")
                .at(at(&install.path)),
            ),
            Ok(_) => {}
        },
    }
}

fn check_database(plan: &mut BackupPlan, config: &Config, survey: &Survey, layout: &Layout) {
    let file = format!("{}{}", layout.database(), h2::FILE_SUFFIX);
    match (&survey.mode, &survey.database) {
        (Mode::H2, None) => plan.findings.push(
            Finding::error("jpom.db.missing", "The database is not there, so the snapshot would hold none of Jpom's data.")
                .remedy("Check that the root is the right folder. If H2 was interrupted while it compacted the file, start and stop Jpom once.")
                .at(join(&layout.root, &file)),
        ),
        (Mode::H2, Some(_)) if survey.settings.database().is_some_and(|url| url.encrypted()) => plan.findings.push(
            Finding::error("jpom.db.encrypted", "`jpom.db.url` names a CIPHER. The file of an encrypted database does not tell whether it is closed, so whether a copy is whole can't be known.")
                .remedy("Decrypt it with org.h2.tools.ChangeFileEncryption while Jpom is stopped, and take CIPHER out of the URL; snapshots are encrypted by themselves.")
                .at(survey.settings_file.clone().unwrap_or_default()),
        ),
        (Mode::H2, Some(database)) => {
            if let Err(error) = &database.header {
                plan.findings.push(
                    Finding::error("jpom.h2.header", format!("The database's header can't be read: {error}."))
                        .remedy("Check with Jpom that the database opens; restore it from db/backup if it does not.")
                        .at(join(&layout.root, &database.file())),
                );
            }
        }
        (mode, _) if config.external_database == Some(ExternalDatabase::Separate) => plan.findings.push(
            Finding::info("jpom.db.external", format!("The database ({}) is not in this snapshot; you said that it is backed up separately.", mode.name())),
        ),
        (mode, _) => plan.findings.push(
            Finding::error("jpom.db.external", format!("Jpom keeps its data in another database ({}), which would not be in this snapshot.", mode.name()))
                .remedy("Back that database up with its own tools at the same time, and set `external_database=separate` to say so.")
                .at(survey.settings_file.clone().unwrap_or_default()),
        ),
    }
}

/// Adds the export of the database as SQL: from a copy, because opening a database changes it, and after Jpom runs again.
fn export_sql(
    plan: &mut BackupPlan,
    config: &Config,
    survey: &Survey,
    layout: &Layout,
) -> Result<(), Failure> {
    let Some(database) = &survey.database else {
        return Ok(());
    };
    let Some(tools) = java::tools(config, &survey.settings) else {
        plan.findings.push(
            Finding::info("jpom.sql.none", "The snapshot holds the database's file, which one format of H2 alone can open, and no SQL script of it.")
                .remedy("Set `java` and `h2_jar` to have one made."),
        );
        return Ok(());
    };
    if database
        .header
        .as_ref()
        .is_ok_and(|header| header.format == 1)
    {
        plan.findings.push(Finding::info(
            "jpom.sql.none",
            "The snapshot holds no SQL script of the database, because H2 1.4 can't write one to a pipe.",
        ));
        return Ok(());
    }
    if let Some(finding) = wrong_jar(tools.release(), database) {
        plan.findings.push(finding);
        return Ok(());
    }
    plan.quiesce.push(tools.arguments("Script"));
    plan.quiesce.push(Step::new(
        "copy-database",
        "Copy the database, so that Jpom need not wait for its export",
        CopyEntry {
            from: Location::root(&layout.root, database.file()),
            to: Location::scratch(format!("{DATABASE}{}", h2::FILE_SUFFIX)),
        },
    ));
    let copy = java::database(format!("{{scratch}}/{DATABASE}"), &survey.settings)?;
    plan.sources
        .push(Source::stream(SQL_STREAM, tools.script(&copy)).live());
    Ok(())
}

/// The finding for a jar that can't open a database.
pub(crate) fn wrong_jar(release: Option<Release>, database: &Database) -> Option<Finding> {
    let format = database.header.as_ref().ok()?.format;
    let release = release.filter(|release| release.format() != format)?;
    Some(
        Finding::error(
            "jpom.h2.jar",
            format!("`h2_jar` is H2 {release}, but the database has format {format}, which only {} opens.", h2::releases_of(format)),
        )
        .remedy(format!("Set `h2_jar` to a jar of {}.", h2::releases_of(format))),
    )
}
