//! What checks found.

use std::fmt;

use serde::Serialize;

/// Problems of one check that are kept; how many more there were is counted.
const MAX_PROBLEMS: usize = 10;

/// One demand of the contract.
#[derive(Debug)]
pub(crate) struct Rule {
    /// What the check is called, such as `filter.chunks`.
    pub(crate) name: &'static str,
    /// What the contract demands.
    pub(crate) demand: &'static str,
}

/// What all checks found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The checks in the order in which they were made.
    pub checks: Vec<Check>,
}

/// What one check found.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// The check's name.
    pub name: &'static str,
    /// What the contract demands.
    pub rule: &'static str,
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a check went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The plugin keeps the rule, as far as was seen.
    Passed,
    /// It breaks the rule.
    Failed {
        /// How, and where.
        problems: Vec<String>,
        /// How many more there were.
        more: usize,
    },
    /// There was nothing to check it by.
    Skipped {
        /// Why.
        reason: String,
    },
}

impl Report {
    /// Whether a check failed.
    pub fn failed(&self) -> bool {
        self.checks
            .iter()
            .any(|check| matches!(check.outcome, Outcome::Failed { .. }))
    }

    /// How the check of this name went; none where there is no such check.
    pub fn outcome(&self, name: &str) -> Option<&Outcome> {
        let check = self.checks.iter().find(|check| check.name == name);
        check.map(|check| &check.outcome)
    }

    /// Adds the checks of another report.
    pub fn extend(&mut self, other: Self) {
        self.checks.extend(other.checks);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            match &check.outcome {
                Outcome::Passed => writeln!(f, "passed   {}", check.name)?,
                Outcome::Skipped { reason } => writeln!(f, "skipped  {}: {reason}", check.name)?,
                Outcome::Failed { problems, more } => {
                    writeln!(f, "FAILED   {}", check.name)?;
                    writeln!(f, "           rule: {}", check.rule)?;
                    for problem in problems {
                        writeln!(f, "           {problem}")?;
                    }
                    if *more > 0 {
                        writeln!(f, "           … and {more} more")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Collects what is found while checks run in any order and number.
pub(crate) struct Collector {
    states: Vec<(&'static Rule, State)>,
}

#[derive(Default)]
struct State {
    held: bool,
    problems: Vec<String>,
    more: usize,
    skipped: Option<String>,
}

impl Collector {
    /// A collector for these rules; each is skipped until something is found.
    pub(crate) fn new(rules: &[&'static Rule]) -> Self {
        let states = rules.iter().map(|rule| (*rule, State::default()));
        Self {
            states: states.collect(),
        }
    }

    fn state(&mut self, rule: &'static Rule) -> &mut State {
        let place = self
            .states
            .iter()
            .position(|(own, _)| own.name == rule.name);
        let place = place.unwrap_or_else(|| {
            self.states.push((rule, State::default()));
            self.states.len() - 1
        });
        &mut self.states[place].1
    }

    /// The rule was kept.
    pub(crate) fn held(&mut self, rule: &'static Rule) {
        self.state(rule).held = true;
    }

    /// The rule was broken.
    pub(crate) fn broken(&mut self, rule: &'static Rule, problem: impl Into<String>) {
        let problem = problem.into();
        let state = self.state(rule);
        if state.problems.contains(&problem) {
            return;
        }
        if state.problems.len() < MAX_PROBLEMS {
            state.problems.push(problem);
        } else {
            state.more += 1;
        }
    }

    /// The rule was kept or broken.
    pub(crate) fn rule(
        &mut self,
        rule: &'static Rule,
        holds: bool,
        problem: impl FnOnce() -> String,
    ) {
        match holds {
            true => self.held(rule),
            false => self.broken(rule, problem()),
        }
    }

    /// There was nothing to check the rule by here; another time there may be.
    pub(crate) fn skipped(&mut self, rule: &'static Rule, reason: impl Into<String>) {
        self.state(rule).skipped.get_or_insert(reason.into());
    }

    pub(crate) fn report(self) -> Report {
        let checks = self.states.into_iter().map(|(rule, state)| Check {
            name: rule.name,
            rule: rule.demand,
            outcome: match state {
                State { problems, more, .. } if !problems.is_empty() => {
                    Outcome::Failed { problems, more }
                }
                State { held: true, .. } => Outcome::Passed,
                State { skipped, .. } => Outcome::Skipped {
                    reason: skipped.unwrap_or_else(|| "nothing came up to check it by".to_owned()),
                },
            },
        });
        Report {
            checks: checks.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static ONE: Rule = Rule {
        name: "one",
        demand: "One holds.",
    };

    #[test]
    fn one_problem_outweighs_everything_else_and_a_check_outweighs_a_skip() {
        let mut collector = Collector::new(&[&ONE]);
        collector.skipped(&ONE, "nothing there");
        collector.held(&ONE);
        assert_eq!(collector.report().outcome("one"), Some(&Outcome::Passed));
        let mut collector = Collector::new(&[&ONE]);
        for number in 0..12 {
            collector.broken(&ONE, format!("problem {number}"));
            collector.broken(&ONE, "problem 0");
        }
        collector.held(&ONE);
        let report = collector.report();
        assert!(report.failed());
        let Some(Outcome::Failed { problems, more }) = report.outcome("one") else {
            panic!("{report}");
        };
        assert_eq!((problems.len(), *more), (MAX_PROBLEMS, 2));
    }
}
