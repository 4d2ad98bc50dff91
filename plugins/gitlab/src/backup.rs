//! Plans a backup.

use std::collections::BTreeSet;

use copal_sdk::service::State as Running;
use copal_sdk::{BackupPlan, BackupRequest, Command, Failure, Finding, Source, Step, Tree};
use serde_json::json;

use crate::archive::information::Information;
use crate::archive::selection::{Selection, archives, choose};
use crate::archive::{INFORMATION, SUFFIX, backup_name};
use crate::config::{Config, Every, Kind};
use crate::facts;
use crate::installation::Installation;
use crate::layout::{self, BACKUPS, CONFIG, DATA, Layout, join};
use crate::pass::{Git, Saving, State};
use crate::secrets;

/// Until this release Gitaly's own folder held nothing but caches and what is on its way.
const GITALY_KEEPS_MORE: (u32, u32) = (15, 0);

pub(crate) fn plan(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
    let config = &request.config;
    config.check()?;
    let data = request.roots.get(DATA);
    let layout = match data {
        Some(data) => Some(Layout::of(data)?.ok_or_else(|| not_found(data))?),
        None => None,
    };
    let installation = Installation::of(config, layout.map(|layout| layout.kind));
    let mut plan = BackupPlan::new();
    let mut saving = Saving {
        layout,
        ..Saving::default()
    };
    if let Some(backups) = request.roots.get(BACKUPS) {
        saving.archives = Some(save_archives(&mut plan, config, backups, &installation)?);
        plan.sources.push(Source::tree(BACKUPS));
    } else if config.create {
        plan.findings.push(
            Finding::error("gitlab.create.where", "GitLab was to make an archive, but where it puts it is not given.")
                .remedy("Give the folder of GitLab's backups as a root: backups=/var/opt/gitlab/backups, or the volume that it is on."),
        );
    }
    if let (Some(data), Some(layout)) = (data, layout) {
        plan = save_volume(plan, request, data, layout, &mut saving)?;
    }
    if request.roots.get(CONFIG).is_some() {
        plan.sources.push(Source::tree(CONFIG));
        plan.findings.push(
            Finding::info("gitlab.secrets.saved", "The snapshot holds gitlab-secrets.json and gitlab.rb, and with them the keys of all that GitLab encrypts.")
                .at(CONFIG),
        );
    }
    let values = secrets::check_values(request.roots.get(CONFIG), &installation, request.probe)?;
    if request.roots.get(CONFIG).is_none() {
        plan.findings.push(without_secrets(installation.kind));
    }
    if values.is_empty() {
        plan.findings.push(
            Finding::warning("gitlab.secrets.unseen", "GitLab's secrets could not be seen, so a restore can't tell whether its target has the right ones.")
                .remedy("Set `container`, or give /etc/gitlab as the root `config`."),
        );
    }
    plan.fact(facts::SECRETS, json!(values))
        .state(&State::Backup(saving))
}

fn not_found(data: &dyn Tree) -> Failure {
    Failure::missing(
        "gitlab.not-found",
        format!(
            "{} is no data volume of a GitLab: neither repositories nor git-data/repositories is there",
            data.location()
        ),
    )
    .remedy("give /home/git/data of sameersbn/gitlab or /var/opt/gitlab of the Omnibus package; a folder of archives is the root `backups`")
}

/// Chooses the archives, or has one made.
fn save_archives(
    plan: &mut BackupPlan,
    config: &Config,
    backups: &dyn Tree,
    installation: &Installation,
) -> Result<Selection, Failure> {
    let there = archives(backups)?;
    if config.create {
        plan.quiesce.push(Step::new(
            "create-archive",
            "Have GitLab make a backup archive",
            installation.create(),
        ));
        if backups.list("")?.is_empty() {
            // Of an empty folder no pass is asked.
            plan.quiesce.push(Step::new(
                "see-archive",
                "See that the archive is in the folder `backups`",
                see_archive(),
            ));
        }
        let names = there.iter().filter_map(backup_name);
        return Ok(Selection::AllBut(names.map(str::to_owned).collect()));
    }
    let chosen = choose(&there, &config.archives, Every::Newest)?;
    if chosen.is_empty() {
        plan.findings.push(
            Finding::error("gitlab.archives.none", format!("There is no archive: nothing here is named *{SUFFIX}."))
                .remedy("Set `create=true` to have GitLab make one, or give the folder that it puts them in.")
                .at(BACKUPS),
        );
    }
    for name in &chosen {
        plan.findings.push(describe(backups, name));
    }
    let left_out = there.len() - chosen.len();
    if left_out > 0 {
        plan.findings.push(
            Finding::info(
                "gitlab.archives.left-out",
                format!("Other archives are left out: {left_out}."),
            )
            .remedy("Set `archives=all`, or name those to save.")
            .at(BACKUPS),
        );
    }
    Ok(Selection::These(chosen))
}

/// Fails where no archive is in the folder of backups.
fn see_archive() -> Command {
    let included = format!("--include=*{SUFFIX}");
    let folder = format!("{{root:{BACKUPS}}}");
    Command::new(["grep", "-rqF", &included, INFORMATION, &folder])
}

/// What an archive says of itself, before it is read as a whole.
fn describe(backups: &dyn Tree, name: &str) -> Finding {
    let path = format!("{name}{SUFFIX}");
    let finding = match Information::of(backups, &path) {
        Ok(information) => Finding::info(
            "gitlab.archive.found",
            format!("The archive {name} is of GitLab {}.", information.version),
        ),
        Err(failure) => Finding::error(
            "gitlab.archive.damaged",
            format!("The archive can't be read: {}.", failure.message),
        )
        .remedy("Make another, or choose others by `archives`."),
    };
    finding.at(join(BACKUPS, &path))
}

fn save_volume(
    mut plan: BackupPlan,
    request: &BackupRequest<'_, Config>,
    data: &dyn Tree,
    layout: Layout,
    saving: &mut Saving,
) -> Result<BackupPlan, Failure> {
    quiesce(&mut plan, request)?;
    plan.sources.push(Source::tree(DATA));
    let version = layout.version(data)?;
    let release = version.as_deref().and_then(layout::release);
    saving.without_gitaly = release.is_some_and(|release| release < GITALY_KEEPS_MORE);
    if layout.kind == Kind::Sameersbn {
        plan.findings.push(
            Finding::warning("gitlab.database.elsewhere", "PostgreSQL and Redis have volumes of their own, which are not in this snapshot, and repositories without the database of the same time are of little use.")
                .remedy("Save the PostgreSQL of the same time beside this, for example as a stream of the job in copal.toml; or save GitLab's own archives (the root `backups`), which hold the database."),
        );
    }
    if data.exists(BACKUPS)? && !data.list(BACKUPS)?.is_empty() {
        plan.findings.push(
            Finding::info(
                "gitlab.backups.left-out",
                "GitLab's own archives within the data volume are left out.",
            )
            .remedy("Save them by a job of their own, with that folder as the root `backups`.")
            .at(join(DATA, BACKUPS)),
        );
    }
    let owner = data.stat(layout.repositories())?.map(|entry| entry.owner);
    let git = owner.filter(|owner| owner.uid != 0).map(|owner| Git {
        uid: owner.uid,
        gid: owner.gid,
    });
    if git.is_none() {
        plan.findings.push(
            Finding::warning("gitlab.owner.root", "The repositories are root's, as after a copy with `cp -R`, so this GitLab can hardly work. A restore gives them to its target's user git.")
                .at(join(DATA, layout.repositories())),
        );
    }
    Ok(plan
        .fact(facts::LAYOUT, json!(layout.kind))
        .fact(facts::VERSION, version)
        .fact(facts::GIT, json!(git)))
}

/// Adds the step that stops GitLab, or says that it must be stopped.
fn quiesce(plan: &mut BackupPlan, request: &BackupRequest<'_, Config>) -> Result<(), Failure> {
    let config = &request.config;
    let Some(service) = config.service()? else {
        if !config.stopped {
            plan.findings.push(
                Finding::error("gitlab.running", "Whether GitLab runs can't be seen from its files, and a copy of repositories and databases in use is not consistent.")
                    .remedy("Set `container` or `unit` so that GitLab is stopped while its files are read; or stop it yourself and set `stopped=true`; or save GitLab's own archives (the root `backups`), for which it goes on running.")
                    .at(DATA),
            );
        }
        return Ok(());
    };
    match service.state(request.probe) {
        Running::Stopped => return Ok(()),
        Running::Absent => {
            plan.findings.push(service.absent());
            return Ok(());
        }
        Running::Running => {}
        Running::Unknown(failure) => plan.findings.push(service.unasked(&failure)),
    }
    let stop = Step::new(
        "stop-gitlab",
        format!("Stop {}", service.title()),
        service.stop(),
    );
    plan.quiesce.push(stop.undo(service.start()));
    Ok(())
}

/// Without the secrets of the source a restored database is half unreadable, and neither archive nor data volume holds them.
fn without_secrets(kind: Kind) -> Finding {
    let (what, remedy) = match kind {
        Kind::Omnibus => (
            "/etc/gitlab (gitlab-secrets.json, gitlab.rb)",
            "Give it as the root `config`, or keep gitlab-secrets.json in a safe place.",
        ),
        Kind::Sameersbn => (
            "the variables GITLAB_SECRETS_DB_KEY_BASE, …_SECRET_KEY_BASE, …_OTP_KEY_BASE, from 13.7 on …_ENCRYPTED_SETTINGS_KEY_BASE, from 17.8 on …_ACTIVE_RECORD_ENCRYPTION_*",
            "Keep the container's settings, such as docker-compose.yml, in a safe place.",
        ),
    };
    Finding::warning(
        "gitlab.secrets.not-saved",
        format!("The snapshot holds none of GitLab's secrets, without which a restored database can't be read wholly: {what}."),
    )
    .remedy(remedy)
}

/// The names of a set, for messages.
pub(crate) fn list(names: &BTreeSet<String>) -> String {
    names.iter().cloned().collect::<Vec<_>>().join(", ")
}
