//! Plans a restore: what refuses it, what is put in place, and what a new place or identity changes.

use copal_sdk::{
    Action, Failure, Finding, Intent, Location, Placement, RestorePlan, RestoreRequest, Step,
    Timestamp, Tree, WriteFile, literal,
};
use sha2::{Digest, Sha256};

use crate::backup::{SQL_STREAM, fact, wrong_jar};
use crate::config::Config;
use crate::h2;
use crate::install_json::InstallJson;
use crate::java::{self, Java};
use crate::layout::{CONF, Layout, join, relative};
use crate::pass::{Placing, State};
use crate::service::{self, Service};
use crate::sql::{Abandoned, Backups, Script};
use crate::survey::{Mode, Survey, main_tree};

/// The step whose output tells the ids in the database.
pub(crate) const IDENTITY_STEP: &str = "database-identity";

/// The SQL file in the scratch folder.
const SCRIPT: &str = "identity.sql";

/// Seconds between heartbeats where `jpom.cluster.heart-second` says nothing, and the least that Jpom allows.
const HEART: (i64, i64) = (30, 5);

/// All that the parts of a plan are made from.
struct Restore<'a> {
    request: &'a RestoreRequest<'a, Config>,
    target: &'a dyn Tree,
    /// The absolute path of the root that the snapshot was made from.
    source_location: String,
    /// The snapshot's Jpom.
    old: Survey,
    layout: Layout,
    install: InstallJson,
    /// The target's Jpom, as it is now.
    new: Survey,
}

pub(crate) fn plan(request: &RestoreRequest<'_, Config>) -> Result<RestorePlan, Failure> {
    request.config.check()?;
    let mut plan = RestorePlan::new();
    let Some(restore) = Restore::prepare(request, &mut plan)? else {
        return Ok(plan);
    };
    restore.refuse_mixed(&mut plan)?;
    restore.refuse_formats(&mut plan)?;
    restore.stop(&mut plan);
    let id = restore.identity(&mut plan);
    restore.remove_stale(&mut plan)?;
    for tree in request.snapshot.iter() {
        plan.placements.push(Placement::tree(tree.name()));
    }
    restore.change_database(&mut plan, &id);
    restore.note_paths(&mut plan)?;

    let mut placing = Placing::default();
    if let (true, Some(install)) = (id != restore.install.install_id, &restore.old.install) {
        let content = restore.install.with_id(&id).to_json();
        let content =
            content.map_err(|error| Failure::internal("jpom.install.write", error.to_string()))?;
        placing.install = Some((restore.layout.root.clone(), install.path.clone(), content));
    }
    plan.state(&State::Restore(placing))
}

impl<'a> Restore<'a> {
    /// Looks at both sides; none where the plan can only be refused.
    fn prepare(
        request: &'a RestoreRequest<'a, Config>,
        plan: &mut RestorePlan,
    ) -> Result<Option<Self>, Failure> {
        for tree in request.snapshot.iter() {
            let name = tree.name();
            if request.targets.get(&name).is_none() {
                plan.findings.push(
                    Finding::error("jpom.roots.differ", format!("The snapshot holds the root `{name}`, for which no target is given."))
                        .remedy(format!("Add `--to {name}=DIR`. A snapshot of `home` can't be spread over `data` and `conf`, nor they be joined.")),
                );
            }
        }
        let source = main_tree(&request.snapshot)?;
        let Some(target) = request.targets.get(&source.name()) else {
            return Ok(None);
        };
        let source_location = source_location(request)?;
        let conf = request.snapshot.get(CONF);
        let old = Survey::of(source, conf, &source_location)?;
        let new = Survey::of(target, request.targets.get(CONF), &target.location())?;
        let of_snapshot = |code: &str, message: String| {
            Finding::error(code, message)
                .remedy("Choose another snapshot: `copal snapshots` lists them.")
        };
        let content = old.install.as_ref().map(|install| &install.content);
        let install = match (&old.layout, content) {
            (Some(_), Some(Ok(install))) => install.clone(),
            (_, Some(Err(error))) => {
                let message = format!("The snapshot's INSTALL.json is of no use: {error}.");
                plan.findings
                    .push(of_snapshot("jpom.snapshot.install", message));
                return Ok(None);
            }
            _ => {
                let message = "The snapshot holds no INSTALL.json, so the restored Jpom would make itself a new identity.";
                plan.findings
                    .push(of_snapshot("jpom.snapshot.install", message.to_owned()));
                return Ok(None);
            }
        };
        let recorded: Option<String> = request.facts.get(fact::INSTALL_ID)?;
        if recorded.is_some_and(|recorded| recorded != install.install_id) {
            let message = "The snapshot's INSTALL.json holds another id than its manifest.";
            plan.findings
                .push(of_snapshot("jpom.snapshot.identity", message.to_owned()));
        }
        match (&old.mode, &old.database) {
            (Mode::H2, None) => {
                let message = "The snapshot holds no database.";
                plan.findings.push(of_snapshot("jpom.snapshot.database", message.to_owned()));
            }
            (Mode::H2, Some(database)) => match &database.header {
                Err(error) => {
                    let message = format!("The snapshot's database can't be read: {error}.");
                    plan.findings.push(of_snapshot("jpom.snapshot.database", message));
                }
                Ok(header) if !header.clean => plan.findings.push(Finding::warning(
                    "jpom.h2.forced",
                    "The snapshot's database was not closed properly before it was saved; H2 repairs it when it opens it.",
                )),
                Ok(_) => {}
            },
            (Mode::External(name), _) => plan.findings.push(
                Finding::warning("jpom.db.external", format!("This Jpom keeps its data in another database ({name}), which is not in the snapshot."))
                    .remedy("Restore that database of the same time before you start Jpom."),
            ),
        }
        plan.findings.extend(new.problems.iter().cloned());
        Ok(old.layout.clone().map(|layout| Self {
            request,
            target,
            source_location,
            old,
            layout,
            install,
            new,
        }))
    }

    fn at(&self, path: &str) -> String {
        join(&self.layout.root, path)
    }

    /// Refuses a target in which two installations would lie in one another.
    fn refuse_mixed(&self, plan: &mut RestorePlan) -> Result<(), Failure> {
        let there = self.new.database.is_some() || self.new.install.is_some();
        if let Some(layout) = self
            .new
            .layout
            .as_ref()
            .filter(|layout| there && **layout != self.layout)
        {
            plan.findings.push(
                Finding::error(
                    "jpom.layout.differs",
                    format!(
                        "The snapshot has Jpom's folder in `{}`, but the target has one in `{}`: both would lie in one another.",
                        self.at(&self.layout.base),
                        join(&layout.root, &layout.base)
                    ),
                )
                .remedy("Restore into an empty folder, or into one of the same layout.")
                .at(&self.layout.root),
            );
        }
        if let (Some(database), None) = (&self.new.database, &self.new.install) {
            plan.findings.push(
                Finding::error("jpom.target.mixed", "The target has a database but no INSTALL.json, so whose data it is can't be told.")
                    .remedy("Restore into an empty folder, or move this database away.")
                    .at(self.at(&database.file())),
            );
        }
        Ok(())
    }

    /// Refuses a database that the target's H2 can't open.
    fn refuse_formats(&self, plan: &mut RestorePlan) -> Result<(), Failure> {
        let Some(database) = &self.old.database else {
            return Ok(());
        };
        let java = Java::of(&self.request.config, &self.old.settings);
        let jar = java.and_then(|java| wrong_jar(java.release(), database));
        plan.findings.extend(jar);
        let format = |survey: &Survey| {
            let header = survey.database.as_ref()?.header.as_ref().ok()?;
            Some(header.format)
        };
        let (Some(old), Some(new)) = (format(&self.old), format(&self.new)) else {
            return Ok(());
        };
        // Where the program comes along in the snapshot, it brings the H2 that wrote the database.
        if old != new && self.old.version.is_none() {
            let script = if self
                .request
                .streams
                .iter()
                .any(|stream| stream == SQL_STREAM)
            {
                format!("`copal dump` the snapshot's streams/{SQL_STREAM}")
            } else {
                format!(
                    "make an SQL script of the database with {}",
                    h2::releases_of(old)
                )
            };
            plan.findings.push(
                Finding::error(
                    "jpom.h2.format",
                    format!(
                        "The snapshot's database has format {old}, but the target's Jpom works with format {new}: {} can't open it.",
                        h2::releases_of(new)
                    ),
                )
                .remedy(format!(
                    "Install the Jpom that the snapshot is of ({}). Or {script} and import it with Jpom's --replace-import-h2-sql=PATH.",
                    h2::releases_of(old)
                ))
                .at(self.at(&database.file())),
            );
        }
        Ok(())
    }

    /// Adds the step that stops the target's Jpom, or refuses where it seems to run.
    ///
    /// Nothing starts it again: a restore that failed half-way must not run, and one that succeeded is looked at first.
    fn stop(&self, plan: &mut RestorePlan) {
        let config = &self.request.config;
        let open = self
            .new
            .database
            .as_ref()
            .filter(|database| !database.clean());
        let service = Service::of(config);
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
    }

    /// The id that the restored Jpom has, and what that means for the target's own.
    fn identity(&self, plan: &mut RestorePlan) -> String {
        let old = &self.install.install_id;
        let there = self.new.id();
        match self.request.intent {
            Intent::Recover => {
                if there.is_some_and(|id| id != old) {
                    plan.findings.push(
                        Finding::error("jpom.identity.differs", format!("The target is another Jpom: its id is {}, the snapshot's is {old}.", there.unwrap_or_default()))
                            .remedy("Use `--intent migrate` to give the target the snapshot's identity, or `clone` to keep its own."),
                    );
                }
                old.clone()
            }
            Intent::Migrate => {
                if let Some(id) = there.filter(|id| id != old) {
                    plan.findings.push(Finding::info(
                        "jpom.identity.replaced",
                        format!("The target's own id {id} gives way to the snapshot's, {old}."),
                    ));
                }
                old.clone()
            }
            Intent::Clone => {
                let configured = self.request.config.install_id.clone();
                let own = there.filter(|id| id != old).map(str::to_owned);
                let id = configured.or(own);
                let id =
                    id.unwrap_or_else(|| new_id(old, &self.target.location(), self.request.now));
                if id == *old {
                    plan.findings.push(
                        Finding::error("jpom.identity.same", "`install_id` is the id of the original, and a clone must have another.")
                            .remedy("Leave `install_id` out to have one made, or use `--intent migrate`."),
                    );
                }
                plan.findings.push(Finding::info(
                    "jpom.identity.new",
                    format!("The clone's id is {id}; the original's is {old}."),
                ));
                id
            }
        }
    }

    /// Removes the record of executed scripts where the snapshot has none: it belongs to the database, and Jpom skips what it names.
    fn remove_stale(&self, plan: &mut RestorePlan) -> Result<(), Failure> {
        let record = self.layout.path("db/execute.init.sql.log");
        let source = main_tree(&self.request.snapshot)?;
        if self.target.exists(&record)? && !source.exists(&record)? {
            plan.before.push(Step::new(
                "remove-script-record",
                "Remove the target's record of executed SQL, which does not belong to the restored database",
                Action::Remove(Location::root(&self.layout.root, record)),
            ));
        }
        Ok(())
    }

    /// The changes inside the database, run by the host where Java is configured, else told to the operator.
    fn change_database(&self, plan: &mut RestorePlan, id: &str) {
        let script = self.script(plan, id);
        let intent = self.request.intent;
        if let Mode::External(name) = &self.old.mode {
            if intent != Intent::Recover {
                plan.findings.push(
                    Finding::warning("jpom.sql.by-hand", format!("The {name} database has to be changed too, before Jpom starts for the first time."))
                        .remedy(format!(
                            "Run this on the database that the restored Jpom uses, for a clone on a copy of the original's:\n{}",
                            script.by_hand()
                        )),
                );
            }
            return;
        }
        let Some(database) = &self.old.database else {
            return;
        };
        let settings = &self.old.settings;
        let location = format!("{{root:{}}}/{}", self.layout.root, literal(&database.path));
        let opened = java::Database::new(location, settings);
        // A URL ends its path at the first semicolon.
        let java = Java::of(&self.request.config, settings)
            .filter(|_| !self.target.location().contains(';'));
        match java {
            Some(java) => {
                let (title, opened) = match intent {
                    Intent::Recover => ("Read the ids in the database", opened.read_only()),
                    Intent::Migrate => ("Give the database its new place", opened),
                    Intent::Clone => ("Give the database its new identity and place", opened),
                };
                let file = WriteFile::new(Location::scratch(SCRIPT), [literal(&script.for_h2())])
                    .mode(0o600);
                plan.after.push(java.arguments("RunScript"));
                plan.after.push(Step::new(
                    "write-identity-sql",
                    "Write the SQL for the database",
                    file,
                ));
                plan.after.push(
                    Step::new(IDENTITY_STEP, title, java.run_script(&opened, SCRIPT)).captured(),
                );
            }
            None if intent == Intent::Recover => {}
            None => {
                let url =
                    java::Database::new(join(&self.target.location(), &database.path), settings)
                        .url();
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
    }

    fn script(&self, plan: &mut RestorePlan, id: &str) -> Script {
        let config = &self.request.config;
        let location = join(&self.target.location(), &self.layout.base);
        let left_out = matches!(
            self.request.facts.get(fact::WITHOUT_DB_BACKUP),
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
        let Some(old) = self.request.facts.get::<String>(fact::LOCATION)? else {
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

/// The absolute path of the snapshot's root on its own host; empty where the manifest does not tell.
fn source_location(request: &RestoreRequest<'_, Config>) -> Result<String, Failure> {
    let location: String = request.facts.get(fact::LOCATION)?.unwrap_or_default();
    let base: String = request.facts.get(fact::BASE)?.unwrap_or_default();
    let root = location.strip_suffix(&base).unwrap_or(&location);
    Ok(root.trim_end_matches('/').to_owned())
}

/// An id for a clone, as Jpom makes them: 32 hexadecimal digits. A plugin has no chance of its own to draw on.
fn new_id(old: &str, location: &str, now: Timestamp) -> String {
    let mut hash = Sha256::new();
    for part in [
        "copal/jpom clone",
        old,
        location,
        &now.seconds.to_string(),
        &now.nanoseconds.to_string(),
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
