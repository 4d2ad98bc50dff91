//! The conformance suite: whether a plugin keeps the contract, whatever it is handed.

mod filters;
mod findings;
mod odd;
mod passes;
mod plans;
mod restores;
mod rules;
mod sample;

use std::collections::BTreeMap;

use copal_sandbox::types::{Description, Direction, Failure};
use copal_sandbox::{Error, Plugin};

use self::sample::Sample;
use crate::case::Case;
use crate::report::{Collector, Report, Rule};

/// The checks of a plugin's conduct. Without cases it has only trees to show that no plugin knows, and most of a plugin stays in the dark.
#[derive(Debug, Default)]
pub struct Suite<'a> {
    cases: &'a [Case],
}

impl<'a> Suite<'a> {
    /// A suite that shows empty and hostile trees.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows the trees of these cases too, as they are and mangled.
    #[must_use]
    pub fn cases(self, cases: &'a [Case]) -> Self {
        Self { cases }
    }

    /// Makes all checks.
    ///
    /// # Errors
    /// The plugin can't describe itself; [`check`](crate::check) says more about that.
    pub fn run(&self, plugin: &Plugin) -> Result<Report, Error> {
        let description = plugin.describe()?;
        let mut run = Run {
            plugin,
            description,
            checks: Collector::new(rules::ALL),
            planned: BTreeMap::new(),
            unplanned: None,
            unknown: Asked::default(),
        };
        let cases: Vec<Sample<'_>> = self.cases.iter().map(Sample::of_case).collect();
        for sample in &cases {
            run.sample(sample);
            run.mangled(sample);
        }
        for sample in Sample::made(description) {
            run.states(&sample.name, Direction::Backup, &[], &sample.roots);
            run.sample(&sample);
        }
        run.intents();
        run.unseen(cases.is_empty());
        Ok(run.checks.report())
    }
}

/// One run of the suite.
struct Run<'a> {
    plugin: &'a Plugin,
    description: &'a Description,
    checks: Collector,
    /// For each intent that a case was restored with, why no plan would be carried out; nothing once there was one.
    planned: BTreeMap<&'static str, Option<String>>,
    /// Why a backup was not planned, the first time.
    unplanned: Option<String>,
    /// What was asked with a configuration that has an unknown key.
    unknown: Asked,
}

/// What was asked once, with a configuration that it takes and then with one that it must not take.
#[derive(Debug, Default)]
struct Asked {
    plan_backup: bool,
    plan_restore: bool,
    verify: bool,
}

impl Run<'_> {
    /// Why the checks that were not made were not.
    fn unseen(&mut self, without_cases: bool) {
        let case = match without_cases {
            true => "give cases with trees of the application",
            false => "add a case",
        };
        let no_plan = match &self.unplanned {
            Some(why) => format!("no backup could be planned ({why}): {case}"),
            None => format!("no backup could be planned: {case}"),
        };
        for rule in rules::ALL {
            let reason = match rule.name.split_once('.') {
                Some((_, "intents")) => {
                    "no case has its backup restored: add one with a table `[restore]`".to_owned()
                }
                Some(("filter", _)) => format!("no file or stream was filtered: {case}"),
                Some(("detect", _)) => format!("nothing was detected: {case}"),
                Some(("process", _)) => {
                    format!("neither `detect` nor `verify` ran a command: {case}")
                }
                Some(("findings", _)) => "the plugin reported nothing".to_owned(),
                _ => no_plan.clone(),
            };
            self.checks.skipped(rule, reason);
        }
    }

    /// Everything that can be seen by one sample.
    fn sample(&mut self, sample: &Sample<'_>) {
        self.detect(sample);
        if let Some(plan) = self.plan_backup(sample) {
            self.passes_of_backup(sample, &plan);
            self.restores(sample, &plan);
        }
    }

    /// The answer of a call that may fail but must do so cleanly; none where it failed, with its failure kept apart.
    fn survives<T>(
        &mut self,
        rule: &'static Rule,
        place: &str,
        answer: Result<T, Error>,
    ) -> Result<T, Option<Failure>> {
        match answer {
            Ok(answer) => {
                self.checks.held(rule);
                Ok(answer)
            }
            Err(Error::Guest(failure)) => {
                self.checks.held(rule);
                self.failure(place, &failure);
                Err(Some(failure))
            }
            Err(error) => {
                let rule = match &error {
                    Error::Undeclared { .. } => rules::declared(rule),
                    _ => rule,
                };
                self.checks.broken(rule, format!("{place}: {error}"));
                Err(None)
            }
        }
    }
}
