//! Probes of a case: answered from its recording, under its grants.

use std::sync::{Mutex, PoisonError};

use copal_sandbox::types::{Command, Failure, FailureKind, Output};
use copal_sandbox::{Grant, Grants, Need, Probe};

use crate::recording::{Answers, CommandCall};

/// Answers what the case grants; refuses all else as the host does.
pub(crate) struct CaseProbe {
    granted: Grants,
    answers: Answers,
    unanswered: Mutex<Option<String>>,
}

impl CaseProbe {
    pub(super) fn new(grants: &[Grant], commands: Vec<CommandCall>) -> Self {
        Self {
            granted: grants.iter().cloned().collect(),
            answers: Answers::new(commands),
            unanswered: Mutex::default(),
        }
    }

    /// A command that was granted and that the case has no answer to.
    pub(crate) fn unanswered(&self) -> Option<String> {
        self.unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Probe for CaseProbe {
    fn run(&self, command: &Command) -> Result<Output, Failure> {
        let need = Need::probe(command);
        if !self.granted.allow(&need) {
            return Err(Failure::new(
                FailureKind::Denied,
                "copal.grant.missing",
                format!("no grant covers `{need}`"),
            ));
        }
        self.answers.answer(command).unwrap_or_else(|| {
            let mut unanswered = self
                .unanswered
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            unanswered.get_or_insert_with(|| need.to_string());
            Err(Failure::new(
                FailureKind::Unavailable,
                "copal.probe.failed",
                format!("there is no answer to `{need}`"),
            ))
        })
    }
}
