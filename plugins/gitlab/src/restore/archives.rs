//! Archives: put in place so that GitLab's restore takes them, and restored by it where asked.

use copal_sdk::service::State as Running;
use copal_sdk::{Action, Failure, Finding, Location, Placement, Severity, Step, Tree};

use super::{RESTORE_STEP, Restore, chosen, staging};
use crate::archive::information::Information;
use crate::archive::selection::Selection;
use crate::archive::{INFORMATION, SUFFIX, owners, tasks, time};
use crate::backup::list;
use crate::installation::Part;
use crate::layout::{BACKUPS, join, release};
use crate::target;

impl Restore<'_> {
    pub(super) fn archives(&mut self) -> Result<(), Failure> {
        let request = self.request;
        let snapshot = request.snapshot.require(BACKUPS)?;
        let names = chosen(&request.config, snapshot)?;
        self.plan.placements.push(Placement::tree(BACKUPS));
        let mut archives = Vec::new();
        for name in &names {
            let path = format!("{name}{SUFFIX}");
            match Information::of(snapshot, &path) {
                Ok(information) => archives.push((name.clone(), information)),
                Err(failure) => self.tell(
                    Finding::error(
                        "gitlab.archive.damaged",
                        format!("The archive can't be read: {}.", failure.message),
                    )
                    .remedy("Choose others by `archives`, or another snapshot.")
                    .at(join(BACKUPS, &path)),
                ),
            }
        }
        if names.is_empty() {
            self.tell(
                Finding::error(
                    "gitlab.archives.none",
                    "The snapshot holds no archive of GitLab.",
                )
                .remedy("Choose another snapshot: `copal snapshots` lists them."),
            );
        }
        for (name, information) in &archives {
            self.name(name, information);
        }
        self.placing.archives = Some(Selection::These(names));
        if request.rehearsal {
            return Ok(());
        }
        self.clear_staging()?;
        self.own(&archives)?;
        archives.sort_by_key(|(name, _)| (time(name), name.clone()));
        if let Some((name, information)) = archives.last() {
            let version = target::version(&request.config, &self.installation, request.probe);
            let unseen = request.config.unseen(false);
            let differs =
                target::compare_versions(&information.version, version.as_deref(), unseen);
            self.plan.findings.extend(differs);
            if request.config.restore {
                self.run(name, information)?;
            }
        }
        if request.config.restore && archives.len() > 1 {
            let names = archives.into_iter().map(|(name, _)| name).collect();
            self.tell(
                Finding::error(
                    "gitlab.restore.choice",
                    format!(
                        "There are several archives, and GitLab restores one: {}.",
                        list(&names)
                    ),
                )
                .remedy("Name it by `archives`, or set `archives=newest`."),
            );
        }
        Ok(())
    }

    /// Says how GitLab wants the archive named, which is not its file's name.
    fn name(&mut self, name: &str, information: &Information) {
        let command = self.installation.restore(name).argv.join(" ");
        self.tell(
            Finding::info(
                "gitlab.backup.name",
                format!(
                    "GitLab {} restores this archive as BACKUP={name}, without `{SUFFIX}`.",
                    information.version
                ),
            )
            .remedy(match self.request.config.restore {
                true => "It is done in this restore.".to_owned(),
                false => format!(
                    "Once it is in place: {command}. Or set `restore=true` to have it done."
                ),
            })
            .at(join(BACKUPS, &format!("{name}{SUFFIX}"))),
        );
    }

    /// Clears what an interrupted backup or restore left: GitLab unpacks there as the user git and stumbles over what is root's.
    fn clear_staging(&mut self) -> Result<(), Failure> {
        let target = self.request.targets.require(BACKUPS)?;
        if target.stat("")?.is_none() {
            return Ok(());
        }
        if is_unpacked_backup(target)? {
            self.tell(
                Finding::error("gitlab.staging.backup", "The target's folder holds a backup that is not packed into an archive (SKIP=tar), which a restore would overwrite.")
                    .remedy("Move it away, or restore it first.")
                    .at(join(BACKUPS, INFORMATION)),
            );
            return Ok(());
        }
        if let Some(volume) = staging::is_volume(target)? {
            self.tell(volume);
            return Ok(());
        }
        let mut left = target.list("")?;
        left.retain(|entry| tasks::is_staging(entry.name()));
        if left.is_empty() {
            return Ok(());
        }
        if let Some(refusal) = staging::in_use(target, &left, self.request.now)? {
            self.tell(refusal);
            return Ok(());
        }
        let left: Vec<&str> = left.iter().map(|entry| entry.name()).collect();
        self.tell(
            Finding::warning(
                "gitlab.staging.leftover",
                format!("An interrupted backup or restore left this in the target's folder, and it is removed: {}.", left.join(", ")),
            )
            .at(BACKUPS),
        );
        for (number, name) in left.into_iter().enumerate() {
            self.plan.after.push(Step::new(
                format!("clear-staging-{}", number + 1),
                format!("Remove the leftover {name}"),
                Action::Remove(Location::root(BACKUPS, name)),
            ));
        }
        Ok(())
    }

    /// Gives the archives to the target's git user: the files, the folder, and on request what is in them.
    fn own(&mut self, archives: &[(String, Information)]) -> Result<(), Failure> {
        let request = self.request;
        let place = request.targets.require(BACKUPS)?;
        let git = target::git(
            &request.config,
            &self.installation,
            request.probe,
            place,
            "",
        )?;
        let git = match git {
            Ok(git) => git,
            Err(finding) => {
                self.tell(finding);
                return Ok(());
            }
        };
        self.placing.git = Some(git);
        self.give(BACKUPS, git);
        if !request.config.normalise {
            return Ok(());
        }
        let snapshot = request.snapshot.require(BACKUPS)?;
        for (name, _) in archives {
            let path = format!("{name}{SUFFIX}");
            match owners::measure(snapshot, &path, git) {
                Ok(sizes) => {
                    self.placing.within.insert(path, sizes);
                }
                Err(failure) => self.tell(
                    Finding::error(
                        "gitlab.normalise.failed",
                        format!(
                            "The owners within the archive can't be changed: {}.",
                            failure.message
                        ),
                    )
                    .remedy("Leave `normalise` out: GitLab does not look at the owners within.")
                    .at(join(BACKUPS, &path)),
                ),
            }
        }
        Ok(())
    }

    /// Adds the steps of GitLab's own restore, or says what it would fail at.
    fn run(&mut self, name: &str, information: &Information) -> Result<(), Failure> {
        let request = self.request;
        if let Some(service) = request.config.service()? {
            match service.state(request.probe) {
                Running::Running => {}
                Running::Unknown(failure) => self.tell(service.unasked(&failure)),
                Running::Absent => self.tell(service.absent()),
                Running::Stopped => self.tell(
                    Finding::error(
                        "gitlab.target.stopped",
                        format!(
                            "The target's {} does not run, and GitLab's restore needs it to.",
                            service.title().trim_start_matches("the ")
                        ),
                    )
                    .remedy("Start it, and wait until GitLab answers."),
                ),
            }
        } else if request.config.restore_command.is_empty() {
            self.tell(
                Finding::info("gitlab.restore.here", "Neither `container` nor `unit` is set, so GitLab is taken to be installed on this host."),
            );
        }
        let unseen = request.config.unseen(request.config.target_checked);
        let gitaly = target::gitaly(&self.installation, request.probe, unseen);
        let folders = target::foreign_folders(&self.installation, request.probe, unseen);
        self.plan.findings.extend(gitaly.into_iter().chain(folders));
        let foreign = |finding: &Finding| finding.code == target::FOREIGN;
        if self.plan.findings.iter().any(foreign) {
            self.plan.after.push(Step::new(
                "own-folders",
                "Give GitLab's folders to the user git",
                target::own_folders(&self.installation),
            ));
        }
        self.tell(Finding {
            severity: Severity::Warning,
            ..Finding::info("gitlab.restore.replaces", "GitLab's restore replaces the target's database, repositories and files. What it held is gone afterwards.")
                .remedy("Back the target up first, if it holds anything.")
        });
        let release = release(&information.version);
        for part in [Part::Web, Part::Sidekiq] {
            let part = part.name(release);
            let stop = Step::new(
                format!("stop-{part}"),
                format!("Stop {part}, which works on the database"),
                self.installation.supervise("stop", part),
            );
            let start = self.installation.supervise("start", part);
            self.plan.before.push(stop.undo(start));
        }
        self.plan.after.push(
            Step::new(
                RESTORE_STEP,
                format!("Have GitLab restore the archive {name}"),
                self.installation.restore(name),
            )
            .captured(),
        );
        Ok(())
    }
}

/// Whether a folder holds a backup that was made without packing it.
fn is_unpacked_backup(tree: &dyn Tree) -> Result<bool, Failure> {
    if !tree.stat(INFORMATION)?.is_some_and(|entry| entry.is_file()) {
        return Ok(false);
    }
    let bytes = tree.read_all(INFORMATION, crate::archive::information::LARGEST)?;
    let information = Information::parse(&bytes);
    Ok(information.is_ok_and(|information| information.skipped.iter().any(|task| task == "tar")))
}
