//! `copal:plugin/process`: probes, which the job runs under its grants.

use std::sync::Arc;

use crate::bindings::copal::plugin::process;
use crate::ceiling::Ceiling;
use crate::grants::Need;
use crate::state::{Expired, State};
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
    fn run(&mut self, mut command: Command) -> wasmtime::Result<Result<Output, Failure>> {
        let denied = |message: String| {
            Ok(Err(Failure::new(
                FailureKind::Denied,
                "copal.probe.refused",
                message,
            )))
        };
        let Some(Probing { probe, ceiling }) = &self.probing else {
            return denied("`describe` and a pass run no commands".to_owned());
        };
        if let Err(reason) = validate::command(&command) {
            return denied(format!("the probe can't be run: {reason}"));
        }
        // A plugin that goes on without the answer would hide that it asked for what it does not declare.
        ceiling.reason(&Need::probe(&command)).map(drop)?;
        let left = self.clock.host_left().ok_or(Expired)?;
        let left = u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
        // One that takes its whole time may end a call, but not outlast it.
        command.timeout = command.timeout.min(left.saturating_add(1));
        let probe = probe.clone();
        self.at_host_expense(|| probe.run(&command))
    }
}
