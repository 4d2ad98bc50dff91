//! The steps that keep a foundation from being written to.

use copal_sdk::{Command, Finding, Step, literal};

use crate::config::Config;

/// The configured steps, each with its undo.
pub(crate) fn steps(config: &Config) -> impl Iterator<Item = Step> {
    config.quiesce.iter().enumerate().map(|(number, step)| {
        let command = |words: &[String]| {
            Command::new(words.iter().map(|word| literal(word))).timeout(step.timeout)
        };
        let made = Step::new(
            format!("quiesce-{}", number + 1),
            step.title.clone(),
            command(&step.run),
        );
        match step.undo.is_empty() {
            true => made,
            false => made.undo(command(&step.undo)),
        }
    })
}

/// Whether nothing is written while a plan is carried out.
pub(crate) fn is_quiesced(config: &Config) -> bool {
    config.stopped || !config.quiesce.is_empty()
}

/// What is said where something may be written meanwhile.
pub(crate) fn warning(what: &str) -> Finding {
    Finding::warning(
        "cloudfoundry.quiesce.none",
        format!("Nothing keeps the foundation from being used while it is {what}."),
    )
    .remedy("Set `quiesce` to the steps that stop the Cloud Controller and UAA, or stop them yourself and set `stopped=true`.")
}
