//! What of a Jpom is saved, what is left out, and what the operator should know of it.

use std::collections::BTreeSet;

use copal_sdk::{BackupPlan, Failure, Finding, Tree};
use serde_json::json;

use crate::config::{Builds, Config, Every};
use crate::facts::Consistency;
use crate::layout::{HOME, Layout, join, relative};
use crate::pass::{Guard, Saving};
use crate::survey::Survey;

/// How many entries are looked at to say how large the builds are.
const COUNTED: usize = 20_000;

/// What is left out, and what to watch.
pub(crate) fn contents(
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
    let Some(path) = storage.filter(|path| relative(&main.location(), path).is_none()) else {
        return;
    };
    let drive = path.get(1..2) == Some(":");
    let finding = if path.starts_with('/') || drive {
        Finding::warning("jpom.file-storage", format!("Jpom keeps its file storage in {path}, outside the root, so it is not in this snapshot."))
            .remedy("Back it up with `copal backup files`, unless the path is one within Jpom's container that lies in the root here.")
    } else {
        Finding::warning("jpom.file-storage", format!("Jpom keeps its file storage in {path}, a relative path, so whether it lies in the root is not known."))
            .remedy("Write the whole path in application.yml, or back the folder up with `copal backup files` if it lies outside the root.")
    };
    plan.findings
        .push(finding.at(survey.settings_file.clone().unwrap_or_default()));
}

/// Names the secrets that the snapshot holds.
pub(crate) fn name_secrets(
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
pub(crate) fn parts(
    main: &dyn Tree,
    survey: &Survey,
    layout: &Layout,
) -> Result<Vec<String>, Failure> {
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
