//! `copal:plugin/process`: probes, which the job runs under its grants.

use crate::bindings::copal::plugin::process;
use crate::state::State;
use crate::types::{Command, Failure, FailureKind, Output};
use crate::validate;

impl process::Host for State {
    fn run(&mut self, command: Command) -> wasmtime::Result<Result<Output, Failure>> {
        let denied = |message: String| {
            Ok(Err(Failure::new(
                FailureKind::Denied,
                "process.refused",
                message,
            )))
        };
        let Some(probe) = &self.probe else {
            return denied("a pass runs no commands".to_owned());
        };
        if let Err(reason) = validate::command(&command) {
            return denied(format!("the probe can't be run: {reason}"));
        }
        Ok(self.clock.pause(|| probe.run(&command)))
    }
}
