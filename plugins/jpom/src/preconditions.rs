//! What a restore is made from, and what refuses it before a byte is written.

use copal_sdk::h2;
use copal_sdk::{Failure, Finding, Intent, RestorePlan, RestoreRequest, Timestamp, Tree};
use sha2::{Digest, Sha256};

use crate::backup::{SQL_STREAM, wrong_jar};
use crate::config::Config;
use crate::facts;
use crate::install_json::InstallJson;
use crate::java;
use crate::layout::{CONF, Layout, join};
use crate::survey::{Install, Mode, Survey, main_tree};

/// All that the parts of a plan are made from.
pub(crate) struct Restore<'a> {
    pub(crate) request: &'a RestoreRequest<'a, Config>,
    pub(crate) target: &'a dyn Tree,
    /// The absolute path of the root that the snapshot was made from.
    pub(crate) source_location: String,
    /// The snapshot's Jpom.
    pub(crate) old: Survey,
    pub(crate) layout: Layout,
    pub(crate) install: InstallJson,
    /// The target's Jpom, as it is now.
    pub(crate) new: Survey,
}

/// The tree of a snapshot's streams.
const STREAMS: &str = "streams";

impl<'a> Restore<'a> {
    /// Looks at both sides; none where the plan can only be refused.
    pub(crate) fn prepare(
        request: &'a RestoreRequest<'a, Config>,
        plan: &mut RestorePlan,
    ) -> Result<Option<Self>, Failure> {
        let roots = request.snapshot.iter().map(|tree| tree.name());
        // The streams lie in a tree of their own, which is placed nowhere.
        for name in roots.filter(|name| name != STREAMS) {
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
        let source_location = facts::root_location(&request.facts)?;
        let conf = request.snapshot.get(CONF);
        let old = Survey::of(source, conf, &[&source_location])?;
        let new = Survey::of(target, request.targets.get(CONF), &[&target.location()])?;
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
        let recorded: Option<String> = request.facts.get(facts::INSTALL_ID)?;
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
            (mode, _) => plan.findings.push(
                Finding::warning("jpom.db.external", format!("This Jpom keeps its data in another database ({}), which is not in the snapshot.", mode.name()))
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

    pub(crate) fn at(&self, path: &str) -> String {
        join(&self.layout.root, path)
    }

    /// Refuses a target in which two installations would lie in one another.
    pub(crate) fn refuse_mixed(&self, plan: &mut RestorePlan) -> Result<(), Failure> {
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
        let source = main_tree(&self.request.snapshot)?;
        for path in self.new.install.iter().flat_map(Install::paths) {
            if !source.exists(path)? {
                plan.findings.push(
                    Finding::error("jpom.target.install", "The target has an INSTALL.json here, where the snapshot has none: it would stay, beside the restored one.")
                        .remedy("Move it away, or restore into an empty folder.")
                        .at(self.at(path)),
                );
            }
        }
        Ok(())
    }

    /// Refuses a database that the target's H2 can't open.
    pub(crate) fn refuse_formats(&self, plan: &mut RestorePlan) -> Result<(), Failure> {
        let Some(database) = &self.old.database else {
            return Ok(());
        };
        let tools = java::tools(&self.request.config, &self.old.settings);
        let jar = tools.and_then(|tools| wrong_jar(tools.release(), database));
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

    /// The id that the restored Jpom has, and what that means for the target's own.
    pub(crate) fn identity(&self, plan: &mut RestorePlan) -> String {
        let old = &self.install.install_id;
        let there = self.new.id();
        if self.request.config.install_id.is_some() && self.request.intent != Intent::Clone {
            plan.findings.push(
                Finding::error("jpom.identity.unused", format!("`install_id` is for a clone; any other restore gives the target the snapshot's id, {old}."))
                    .remedy("Leave `install_id` out, or use `--intent clone`."),
            );
        }
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
