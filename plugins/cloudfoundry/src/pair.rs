//! One database, as the snapshot has it and as the target has it: what of a dump fits there.

use std::collections::BTreeMap;

use copal_sdk::{Facts, Failure, Finding, Intent, RestorePlan, RestoreRequest, Tree};

use crate::Loading;
use crate::backup::refuse_other;
use crate::config::{Buildpacks, Config};
use crate::database::{Database, Owner};
use crate::facts;
use crate::survey::{Survey, Table};

/// The largest survey of a snapshot that is read.
const SURVEY_LIMIT: usize = 64 << 20;
/// The tables that say how far a schema is migrated, which is the target's affair.
const MIGRATIONS: [&str; 3] = [
    "flyway_schema_history",
    "schema_migrations",
    "schema_version",
];
/// How many names a finding lists.
const NAMED: usize = 8;

/// One database, as the snapshot has it and as the target has it.
pub(crate) struct Pair<'a> {
    pub(crate) database: Database<'a>,
    pub(crate) source: Survey,
    pub(crate) target: Survey,
    pub(crate) loading: Loading,
}

/// The survey of a database that a snapshot holds.
pub(crate) fn stored_survey(streams: &dyn Tree, owner: Owner) -> Result<Survey, Failure> {
    let bytes = streams.read_all(owner.survey(), SURVEY_LIMIT)?;
    Survey::parse(&bytes, &format!("the snapshot's {}", owner.name()))
}

/// What the backup's plan saw of a database, where the snapshot is yet to be made.
fn planned_survey(facts: &Facts, owner: Owner) -> Result<Survey, Failure> {
    let mut surveys: BTreeMap<String, Survey> = facts.require(facts::SURVEYS)?;
    surveys.remove(owner.name()).ok_or_else(|| {
        Failure::missing(
            "cloudfoundry.survey.missing",
            format!("the snapshot tells nothing of {}", owner.name()),
        )
    })
}

impl<'a> Pair<'a> {
    pub(crate) fn new(
        request: &RestoreRequest<'a, Config>,
        database: Database<'a>,
    ) -> Result<Self, Failure> {
        let owner = database.owner;
        let source = match request.snapshot.get("streams") {
            Some(streams) => stored_survey(streams, owner)?,
            None => planned_survey(&request.facts, owner)?,
        };
        let target = database.look(request.probe, Some(&source))?;
        Ok(Self {
            database,
            source,
            target,
            loading: Loading::default(),
        })
    }

    /// Whether the target's database has no table at all, so that its schema comes from the snapshot.
    pub(crate) fn is_bare(&self) -> bool {
        self.target.tables().is_empty()
    }

    /// The tables that are loaded.
    pub(crate) fn loaded(&self) -> impl Iterator<Item = &Table> {
        let loaded = |table: &&Table| {
            self.is_bare()
                || (self.loading.replaced.contains(&table.name)
                    && !self.loading.left_out.contains(&table.name))
        };
        self.source.tables().iter().filter(loaded)
    }

    /// Checks the database itself and how its schema differs, and settles what of the dump is loaded.
    pub(crate) fn prepare(
        &mut self,
        request: &RestoreRequest<'_, Config>,
        plan: &mut RestorePlan,
    ) -> Result<(), Failure> {
        let shown = self.database.shown();
        if !self.target.superuser {
            plan.findings.push(
                Finding::error(
                    "cloudfoundry.target.superuser",
                    format!("The role that connects to {shown} is no superuser, and only one may load rows whose foreign keys form a circle."),
                )
                .remedy("Set `user` to a superuser, such as vcap."),
            );
        }
        if self.is_bare() {
            plan.findings.push(match request.intent == Intent::Migrate && !request.rehearsal {
                true => Finding::error("cloudfoundry.target.not-installed", format!("The target's {shown} has no tables."))
                    .remedy("Install the target first: a migration moves rows into a schema of the target's own release. `--intent recover` restores the schema too."),
                false => Finding::info("cloudfoundry.schema.restored", format!("The target's {shown} is empty, so its schema is restored from the snapshot.")),
            });
            return Ok(());
        }
        if request.rehearsal {
            plan.findings.push(
                Finding::error(
                    "cloudfoundry.drill.in-use",
                    format!("The database {shown} holds tables, and a drill replaces nothing."),
                )
                .remedy("Let the drill make its own PostgreSQL server, with empty databases."),
            );
            return Ok(());
        }
        refuse_other(&self.database, &self.target)?;
        self.compare_schemas(&request.config, plan);
        self.compare_kept(plan);
        self.compare_migrations(plan);
        self.refuse_occupied(request, plan);
        Ok(())
    }

    fn compare_schemas(&mut self, config: &Config, plan: &mut RestorePlan) {
        let name = self.database.owner.name();
        let mut error = |code: &str, message: String, remedy: &str| {
            plan.findings
                .push(Finding::error(code, message).remedy(remedy));
        };
        let kept = |table: &str| is_named(self.database.kept(), table);
        let target_buildpacks = self.database.owner == Owner::CloudController
            && config.buildpacks() == Buildpacks::Target;
        let loading = &mut self.loading;
        loading
            .left_out
            .extend(self.database.kept().iter().cloned());
        for table in self.source.tables() {
            let filled = table.filled == Some(true);
            if kept(&table.name) {
                continue;
            }
            if target_buildpacks && table.name == "buildpacks" {
                loading.left_out.insert(table.name.clone());
                continue;
            }
            let Some(there) = self.target.table(&table.name) else {
                if filled {
                    error(
                        "cloudfoundry.schema.table",
                        format!(
                            "The snapshot's {name} has rows in `{}`, a table that the target does not have.",
                            table.name
                        ),
                        "Restore into a release that has it, or name it in `keep_ccdb` or `keep_uaadb` if its rows may be lost.",
                    );
                }
                loading.left_out.insert(table.name.clone());
                continue;
            };
            let lacking = missing(table, there, |_| true);
            if filled && !lacking.is_empty() {
                error(
                    "cloudfoundry.schema.column",
                    format!(
                        "The snapshot's {name} has values in `{}` ({}), columns that the target does not have.",
                        table.name,
                        some(&lacking)
                    ),
                    "Restore into a release that has them.",
                );
            }
            let required = missing(there, table, |column| column.required);
            if filled && !required.is_empty() {
                error(
                    "cloudfoundry.schema.required",
                    format!(
                        "The target's {name} asks for values in `{}` ({}) that the snapshot does not have.",
                        table.name,
                        some(&required)
                    ),
                    "Restore into the release between the two, and update that.",
                );
            }
            if !lacking.is_empty() {
                loading.left_out.insert(table.name.clone());
            }
            loading.replaced.insert(table.name.clone());
        }
        let there = self.target.sequences();
        let (here, gone): (Vec<_>, Vec<_>) = self
            .source
            .sequences()
            .iter()
            .partition(|sequence| there.iter().any(|there| there.name == sequence.name));
        // A table that keeps its rows keeps counting them.
        let kept = here.into_iter().filter(|sequence| {
            let table = sequence.table.as_deref();
            table.is_some_and(|table| is_named(&loading.left_out, table))
        });
        let kept: Vec<_> = kept.map(|sequence| sequence.name.clone()).collect();
        loading.left_sequences.extend(kept);
        let gone: Vec<_> = gone.iter().map(|sequence| sequence.name.clone()).collect();
        if !gone.is_empty() {
            plan.findings.push(Finding::info(
                "cloudfoundry.schema.sequence",
                format!(
                    "The target's {name} does not have the sequences {}; they are not set.",
                    some(&gone)
                ),
            ));
        }
        self.loading.left_sequences.extend(gone);
        self.note_newer(plan);
    }

    /// Says what the target has that the snapshot does not fill.
    fn note_newer(&self, plan: &mut RestorePlan) {
        let mut newer = Vec::new();
        for table in self.target.tables() {
            match self.source.table(&table.name) {
                None => newer.push(table.name.clone()),
                Some(source) => newer.extend(missing(table, source, |_| true)),
            }
        }
        if !newer.is_empty() {
            plan.findings.push(Finding::info(
                "cloudfoundry.schema.newer",
                format!(
                    "The target's {} has tables and columns that the snapshot knows nothing of, and that stay as they are or at their defaults: {}.",
                    self.database.owner.name(),
                    some(&newer)
                ),
            ));
        }
    }

    /// Names the rows of the snapshot that the target's own stand in for.
    fn compare_kept(&self, plan: &mut RestorePlan) {
        let kept = self.source.digests().iter().filter(|digest| {
            is_named(self.database.kept(), &digest.table)
                && !MIGRATIONS.contains(&digest.table.as_str())
        });
        let differ: Vec<_> = kept
            .filter_map(|source| {
                let mut there = self.target.digests().iter();
                let there = there.find(|there| there.table == source.table);
                (there != Some(source)).then(|| {
                    format!(
                        "{} ({} of {} rows)",
                        source.table,
                        there.map_or(0, |there| there.rows),
                        source.rows
                    )
                })
            })
            .collect();
        if !differ.is_empty() {
            plan.findings.push(
                Finding::warning(
                    "cloudfoundry.rows.kept",
                    format!(
                        "The target's {} keeps its own rows, which are not the snapshot's, in {}.",
                        self.database.owner.name(),
                        some(&differ)
                    ),
                )
                .remedy("If the source's are needed, such as its zones and identity providers, take the table out of `keep_ccdb` or `keep_uaadb`, or make them again."),
            );
        }
    }

    fn compare_migrations(&self, plan: &mut RestorePlan) {
        let target = self.target.migrations();
        let unknown: Vec<_> = self
            .source
            .migrations()
            .iter()
            .filter(|migration| !target.contains(migration))
            .cloned()
            .collect();
        if unknown.is_empty() || target.is_empty() {
            return;
        }
        let name = self.database.owner.name();
        let message = format!(
            "The snapshot's {name} has been migrated further than the target's, or otherwise: {} of its migrations are unknown there ({}).",
            unknown.len(),
            some(&unknown)
        );
        // UAA's releases renumber their migrations; tables and columns decide.
        plan.findings.push(match self.database.owner {
            Owner::CloudController => Finding::error("cloudfoundry.schema.ahead", message)
                .remedy("Restore into the same release or a later one."),
            Owner::Uaa => Finding::warning("cloudfoundry.schema.differs", message)
                .remedy("See that the target's UAA is of the same release or a later one."),
        });
    }

    fn refuse_occupied(&self, request: &RestoreRequest<'_, Config>, plan: &mut RestorePlan) {
        let (Some(source), Some(target)) = (self.source.occupants(), self.target.occupants())
        else {
            return;
        };
        let what = match self.database.owner {
            Owner::CloudController => "apps",
            Owner::Uaa => "users besides its administrator",
        };
        if target.count == 0 {
            return;
        }
        if source == target {
            plan.findings.push(Finding::info(
                "cloudfoundry.target.repeated",
                format!("The target has the snapshot's {what} already, and gets them again."),
            ));
        } else if request.config.replace || request.intent == Intent::Recover {
            plan.findings.push(Finding::warning(
                "cloudfoundry.target.replaced",
                format!(
                    "The target has {} {what}, which are replaced.",
                    target.count
                ),
            ));
        } else {
            plan.findings.push(
                Finding::error(
                    "cloudfoundry.target.in-use",
                    format!("The target has {} {what}, so it is not freshly installed.", target.count),
                )
                .remedy("Migrate into a fresh installation. If what this one holds may go, set `replace=true`."),
            );
        }
    }
}

/// The columns of `table` that `other` does not have, as `TABLE.COLUMN`.
fn missing(
    table: &Table,
    other: &Table,
    counts: impl Fn(&crate::survey::Column) -> bool,
) -> Vec<String> {
    let columns = table.columns.iter().filter(|column| {
        counts(column) && !other.columns.iter().any(|there| there.name == column.name)
    });
    columns
        .map(|column| format!("{}.{}", table.name, column.name))
        .collect()
}

/// Whether a table of the schema `public` is among those that are spelled `TABLE` or `SCHEMA.TABLE`.
fn is_named<'a>(tables: impl IntoIterator<Item = &'a String>, table: &str) -> bool {
    tables
        .into_iter()
        .any(|named| named.strip_prefix("public.").unwrap_or(named) == table)
}

/// The first few of some names.
pub(crate) fn some(names: &[String]) -> String {
    let first = names.get(..NAMED).unwrap_or(names).join(", ");
    match names.len().checked_sub(NAMED) {
        None | Some(0) => first,
        Some(more) => format!("{first} and {more} more"),
    }
}
