//! Compares a history with the changelog: what both know, what is pending, what the changelog does not know.
//!
//! Liquibase itself takes a database that is ahead of its changelog for up to date. That is how an old release is put over a new database unseen.

use std::collections::HashSet;

use copal_sdk::{Failure, Finding, Severity, Tree};
use serde_json::{Value, json};

use crate::config::Config;
use crate::history::{History, Liquibase};
use crate::{changelog, flyway};

/// How many names a finding shows.
const SHOWN: usize = 20;

/// Which differences are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severe {
    /// None.
    Never,
    /// What the changelog does not know.
    Unexpected,
    /// What has not run.
    Pending,
    /// Both.
    Always,
}

/// What a history and a changelog have in common, and what not.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    tools: Vec<Tool>,
    findings: Vec<Finding>,
    change_sets: Vec<Value>,
    migrations: Vec<Value>,
}

/// The same for one tool.
#[derive(Debug)]
struct Tool {
    /// What it runs, as a person would call them.
    things: &'static str,
    applied: usize,
    pending: Vec<String>,
    unexpected: Vec<String>,
    filtered: Vec<String>,
}

pub(crate) fn compare(
    tree: &dyn Tree,
    config: &Config,
    history: &History,
) -> Result<Comparison, Failure> {
    let mut comparison = Comparison::default();
    if let Some(liquibase) = &history.liquibase {
        comparison.liquibase(tree, config, liquibase)?;
    }
    if let Some(history) = &history.flyway {
        let compared = flyway::compare(flyway::read(tree, &config.flyway_locations)?, history);
        let scripts = |migrations: &[flyway::Migration]| {
            migrations
                .iter()
                .map(|migration| migration.script.clone())
                .collect()
        };
        comparison.tools.push(Tool {
            things: "migrations of Flyway",
            applied: compared.applied.len(),
            pending: scripts(&compared.pending),
            unexpected: compared
                .unexpected
                .iter()
                .map(|installed| installed.script.clone())
                .collect(),
            filtered: scripts(&compared.below_baseline),
        });
        let pending = compared.pending.iter().map(|migration| {
            let version = migration.version.as_ref().map(|version| &version.text);
            json!([migration.script, version, migration.description])
        });
        comparison.migrations.extend(pending);
    }
    Ok(comparison)
}

impl Comparison {
    fn liquibase(
        &mut self,
        tree: &dyn Tree,
        config: &Config,
        history: &Liquibase,
    ) -> Result<(), Failure> {
        let read = changelog::read(tree, config)?;
        self.findings.extend(read.findings);
        let mut tool = Tool {
            things: "change sets of Liquibase",
            applied: 0,
            pending: Vec::new(),
            unexpected: Vec::new(),
            filtered: Vec::new(),
        };
        let paths: Vec<String> = history
            .change_sets
            .iter()
            .map(|ran| changelog::normalize(&ran.filename))
            .collect();
        let ran = history.change_sets.iter().zip(&paths);
        let ran: HashSet<_> = ran
            .map(|(ran, path)| (path.as_str(), ran.id.as_str(), ran.author.as_str()))
            .collect();
        let mut known = HashSet::new();
        for set in &read.change_sets {
            let path = changelog::normalize(&set.path);
            let shown = format!("{}::{}::{}", set.path, set.id, set.author);
            if ran.contains(&(path.as_str(), set.id.as_str(), set.author.as_str())) {
                tool.applied += 1;
            } else if let Some(why) = &set.filtered {
                tool.filtered.push(format!("{shown} ({why})"));
            } else {
                tool.pending.push(shown);
                self.change_sets.push(json!([set.path, set.id, set.author]));
            }
            known.insert((path, set.id.as_str(), set.author.as_str()));
        }
        for (ran, path) in history.change_sets.iter().zip(paths) {
            if !known.contains(&(path, ran.id.as_str(), ran.author.as_str())) {
                tool.unexpected.push(ran.shown());
            }
        }
        self.tools.push(tool);
        Ok(())
    }

    /// What Liquibase must have run afterwards: the path, the id and the author of each.
    pub(crate) fn expected_change_sets(&self) -> Value {
        self.change_sets.clone().into()
    }

    /// What Flyway must have run afterwards: the script, the version and the description of each.
    pub(crate) fn expected_migrations(&self) -> Value {
        self.migrations.clone().into()
    }

    /// Says it to a person.
    pub(crate) fn findings(&self, severe: Severe) -> Vec<Finding> {
        let mut findings = self.findings.clone();
        for tool in &self.tools {
            let things = tool.things;
            findings.push(Finding::info(
                "liquibase.history.applied",
                format!(
                    "{} {things} have run and are in the changelog.",
                    tool.applied
                ),
            ));
            if !tool.pending.is_empty() {
                let message = format!(
                    "{} {things} are pending: {}.",
                    tool.pending.len(),
                    some(&tool.pending)
                );
                findings.push(if matches!(severe, Severe::Pending | Severe::Always) {
                    Finding::error("liquibase.history.pending", message)
                        .remedy("See what the migration said, and run it again.")
                } else {
                    Finding::info("liquibase.history.pending", message)
                });
            }
            if !tool.unexpected.is_empty() {
                let message = format!(
                    "The database is ahead of its changelog: {} {things} have run and are not in it: {}.",
                    tool.unexpected.len(),
                    some(&tool.unexpected)
                );
                let severity = match severe {
                    Severe::Unexpected | Severe::Always => Severity::Error,
                    Severe::Never | Severe::Pending => Severity::Warning,
                };
                findings.push(
                    Finding {
                        severity,
                        ..Finding::error("liquibase.history.unexpected", message)
                    }
                    .remedy(
                        "Give the changelog of the release that the database is from, or a later one. Where these were taken out of it on \
                         purpose, set `allow_unexpected=true`.",
                    ),
                );
            }
            if !tool.filtered.is_empty() {
                findings.push(Finding::info(
                    "liquibase.history.filtered",
                    format!(
                        "{} {things} do not run here: {}.",
                        tool.filtered.len(),
                        some(&tool.filtered)
                    ),
                ));
            }
        }
        findings
    }
}

/// The first of some names, and how many more there are.
pub(crate) fn some<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
