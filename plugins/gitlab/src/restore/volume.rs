//! The data volume: given to the target's git user, into a GitLab that does not run.

use copal_sdk::service::State as Running;
use copal_sdk::{Failure, Finding, Intent, Placement, Severity, Step};

use super::Restore;
use crate::config::Kind;
use crate::facts;
use crate::layout::{DATA, Layout, is_directory, join};
use crate::target;

impl Restore<'_> {
    pub(super) fn volume(&mut self) -> Result<(), Failure> {
        let request = self.request;
        let snapshot = request.snapshot.require(DATA)?;
        let target = request.targets.require(DATA)?;
        let Some(layout) = Layout::of(snapshot)? else {
            self.tell(
                Finding::error(
                    "gitlab.snapshot.volume",
                    "The snapshot's data volume is none: it holds no repositories.",
                )
                .remedy("Choose another snapshot: `copal snapshots` lists them.")
                .at(DATA),
            );
            return Ok(());
        };
        self.plan.placements.push(Placement::tree(DATA));
        self.placing.layout = Some(layout);
        self.placing.was = request.facts.get(facts::GIT)?.flatten();
        let there = Layout::of(target)?;
        if there.is_some_and(|there| there != layout) {
            self.tell(
                Finding::error("gitlab.layout.differs", "The target is laid out as another installation's data volume (sameersbn's image and the Omnibus package differ): both would lie in one another.")
                    .remedy("Restore into an empty folder. To change the installation, restore one of GitLab's own archives instead.")
                    .at(DATA),
            );
        }
        let hashed = join(layout.repositories(), "@hashed");
        if request.intent == Intent::Migrate
            && is_directory(target, &hashed)?
            && !target.list(&hashed)?.is_empty()
        {
            self.tell(
                Finding::error("gitlab.target.used", "The target holds repositories already, and those of two GitLabs would be mixed.")
                    .remedy("Restore into a fresh data volume; or use `--intent recover` where it is the same GitLab.")
                    .at(join(DATA, &hashed)),
            );
        }
        if layout.kind == Kind::Sameersbn {
            self.tell(
                Finding::warning("gitlab.database.elsewhere", "PostgreSQL and Redis have volumes of their own, which are not in this snapshot.")
                    .remedy("Restore the PostgreSQL of the same time before you start GitLab, and empty Redis."),
            );
        }
        if request.rehearsal {
            return Ok(());
        }
        self.stop(there.is_some())?;
        if let Some(version) = request
            .facts
            .get::<Option<String>>(facts::VERSION)?
            .flatten()
        {
            let own = match there {
                Some(there) => there.version(target)?,
                None => None,
            };
            let own =
                own.or_else(|| target::version(&request.config, &self.installation, request.probe));
            self.plan.findings.extend(target::compare_versions(
                &version,
                own.as_deref(),
                Severity::Warning,
            ));
        }
        let repositories = layout.repositories();
        match target::git(
            &request.config,
            &self.installation,
            request.probe,
            target,
            repositories,
        )? {
            Ok(git) => {
                self.placing.git = Some(git);
                // The Omnibus package keeps the volume itself for root.
                if layout.kind == Kind::Sameersbn {
                    self.give(DATA, git);
                }
            }
            Err(finding) => self.tell(finding),
        }
        Ok(())
    }

    /// Adds the step that stops the target's GitLab, or refuses where it may run. Nothing starts it again: it is looked at first.
    fn stop(&mut self, occupied: bool) -> Result<(), Failure> {
        let request = self.request;
        let service = request.config.service()?;
        let start = match &service {
            None => {
                if occupied && !request.config.stopped {
                    self.tell(
                        Finding::error("gitlab.target.running", "The target is the data volume of a GitLab, and whether that runs can't be seen.")
                            .remedy("Set `container` or `unit` so that it is stopped first, or stop it yourself and set `stopped=true`.")
                            .at(DATA),
                    );
                }
                "Start GitLab".to_owned()
            }
            Some(service) => {
                match service.state(request.probe) {
                    Running::Stopped => {}
                    Running::Absent => self.tell(service.absent()),
                    state => {
                        if let Running::Unknown(failure) = state {
                            self.tell(service.unasked(&failure));
                        }
                        let title = format!("Stop {}", service.title());
                        let stop = Step::new("stop-gitlab", title, service.stop());
                        self.plan.before.push(stop);
                    }
                }
                format!("`{}`", service.start().argv.join(" "))
            }
        };
        self.tell(
            Finding::info("gitlab.start", "GitLab stays stopped after the restore.").remedy(
                format!("{start} when you have looked at the result, then run gitlab:check and gitlab:git:fsck."),
            ),
        );
        Ok(())
    }
}
