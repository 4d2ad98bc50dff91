//! What a job is going to do, before anything happens: the plugin's plan with the host's checks.

use std::collections::BTreeMap;

use copal_sandbox::needs::Use;
use copal_sandbox::types::{FailureKind, Finding, Severity};
use copal_sandbox::{Ceiling, Grant, Grants, Need};
use serde::Serialize;

use crate::error::Error;
use crate::probe::GrantedProbe;

/// A grant that a plan needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Needed {
    /// The grant that covers exactly what the plan does.
    pub grant: Grant,
    /// What it is needed for: the titles of steps, the names of streams.
    pub used_by: Vec<String>,
    /// Why the plugin asks for it, in its own words.
    pub reason: String,
    /// Whether the operator has allowed it.
    pub given: bool,
}

/// Collects the grants that the parts of a plan need.
pub(crate) struct Needs<'a> {
    grants: &'a Grants,
    ceiling: &'a Ceiling,
    by_grant: BTreeMap<String, Needed>,
}

impl<'a> Needs<'a> {
    pub(crate) fn new(grants: &'a Grants, ceiling: &'a Ceiling) -> Self {
        Self {
            grants,
            ceiling,
            by_grant: BTreeMap::new(),
        }
    }

    /// Adds what parts of the plan need. Fails where the plugin does not declare it.
    pub(crate) fn add(&mut self, uses: Vec<Use>) -> Result<(), Error> {
        uses.into_iter()
            .try_for_each(|Use { need, by }| self.add_one(&need, &by))
    }

    fn add_one(&mut self, need: &Need, used_by: &str) -> Result<(), Error> {
        let reason = self.ceiling.reason(need)?;
        let needed = self.by_grant.entry(need.to_string());
        let needed = needed.or_insert_with(|| Needed {
            grant: need.grant(),
            used_by: Vec::new(),
            reason: reason.to_owned(),
            given: self.grants.allow(need),
        });
        if !needed.used_by.iter().any(|other| other == used_by) {
            needed.used_by.push(used_by.to_owned());
        }
        Ok(())
    }

    /// Adds what probes were refused for, and gives the list.
    pub(crate) fn list(mut self, probe: &GrantedProbe) -> Result<Vec<Needed>, Error> {
        for need in probe.refused() {
            self.add_one(&need, "looking at the application's state")?;
        }
        Ok(self.finish())
    }

    /// Gives the list.
    pub(crate) fn finish(self) -> Vec<Needed> {
        self.by_grant.into_values().collect()
    }
}

/// Refuses a plan with an error among its findings, or with a grant that was not given.
pub(crate) fn approve(findings: &[Finding], needed: &[Needed]) -> Result<(), Error> {
    let errors: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .cloned()
        .collect();
    if !errors.is_empty() {
        return Err(Error::Refused(errors));
    }
    let missing = needed.iter().filter(|needed| !needed.given);
    let missing: Vec<_> = missing.cloned().collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error::Grants(missing))
    }
}

/// A finding of the host's own.
pub(crate) fn finding(
    severity: Severity,
    code: &str,
    message: String,
    remedy: Option<String>,
) -> Finding {
    Finding {
        severity,
        code: code.to_owned(),
        message,
        remedy,
        path: None,
    }
}

/// The plugin's answer, or the missing grants where it failed for want of them.
pub(crate) fn after_probes<T>(
    planned: Result<T, copal_sandbox::Error>,
    probe: &GrantedProbe,
    ceiling: &Ceiling,
) -> Result<T, Error> {
    planned.or_else(|error| match error {
        copal_sandbox::Error::Guest(failure) if failure.kind == FailureKind::Denied => {
            let missing = Needs::new(&Grants::default(), ceiling).list(probe)?;
            Err(match missing.is_empty() {
                true => copal_sandbox::Error::Guest(failure).into(),
                false => Error::Grants(missing),
            })
        }
        error => Err(error.into()),
    })
}
