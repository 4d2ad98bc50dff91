//! The commands that a plugin may run while it looks around.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use copal_sandbox::types::{Command, Failure, FailureKind, Output};
use copal_sandbox::{Grant, Grants, Probe};

use crate::error::shell_quote;
use crate::places::{Places, Root};
use crate::process;

/// Runs probes under the job's grants, and remembers which it refused.
#[derive(Debug)]
pub struct GrantedProbe {
    grants: Grants,
    places: Places,
    cancel: Arc<AtomicBool>,
    refused: Mutex<BTreeSet<Vec<String>>>,
}

impl GrantedProbe {
    /// A probe for a plugin that is handed these roots; it ends soon once `cancel` is set.
    pub fn new(grants: Grants, roots: &[Root], cancel: Arc<AtomicBool>) -> Self {
        Self {
            grants,
            places: Places::new(roots, None),
            cancel,
            refused: Mutex::default(),
        }
    }

    /// The commands that were refused.
    pub fn refused(&self) -> Vec<Vec<String>> {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

impl Probe for GrantedProbe {
    fn run(&self, command: &Command) -> Result<Output, Failure> {
        let words = process::granted_words(command);
        if !self.grants.allows_command(&words) {
            let grant = Grant::for_command(&words).to_string();
            let failure = Failure::new(
                FailureKind::Denied,
                "copal.grant.missing",
                format!("no grant covers `{grant}`"),
            );
            self.refused
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(words);
            return Err(failure.remedy(format!("Grant it with --grant {}.", shell_quote(&grant))));
        }
        process::run(command, &self.places, &self.cancel).map_err(|error| {
            Failure::new(
                FailureKind::Unavailable,
                "copal.probe.failed",
                error.to_string(),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_without_a_grant_is_refused_and_remembered() {
        let grants = ["run:echo *".parse().unwrap()].into_iter().collect();
        let probe = GrantedProbe::new(grants, &[], Arc::default());
        let command = |argv: &[&str]| Command {
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            environment: Vec::new(),
            stdin: None,
            timeout: 5,
        };
        assert_eq!(
            probe.run(&command(&["echo", "hi"])).unwrap().stdout,
            b"hi\n"
        );
        let refused = probe.run(&command(&["id", "-u"])).unwrap_err();
        assert_eq!(refused.kind, FailureKind::Denied);
        assert_eq!(probe.refused(), [["id", "-u"]]);
    }
}
