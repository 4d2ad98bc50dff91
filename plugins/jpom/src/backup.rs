//! Plans a backup.

use std::collections::BTreeSet;

use copal_sdk::{
    BackupPlan, BackupRequest, CopyEntry, Failure, Finding, Location, Source, Step, Tree,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config::{Builds, Config, Every, ExternalDatabase};
use crate::h2::{self, Release};
use crate::java::{self, Java};
use crate::layout::{CONF, DATABASE, HOME, Layout, join, relative};
use crate::pass::{Guard, Saving, State};
use crate::service::{self, Service};
use crate::survey::{Database, Mode, Survey, main_tree};

/// The names of the facts that a restore asks for.
pub(crate) mod fact {
    /// Jpom's id.
    pub(crate) const INSTALL_ID: &str = "installId";
    /// A [`Kind`](crate::layout::Kind).
    pub(crate) const LAYOUT: &str = "layout";
    /// Jpom's folder within its root.
    pub(crate) const BASE: &str = "base";
    /// The absolute path of Jpom's folder on the host that it was saved from.
    pub(crate) const LOCATION: &str = "location";
    /// `jpom.db.mode`.
    pub(crate) const DATABASE_MODE: &str = "databaseMode";
    /// Whether the database was closed while the backup was planned.
    pub(crate) const H2_CLEAN: &str = "h2Clean";
    /// A [`Consistency`](super::Consistency).
    pub(crate) const CONSISTENCY: &str = "consistency";
    /// Whether `db/backup` was left out.
    pub(crate) const WITHOUT_DB_BACKUP: &str = "dbBackupLeftOut";
    /// What has to be there after a restore, each `ROOT/PATH`.
    pub(crate) const PARTS: &str = "parts";
}

/// The stream that holds the database as SQL.
pub(crate) const SQL_STREAM: &str = "jpom.sql";

/// How many entries are looked at to say how large the builds are.
const COUNTED: usize = 20_000;

/// Why the files don't change while they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Consistency {
    /// The plan stops Jpom.
    Quiesced,
    /// The operator says that Jpom is stopped.
    Stopped,
    /// The database was closed while planning, and the pass watches that it is when it is read.
    Closed,
}

pub(crate) fn plan(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
    let config = &request.config;
    config.check()?;
    let main = main_tree(&request.roots)?;
    let mut survey = Survey::of(main, request.roots.get(CONF), &main.location())?;
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

    let consistency = quiesce(&mut plan, request, &survey);
    check_install(&mut plan, &survey, &layout);
    check_database(&mut plan, config, &survey, &layout);
    export_sql(&mut plan, config, &survey, &layout);
    let saving = contents(&mut plan, config, main, &survey, &layout, consistency)?;
    name_secrets(&mut plan, main, &survey, &layout)?;

    for root in request.roots.iter() {
        plan.sources.insert(0, Source::tree(root.name()));
    }
    let header = header(&survey);
    plan.fact(fact::INSTALL_ID, survey.id())
        .fact(fact::LAYOUT, json!(layout.kind()))
        .fact(fact::BASE, layout.base.as_str())
        .fact(fact::LOCATION, join(&main.location(), &layout.base))
        .fact(fact::DATABASE_MODE, survey.mode.name())
        .fact(
            "databasePath",
            survey
                .database
                .as_ref()
                .map(|database| join(&layout.root, &database.file())),
        )
        .fact("h2Format", header.map(|header| header.format))
        .fact(fact::H2_CLEAN, header.map(|header| header.clean))
        .fact(fact::CONSISTENCY, json!(consistency))
        .fact("jpomVersion", survey.version.as_deref())
        .fact("clusterId", survey.settings.cluster_id.or("default"))
        .fact(fact::WITHOUT_DB_BACKUP, config.without_db_backup)
        .fact(fact::PARTS, parts(main, &survey, &layout)?)
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
) -> Consistency {
    let config = &request.config;
    let running = match Service::of(config) {
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
                return Consistency::Quiesced;
            }
        },
    };
    if let Some(service) = running {
        let title = service.title();
        let stop = Step::new("stop-jpom", format!("Stop {title}"), service.stop());
        plan.quiesce.push(stop.undo(service.start()));
        return Consistency::Quiesced;
    }
    if config.stopped {
        return Consistency::Stopped;
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
    Consistency::Closed
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
        (Mode::External(name), _) if config.external_database == Some(ExternalDatabase::Separate) => plan.findings.push(
            Finding::info("jpom.db.external", format!("The database ({name}) is not in this snapshot; you said that it is backed up separately.")),
        ),
        (Mode::External(name), _) => plan.findings.push(
            Finding::error("jpom.db.external", format!("Jpom keeps its data in another database ({name}), which would not be in this snapshot."))
                .remedy("Back that database up with its own tools at the same time, and set `external_database=separate` to say so.")
                .at(survey.settings_file.clone().unwrap_or_default()),
        ),
        (Mode::H2, None) => plan.findings.push(
            Finding::error("jpom.db.missing", "The database is not there, so the snapshot would hold none of Jpom's data.")
                .remedy("Check that the root is the right folder. If H2 was interrupted while it compacted the file, start and stop Jpom once.")
                .at(join(&layout.root, &file)),
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
    }
}

/// Adds the export of the database as SQL: from a copy, because opening a database changes it, and after Jpom runs again.
fn export_sql(plan: &mut BackupPlan, config: &Config, survey: &Survey, layout: &Layout) {
    let Some(database) = &survey.database else {
        return;
    };
    let Some(java) = Java::of(config, &survey.settings) else {
        plan.findings.push(
            Finding::info("jpom.sql.none", "The snapshot holds the database's file, which one format of H2 alone can open, and no SQL script of it.")
                .remedy("Set `java` and `h2_jar` to have one made."),
        );
        return;
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
        return;
    }
    if let Some(finding) = wrong_jar(java.release(), database) {
        plan.findings.push(finding);
        return;
    }
    plan.quiesce.push(java.arguments("Script"));
    plan.quiesce.push(Step::new(
        "copy-database",
        "Copy the database, so that Jpom need not wait for its export",
        CopyEntry {
            from: Location::root(&layout.root, database.file()),
            to: Location::scratch(format!("{DATABASE}{}", h2::FILE_SUFFIX)),
        },
    ));
    let copy = java::Database::new(format!("{{scratch}}/{DATABASE}"), &survey.settings);
    plan.sources
        .push(Source::stream(SQL_STREAM, java.script(&copy)).live());
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

/// What is left out, and what to watch.
fn contents(
    plan: &mut BackupPlan,
    config: &Config,
    main: &dyn Tree,
    survey: &Survey,
    layout: &Layout,
    consistency: Consistency,
) -> Result<Saving, Failure> {
    let anew = [
        "data/temp",
        "data/script_run_cache",
        "data/remote_version.json",
    ];
    let mut without: BTreeSet<String> = anew.map(|path| layout.path(path)).into();
    if layout.root == HOME {
        without.insert("logs".to_owned());
    }
    let asked = [
        (config.without_db_backup, "db/backup"),
        (config.without_recover_backup, "db/recover_backup"),
    ];
    without.extend(
        asked
            .into_iter()
            .filter(|(leave, _)| *leave)
            .map(|(_, path)| layout.path(path)),
    );
    let builds = choose_builds(plan, config, main, layout)?;
    warn_of_storage(plan, main, survey);
    let guard = match (consistency, &survey.database) {
        (_, None) => None,
        (Consistency::Quiesced, Some(database)) => Some((database.file(), Guard::Warn)),
        (Consistency::Closed | Consistency::Stopped, Some(database)) => {
            database.clean().then(|| (database.file(), Guard::Refuse))
        }
    };
    let database = survey
        .database
        .as_ref()
        .map_or_else(|| layout.database(), |database| database.path.clone());
    let database_folder = database.rsplit_once('/').map_or("", |(folder, _)| folder);
    Ok(Saving {
        root: layout.root.clone(),
        without,
        builds,
        database_folder: database_folder.to_owned(),
        guard,
    })
}

/// Which builds are kept; none where all of them are. Says what that means, and records which are left out.
fn choose_builds(
    plan: &mut BackupPlan,
    config: &Config,
    main: &dyn Tree,
    layout: &Layout,
) -> Result<Option<(String, BTreeSet<String>)>, Failure> {
    let folder = layout.path("data/build");
    let there: Vec<String> = match main.stat(&folder)? {
        Some(entry) if entry.is_directory() => main
            .list(&folder)?
            .into_iter()
            .filter(|entry| entry.is_directory())
            .map(|entry| entry.name().to_owned())
            .collect(),
        _ => Vec::new(),
    };
    let at = join(&layout.root, &folder);
    let kept: BTreeSet<String> = match &config.build {
        Builds::Unsaid if !there.is_empty() => {
            plan.findings.push(
                Finding::info("jpom.build.all", format!("All {} builds are saved, {}: {}.", there.len(), size(main, &folder)?, some(&there)))
                    .remedy("Set `build=none` to leave them out, or `build` to a list of the ids to keep; Jpom can build them again.")
                    .at(at),
            );
            there.iter().cloned().collect()
        }
        Builds::Unsaid | Builds::Every(Every::All) => there.iter().cloned().collect(),
        Builds::Every(Every::None) => BTreeSet::new(),
        Builds::Ids(ids) => {
            let unknown: Vec<String> = ids
                .iter()
                .filter(|id| !there.contains(id))
                .cloned()
                .collect();
            if !unknown.is_empty() {
                plan.findings.push(
                    Finding::error(
                        "jpom.build.unknown",
                        format!("There is no build {}.", some(&unknown)),
                    )
                    .remedy(format!(
                        "Correct the ids in `build`; there are: {}.",
                        some(&there)
                    ))
                    .at(at),
                );
            }
            ids.iter().cloned().collect()
        }
    };
    let left: Vec<&String> = there.iter().filter(|id| !kept.contains(*id)).collect();
    plan.facts.push(copal_sdk::Fact {
        name: "buildsLeftOut".to_owned(),
        value: json!(left).to_string(),
    });
    Ok((!left.is_empty()).then_some((folder, kept)))
}

/// The first names of a list.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = names.get(..SHOWN).unwrap_or(names).join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
    }
}

/// How large a folder is, in words; looks at a bounded number of entries.
fn size(tree: &dyn Tree, folder: &str) -> Result<String, Failure> {
    let mut folders = vec![folder.to_owned()];
    let (mut bytes, mut entries) = (0_u64, 0_usize);
    while let Some(folder) = folders.pop() {
        for entry in tree.list(&folder)? {
            entries += 1;
            bytes = bytes.saturating_add(entry.size);
            if entry.is_directory() {
                folders.push(entry.path);
            }
        }
        if entries > COUNTED {
            return Ok(format!(
                "more than {} MiB in more than {COUNTED} files",
                bytes >> 20
            ));
        }
    }
    Ok(match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        mebibytes => format!("{mebibytes} MiB"),
    })
}

/// Jpom's file storage may lie outside its folder.
fn warn_of_storage(plan: &mut BackupPlan, main: &dyn Tree, survey: &Survey) {
    let storage = survey.settings.file_storage.text.as_deref();
    if let Some(path) = storage.filter(|path| relative(&main.location(), path).is_none()) {
        plan.findings.push(
            Finding::warning("jpom.file-storage", format!("Jpom keeps its file storage in {path}, outside the root, so it is not in this snapshot."))
                .remedy("Back it up with `copal backup files`, unless the path is one within Jpom's container that lies in the root here.")
                .at(survey.settings_file.clone().unwrap_or_default()),
        );
    }
}

/// Names the secrets that the snapshot holds.
fn name_secrets(
    plan: &mut BackupPlan,
    main: &dyn Tree,
    survey: &Survey,
    layout: &Layout,
) -> Result<(), Failure> {
    let mut secrets = Vec::new();
    for (folder, what) in [
        ("sshkey", "SSH keys"),
        ("certificate", "certificates"),
        ("docker/tls-cert", "keys for Docker hosts"),
    ] {
        let path = layout.path(&format!("data/{folder}"));
        if main.exists(&path)? {
            secrets.push(format!("{what} in {path}"));
        }
    }
    if survey.settings.has_token_key {
        secrets.push("the key that signs logins (token-jwt-key)".to_owned());
    }
    if survey.settings.password.text.is_some() {
        secrets.push("the database's password in application.yml".to_owned());
    }
    if survey.database.is_some() {
        secrets.push("the passwords and keys that the database holds".to_owned());
    }
    if !secrets.is_empty() {
        plan.findings.push(
            Finding::info(
                "jpom.secrets",
                format!(
                    "The snapshot holds secrets, because a restored Jpom needs them: {}.",
                    secrets.join("; ")
                ),
            )
            .remedy("Guard the repository's password as you guard them."),
        );
    }
    Ok(())
}

/// The parts that have to be there after a restore.
fn parts(main: &dyn Tree, survey: &Survey, layout: &Layout) -> Result<Vec<String>, Failure> {
    let mut parts: Vec<String> = survey.settings_file.iter().cloned().collect();
    parts.extend(
        survey
            .database
            .iter()
            .map(|database| join(&layout.root, &database.file())),
    );
    parts.extend(
        survey
            .install
            .iter()
            .map(|install| join(&layout.root, &install.path)),
    );
    for folder in [
        "sshkey",
        "certificate",
        "docker",
        "script",
        "agent",
        "outgiving",
        "file-storage",
    ] {
        let path = layout.path(&format!("data/{folder}"));
        if main.exists(&path)? {
            parts.push(join(&layout.root, &path));
        }
    }
    Ok(parts)
}
