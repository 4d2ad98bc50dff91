//! What a job is going to do, before anything happens: the plugin's plan with the host's checks.

use std::collections::BTreeMap;

use copal_sandbox::{
    Action, Base, Capability, Condition, Finding, Grant, Grants, Location, Severity, Step,
};
use serde::Serialize;

use crate::error::Error;

/// A grant that a plan needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Needed {
    /// The grant that covers exactly what the plan does.
    pub grant: Grant,
    /// What it is needed for: the titles of steps, the names of streams.
    pub used_by: Vec<String>,
    /// Why the plugin asks for it, where it says so.
    pub reason: Option<String>,
    /// Whether the operator has allowed it.
    pub given: bool,
}

/// Collects the grants that the parts of a plan need.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    by_grant: BTreeMap<String, Need>,
}

#[derive(Debug)]
struct Need {
    grant: Grant,
    used_by: Vec<String>,
    given: bool,
}

impl Needs {
    /// Adds what the steps need. Writing to roots needs a grant unless they are the targets of a restore.
    pub(crate) fn steps(&mut self, steps: &[Step], grants: &Grants, roots_are_targets: bool) {
        for step in steps {
            for action in std::iter::once(&step.action).chain(&step.undo) {
                self.action(action, &step.title, grants, roots_are_targets);
            }
        }
    }

    /// Adds a command.
    pub(crate) fn command(&mut self, argv: &[String], used_by: &str, grants: &Grants) {
        self.add(Grant::for_command(argv), used_by, grants.allows_command(argv));
    }

    /// Adds a grant that a probe was refused for.
    pub(crate) fn probe(&mut self, grant: Grant) {
        self.add(grant, "Looking at the application's state", false);
    }

    fn action(&mut self, action: &Action, title: &str, grants: &Grants, roots_are_targets: bool) {
        match action {
            Action::Run(command) => self.command(&command.argv, title, grants),
            Action::Http(request) => self.http(&request.method, &request.url, title, grants),
            Action::Wait(wait) => match &wait.condition {
                Condition::CommandSucceeds(command) => self.command(&command.argv, title, grants),
                Condition::Responds(request) => self.http(&request.method, &request.url, title, grants),
            },
            Action::Write(write) => self.location(&write.to, title, grants, roots_are_targets),
            Action::Copy(copy) => self.location(&copy.to, title, grants, roots_are_targets),
            Action::Remove(location) => self.location(location, title, grants, roots_are_targets),
            Action::Rename(rename) => {
                self.location(&rename.from, title, grants, roots_are_targets);
                self.location(&rename.to, title, grants, roots_are_targets);
            }
        }
    }

    fn http(&mut self, method: &str, url: &str, used_by: &str, grants: &Grants) {
        // The validator refuses URLs for which there can be no grant.
        if let Some(grant) = Grant::for_http(method, url) {
            self.add(grant, used_by, grants.allows_http(method, url));
        }
    }

    fn location(&mut self, location: &Location, used_by: &str, grants: &Grants, roots_are_targets: bool) {
        if let Base::Root(root) = &location.base
            && !roots_are_targets
        {
            let grant = Grant::for_write(root, &location.path);
            self.add(grant, used_by, grants.allows_write(root, &location.path));
        }
    }

    fn add(&mut self, grant: Grant, used_by: &str, given: bool) {
        let need = self.by_grant.entry(grant.to_string());
        let need = need.or_insert_with(|| Need { grant, used_by: Vec::new(), given });
        if !need.used_by.iter().any(|other| other == used_by) {
            need.used_by.push(used_by.to_owned());
        }
    }

    /// The list, with the plugin's reasons.
    pub(crate) fn list(self, capabilities: &[Capability]) -> Vec<Needed> {
        let reason = |grant: &Grant| {
            let asked = capabilities.iter().find(|capability| covers(&capability.grant, grant));
            asked.map(|capability| capability.reason.clone())
        };
        let needed = self.by_grant.into_values();
        needed
            .map(|need| Needed { reason: reason(&need.grant), grant: need.grant, used_by: need.used_by, given: need.given })
            .collect()
    }
}

/// Whether a capability's pattern covers an exact grant.
fn covers(pattern: &str, grant: &Grant) -> bool {
    pattern.parse::<Grant>().is_ok_and(|pattern| pattern.includes(grant))
}

/// Refuses a plan with an error among its findings, or with a grant that was not given.
pub(crate) fn approve(findings: &[Finding], needed: &[Needed]) -> Result<(), Error> {
    let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).cloned().collect();
    if !errors.is_empty() {
        return Err(Error::Refused(errors));
    }
    let missing: Vec<_> = needed.iter().filter(|need| !need.given).map(|need| need.grant.clone()).collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::Grants(missing)) }
}

/// A finding of the host's own.
pub(crate) fn finding(severity: Severity, code: &str, message: String, remedy: Option<String>) -> Finding {
    Finding { severity, code: code.to_owned(), message, remedy, path: None }
}

/// The plugin's answer, or the missing grants where it failed for want of them.
pub(crate) fn after_probes<T>(
    planned: Result<T, copal_sandbox::Error>,
    probe: &crate::probe::GrantedProbe,
) -> Result<T, Error> {
    planned.map_err(|error| match error {
        copal_sandbox::Error::Guest(failure) if failure.kind == copal_sandbox::FailureKind::Denied => {
            let missing = probe.missing();
            if missing.is_empty() { copal_sandbox::Error::Guest(failure).into() } else { Error::Grants(missing) }
        }
        error => error.into(),
    })
}
