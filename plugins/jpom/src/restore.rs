//! Plans a restore: what is put in place, and what a new place or identity changes.

use copal_sdk::h2;
use copal_sdk::service;
use copal_sdk::{
    Action, Failure, Finding, Intent, Location, Placement, RestorePlan, RestoreRequest, Step,
    WriteFile, literal,
};

use crate::config::Config;
use crate::facts;
use crate::java;
use crate::layout::{join, relative};
use crate::pass::{Placing, State};
use crate::preconditions::Restore;
use crate::sql::{self, Abandoned, Backups, Script};
use crate::survey::{Mode, main_tree};

/// The step whose output tells the ids in the database.
pub(crate) const IDENTITY_STEP: &str = "database-identity";

/// The SQL file in the scratch folder.
const SCRIPT: &str = "identity.sql";

/// Seconds between heartbeats where `jpom.cluster.heart-second` says nothing, and the least that Jpom allows.
const HEART: (i64, i64) = (30, 5);

pub(crate) fn plan(request: &RestoreRequest<'_, Config>) -> Result<RestorePlan, Failure> {
    request.config.check()?;
    let mut plan = RestorePlan::new();
    let Some(restore) = Restore::prepare(request, &mut plan)? else {
        return Ok(plan);
    };
    restore.refuse_mixed(&mut plan)?;
    restore.refuse_formats(&mut plan)?;
    restore.stop(&mut plan)?;
    let id = restore.identity(&mut plan);
    restore.remove_stale(&mut plan)?;
    // The tree of the streams has no target.
    let placed = |name: &str| request.targets.get(name).is_some();
    for tree in request.snapshot.iter().filter(|tree| placed(&tree.name())) {
        plan.placements.push(Placement::tree(tree.name()));
    }
    restore.change_database(&mut plan, &id)?;
    restore.note_paths(&mut plan)?;

    let mut placing = Placing::default();
    if let (true, Some(install)) = (id != restore.install.install_id, &restore.old.install) {
        let content = restore.install.with_id(&id).to_json();
        let content =
            content.map_err(|error| Failure::internal("jpom.install.write", error.to_string()))?;
        let paths = install.paths().cloned().collect();
        placing.install = Some((restore.layout.root.clone(), paths, content));
    }
    plan.state(&State::Restore(placing))
}

impl Restore<'_> {
    /// Adds the step that stops the target's Jpom, or refuses where it seems to run.
    ///
    /// Nothing starts it again: a restore that failed half-way must not run, and one that succeeded is looked at first.
    fn stop(&self, plan: &mut RestorePlan) -> Result<(), Failure> {
        if self.request.rehearsal {
            return Ok(());
        }
        let config = &self.request.config;
        let open = self
            .new
            .database
            .as_ref()
            .filter(|database| !database.clean());
        let service = config.service()?;
        let state = service
            .as_ref()
            .map(|service| service.state(self.request.probe));
        match (&service, state) {
            (Some(service), Some(service::State::Absent)) => plan.findings.push(service.absent()),
            (Some(_), Some(service::State::Stopped)) | (None, _) | (_, None) => {
                if let Some(database) = open.filter(|_| !config.stopped) {
                    plan.findings.push(
                        Finding::error("jpom.target.running", "The target's database is open or was not closed properly, so Jpom seems to run there.")
                            .remedy("Set `container` or `unit` so that it is stopped first, or stop it yourself and set `stopped=true`.")
                            .at(self.at(&database.file())),
                    );
                }
            }
            (Some(service), Some(state)) => {
                if let service::State::Unknown(failure) = state {
                    plan.findings.push(service.unasked(&failure));
                }
                let title = format!("Stop {}", service.title());
                plan.before
                    .push(Step::new("stop-jpom", title, service.stop()));
            }
        }
        let start = service.map_or_else(
            || "Start Jpom".to_owned(),
            |service| format!("`{}`", service.start().argv.join(" ")),
        );
        plan.findings.push(
            Finding::info("jpom.start", "Jpom stays stopped after the restore.")
                .remedy(format!("{start} when you have looked at the result.")),
        );
        Ok(())
    }

    /// Removes the record of executed scripts where the snapshot has none: it belongs to the database, and Jpom skips what it names.
    fn remove_stale(&self, plan: &mut RestorePlan) -> Result<(), Failure> {
        let record = self.layout.path("db/execute.init.sql.log");
        let source = main_tree(&self.request.snapshot)?;
        if self.target.exists(&record)? && !source.exists(&record)? {
            plan.after.push(Step::new(
                "remove-script-record",
                "Remove the target's record of executed SQL, which does not belong to the restored database",
                Action::Remove(Location::root(&self.layout.root, record)),
            ));
        }
        Ok(())
    }

    /// The changes inside the database, run by the host where Java is configured, else told to the operator.
    fn change_database(&self, plan: &mut RestorePlan, id: &str) -> Result<(), Failure> {
        let intent = self.request.intent;
        if let Mode::External(name) = &self.old.mode {
            if intent != Intent::Recover {
                plan.findings.push(
                    Finding::warning("jpom.sql.by-hand", format!("The {name} database has to be changed too, before Jpom starts for the first time."))
                        .remedy(format!(
                            "Run this on the database that the restored Jpom uses, for a clone on a copy of the original's. Should a statement \
                             fail, run ROLLBACK and go no further. (A Jpom before 2.11 has no CLUSTER_INFO, and needs nothing of this.)\n{}",
                            sql::by_hand(&self.install.install_id, id)
                        )),
                );
            }
            return Ok(());
        }
        let script = self.script(plan, id);
        if self.old.mode == Mode::H2Server {
            if intent != Intent::Recover {
                plan.findings.push(
                    Finding::warning("jpom.sql.by-hand", "The H2 server's database has to be changed too, before Jpom starts for the first time.")
                        .remedy(format!(
                            "Run this with org.h2.tools.RunScript on the database that the restored Jpom uses, for a clone on a copy of the original's:\n{}",
                            script.for_h2()
                        )),
                );
            }
            return Ok(());
        }
        let Some(database) = &self.old.database else {
            return Ok(());
        };
        let settings = &self.old.settings;
        let location = format!("{{root:{}}}/{}", self.layout.root, literal(&database.path));
        let opened = java::database(location, settings)?;
        // A URL ends its path at the first semicolon. A database that has yet to be repaired can't be opened for reading alone.
        let can_open = !self.target.location().contains(h2::OUTSIDE)
            && (intent != Intent::Recover || database.clean());
        let tools = java::tools(&self.request.config, settings).filter(|_| can_open);
        match tools {
            Some(tools) => {
                let (title, opened) = match intent {
                    Intent::Recover => ("Read the ids in the database", opened.read_only()),
                    Intent::Migrate => ("Give the database its new place", opened),
                    Intent::Clone => ("Give the database its new identity and place", opened),
                };
                let file = WriteFile::new(Location::scratch(SCRIPT), [literal(&script.for_h2())])
                    .mode(0o600);
                plan.after.push(tools.arguments("RunScript"));
                plan.after.push(Step::new(
                    "write-identity-sql",
                    "Write the SQL for the database",
                    file,
                ));
                plan.after.push(
                    Step::new(IDENTITY_STEP, title, tools.run_script(&opened, SCRIPT)).captured(),
                );
            }
            None if intent == Intent::Recover => {}
            None => {
                let url =
                    java::database(join(&self.target.location(), &database.path), settings)?.url();
                let url = url.replace('\'', r"'\''");
                let releases = database
                    .header
                    .as_ref()
                    .map_or("H2", |header| h2::releases_of(header.format));
                plan.findings.push(
                    Finding::warning("jpom.sql.by-hand", "The database has to be changed too, before Jpom starts for the first time.")
                        .remedy(format!(
                            "Set `java` and `h2_jar` to have it done. Or save the lines below as {SCRIPT} and run, with a jar of {releases} and the \
                             database's password: java -cp H2.jar org.h2.tools.RunScript -url '{url}' -user {} -password PASSWORD -script {SCRIPT} \
                             -showResults\n{}",
                            java::user(&self.request.config, settings),
                            script.for_h2()
                        )),
                );
            }
        }
        Ok(())
    }

    fn script(&self, plan: &mut RestorePlan, id: &str) -> Script {
        let config = &self.request.config;
        let location = join(&self.target.location(), &self.layout.base);
        let left_out = matches!(
            self.request.facts.get(facts::WITHOUT_DB_BACKUP),
            Ok(Some(true))
        );
        let backups = match (self.seen_at(), &config.container) {
            _ if left_out => Backups::LeftOut,
            (Some(path), _) => Backups::At(path),
            (None, Some(_)) => {
                if self.request.intent != Intent::Recover {
                    plan.findings.push(
                        Finding::info("jpom.backups.unmoved", "The paths of Jpom's own backups stay as they are, because a container sees its files where it always did.")
                            .remedy("Set `jpom_path` if the new container has them elsewhere."),
                    );
                }
                Backups::Unmoved
            }
            (None, None) => Backups::At(&location),
        };
        let heart = self.old.settings.heart_second.text.as_deref();
        let heart = heart
            .and_then(|seconds| seconds.parse().ok())
            .unwrap_or(HEART.0)
            .max(HEART.1);
        let abandoned = Abandoned {
            since: self
                .request
                .now
                .seconds
                .saturating_sub(heart)
                .saturating_mul(1000),
        };
        match self.request.intent {
            Intent::Recover => Script::default(),
            Intent::Migrate => Script::migrate(id, backups, abandoned),
            Intent::Clone => Script::clone(&self.install.install_id, id, backups, abandoned),
        }
    }

    /// Where Jpom itself sees its folder, if somebody says so: the operator, or `jpom.path` unless that is the place on the old host.
    fn seen_at(&self) -> Option<&str> {
        let configured = self.old.settings.path.text.as_deref();
        let foreign = configured.filter(|path| {
            path.starts_with('/') && relative(&self.source_location, path).is_none()
        });
        self.request.config.jpom_path.as_deref().or(foreign)
    }

    /// Says where the place is not the old one, and which settings still name that.
    fn note_paths(&self, plan: &mut RestorePlan) -> Result<(), Failure> {
        let Some(old) = self.request.facts.get::<String>(facts::LOCATION)? else {
            return Ok(());
        };
        let new = join(&self.target.location(), &self.layout.base);
        if old == new {
            return Ok(());
        }
        if self.request.intent == Intent::Recover {
            plan.findings.push(
                Finding::warning("jpom.place.differs", format!("This Jpom was in {old}, the target is {new}; paths in the database stay as they were."))
                    .remedy("Use `--intent migrate` where Jpom is to run at the new place."),
            );
        }
        let settings = &self.old.settings;
        let named = [
            ("jpom.path", &settings.path),
            ("jpom.db.url", &settings.url),
        ];
        for (name, value) in named {
            if value
                .text
                .as_deref()
                .is_some_and(|text| text.contains(&old))
            {
                plan.findings.push(
                    Finding::warning("jpom.conf.place", format!("`{name}` names the old place {old}, where the restored Jpom would look."))
                        .remedy(format!("Change it in the restored application.yml before you start Jpom; the new place is {new}."))
                        .at(self.old.settings_file.clone().unwrap_or_default()),
                );
            }
        }
        Ok(())
    }
}
