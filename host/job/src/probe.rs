//! The commands that a plugin may run while it looks around.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use copal_sandbox::types::{Command, Failure, FailureKind, Output};
use copal_sandbox::{Grants, Need, Probe};

use crate::error::shell_quote;
use crate::places::{Places, Root};
use crate::process;

/// How many of the refused probes are remembered: a plugin may ask for ever.
const MAX_REFUSED: usize = 100;

/// Runs probes under the job's grants, and remembers which it refused.
#[derive(Debug)]
pub(crate) struct GrantedProbe {
    grants: Grants,
    places: Places,
    cancel: Arc<AtomicBool>,
    refused: Mutex<Vec<Need>>,
}

impl GrantedProbe {
    pub(crate) fn new(grants: Grants, roots: &[Root], cancel: Arc<AtomicBool>) -> Self {
        Self {
            grants,
            places: Places::new(roots, None),
            cancel,
            refused: Mutex::default(),
        }
    }

    /// What the probes that were refused need.
    pub(crate) fn refused(&self) -> Vec<Need> {
        let refused = self.refused.lock();
        refused.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refuse(&self, need: Need) -> Failure {
        let grant = need.to_string();
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < MAX_REFUSED && !refused.contains(&need) {
            refused.push(need);
        }
        let message = format!("no grant covers `{grant}`");
        Failure::new(FailureKind::Denied, "copal.grant.missing", message)
            .remedy(format!("Grant it with --grant {}.", shell_quote(&grant)))
    }
}

impl Probe for GrantedProbe {
    fn run(&self, command: &Command) -> Result<Output, Failure> {
        let need = Need::probe(command);
        if !self.grants.allow(&need) {
            return Err(self.refuse(need));
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

    fn command(argv: &[&str]) -> Command {
        Command {
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            environment: Vec::new(),
            stdin: None,
            descriptors: Vec::new(),
            timeout: 5,
        }
    }

    fn probe(grant: &str) -> GrantedProbe {
        let grants = [grant.parse().unwrap()].into_iter().collect();
        GrantedProbe::new(grants, &[], Arc::default())
    }

    #[test]
    fn a_probe_without_a_grant_is_refused_and_remembered() {
        let probe = probe("probe:echo *");
        assert_eq!(
            probe.run(&command(&["echo", "hi"])).unwrap().stdout,
            b"hi\n"
        );
        for _ in 0..2 {
            let refused = probe.run(&command(&["id", "-u"])).unwrap_err();
            assert_eq!(refused.kind, FailureKind::Denied);
            assert!(refused.remedy.unwrap().contains("--grant 'probe:id -u'"));
        }
        assert_eq!(probe.refused(), [Need::probe(&command(&["id", "-u"]))]);
    }

    #[test]
    fn a_grant_for_a_step_allows_no_probe() {
        let refused = probe("run:echo *").run(&command(&["echo", "hi"]));
        assert_eq!(refused.unwrap_err().kind, FailureKind::Denied);
    }

    #[test]
    fn a_plugin_that_asks_for_ever_is_not_remembered_for_ever() {
        let probe = probe("probe:echo");
        for number in 0..1_000 {
            let _ = probe.run(&command(&["id", &number.to_string()]));
        }
        assert_eq!(probe.refused().len(), MAX_REFUSED);
    }
}
