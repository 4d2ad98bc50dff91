//! `copal:plugin/process`: probes, which the job runs under its grants.

use std::sync::Arc;

use crate::bindings::copal::plugin::process;
use crate::ceiling::Ceiling;
use crate::grants::Need;
use crate::state::State;
use crate::tree::Probe;
use crate::types::{Command, Failure, FailureKind, Output};
use crate::validate;

/// How one call's probes are run, and which there may be at all.
#[derive(Clone)]
pub(crate) struct Probing {
    pub(crate) probe: Arc<dyn Probe>,
    pub(crate) ceiling: Ceiling,
}

impl process::Host for State {
    fn run(&mut self, command: Command) -> wasmtime::Result<Result<Output, Failure>> {
        let denied = |message: String| {
            Ok(Err(Failure::new(
                FailureKind::Denied,
                "process.refused",
                message,
            )))
        };
        let Some(Probing { probe, ceiling }) = &self.probing else {
            return denied("a pass runs no commands".to_owned());
        };
        if let Err(reason) = validate::command(&command) {
            return denied(format!("the probe can't be run: {reason}"));
        }
        // A plugin that goes on without the answer would hide that it asked for what it does not declare.
        ceiling.reason(&Need::probe(&command)).map(drop)?;
        Ok(self.clock.pause(|| probe.run(&command)))
    }
}
