//! Probes of a case: answered from its recording, under its grants.

use std::sync::{Mutex, PoisonError};

use copal_sandbox::grants::command_words;
use copal_sandbox::types::{Command, Description, Failure, FailureKind, Output};
use copal_sandbox::{Grant, Grants, Probe};

use crate::recording::{Answers, CommandCall};

/// Answers what the plugin declares and the case grants; refuses all else as the host does.
pub(crate) struct CaseProbe {
    declared: Grants,
    granted: Grants,
    answers: Answers,
    unanswered: Mutex<Option<String>>,
}

impl CaseProbe {
    pub(super) fn new(
        grants: &[Grant],
        description: &Description,
        commands: Vec<CommandCall>,
    ) -> Self {
        let declared = description.capabilities.iter();
        let declared = declared.filter_map(|capability| capability.grant.parse().ok());
        Self {
            declared: declared.collect(),
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
        let words = command_words(command);
        let grant = Grant::for_command(&words);
        if !self.declared.allows_command(&words) {
            return Err(Failure::new(
                FailureKind::Denied,
                "copal.grant.undeclared",
                format!("no capability of the plugin covers `{grant}`"),
            ));
        }
        if !self.granted.allows_command(&words) {
            return Err(Failure::new(
                FailureKind::Denied,
                "copal.grant.missing",
                format!("no grant covers `{grant}`"),
            ));
        }
        self.answers.answer(command).unwrap_or_else(|| {
            let mut unanswered = self
                .unanswered
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            unanswered.get_or_insert_with(|| grant.to_string());
            Err(Failure::new(
                FailureKind::Unavailable,
                "copal.probe.failed",
                format!("there is no answer to `{grant}`"),
            ))
        })
    }
}
