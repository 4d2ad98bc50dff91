//! What a job is going to do, before anything happens: the plugin's plan with the host's checks.

use std::collections::BTreeMap;

use copal_sandbox::types::{
    Action, Base, Command, Condition, Description, FailureKind, Finding, HttpRequest, Location,
    Severity, Step,
};
use copal_sandbox::{Grant, Grants};
use serde::Serialize;

use crate::error::Error;
use crate::places::Root;
use crate::probe::GrantedProbe;
use crate::process::granted_words;

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
pub(crate) struct Needs<'a> {
    grants: &'a Grants,
    /// What the plugin says it may ask for, with its reasons.
    capabilities: Vec<(Grants, &'a str)>,
    /// The targets of a restore: writing into them needs no grant.
    targets: &'a [Root],
    by_grant: BTreeMap<String, Needed>,
}

impl<'a> Needs<'a> {
    pub(crate) fn new(
        grants: &'a Grants,
        description: &'a Description,
        targets: &'a [Root],
    ) -> Self {
        let capabilities = description.capabilities.iter();
        let capabilities = capabilities.filter_map(|capability| {
            let pattern: Grant = capability.grant.parse().ok()?;
            Some((Grants::from_iter([pattern]), capability.reason.as_str()))
        });
        Self {
            grants,
            capabilities: capabilities.collect(),
            targets,
            by_grant: BTreeMap::new(),
        }
    }

    /// Adds what the steps and their undoing need.
    pub(crate) fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            for action in std::iter::once(&step.action).chain(&step.undo) {
                self.action(action, &step.title);
            }
        }
    }

    /// Adds a command.
    pub(crate) fn command(&mut self, command: &Command, used_by: &str) {
        self.words(&granted_words(command), used_by);
    }

    fn words(&mut self, argv: &[String], used_by: &str) {
        self.add(Grant::for_command(argv), used_by, |grants| {
            grants.allows_command(argv)
        });
    }

    /// Adds what probes were refused for, and gives the list.
    pub(crate) fn list(mut self, probe: &GrantedProbe) -> Vec<Needed> {
        for argv in probe.refused() {
            self.words(&argv, "looking at the application's state");
        }
        self.finish()
    }

    /// Gives the list.
    pub(crate) fn finish(self) -> Vec<Needed> {
        self.by_grant.into_values().collect()
    }

    fn action(&mut self, action: &Action, title: &str) {
        match action {
            Action::Run(command) => self.command(command, title),
            Action::Http(request) => self.http(request, title),
            Action::Wait(wait) => match &wait.condition {
                Condition::CommandSucceeds(command) => self.command(command, title),
                Condition::Responds(request) => self.http(request, title),
            },
            Action::Write(write) => self.location(&write.to, title),
            Action::Copy(copy) => self.location(&copy.to, title),
            Action::Remove(location) => self.location(location, title),
            Action::Rename(rename) => {
                self.location(&rename.from, title);
                self.location(&rename.to, title);
            }
        }
    }

    fn http(&mut self, HttpRequest { method, url, .. }: &HttpRequest, used_by: &str) {
        // The validator refuses URLs for which there can be no grant.
        if let Some(grant) = Grant::for_http(method, url) {
            self.add(grant, used_by, |grants| grants.allows_http(method, url));
        }
    }

    fn location(&mut self, Location { base, path }: &Location, used_by: &str) {
        if let Base::Root(root) = base
            && !self.targets.iter().any(|target| target.name == *root)
        {
            self.add(Grant::for_write(root, path), used_by, |grants| {
                grants.allows_write(root, path)
            });
        }
    }

    fn add(&mut self, grant: Grant, used_by: &str, covered_by: impl Fn(&Grants) -> bool) {
        let given = covered_by(self.grants);
        let reason = self
            .capabilities
            .iter()
            .find(|(pattern, _)| covered_by(pattern));
        let reason = reason.map(|(_, reason)| (*reason).to_owned());
        let need = self.by_grant.entry(grant.to_string());
        let need = need.or_insert_with(|| Needed {
            grant,
            used_by: Vec::new(),
            reason,
            given,
        });
        if !need.used_by.iter().any(|other| other == used_by) {
            need.used_by.push(used_by.to_owned());
        }
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
    let missing: Vec<_> = needed
        .iter()
        .filter(|need| !need.given)
        .map(|need| need.grant.clone())
        .collect();
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
) -> Result<T, Error> {
    planned.map_err(|error| match error {
        copal_sandbox::Error::Guest(failure) if failure.kind == FailureKind::Denied => {
            let missing: Vec<_> = probe
                .refused()
                .iter()
                .map(|argv| Grant::for_command(argv))
                .collect();
            if missing.is_empty() {
                copal_sandbox::Error::Guest(failure).into()
            } else {
                Error::Grants(missing)
            }
        }
        error => error.into(),
    })
}
