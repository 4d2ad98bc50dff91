//! Whether the application runs, and how it is made to hold still.

use copal_sdk::service::Service;
use copal_sdk::{Failure, Finding, Step, Tree};

use crate::{Config, HOME};

/// There while the application runs.
pub(crate) const LOCK: &str = "lock";

/// What its lock says of the application.
pub(crate) enum Running {
    /// It does not run.
    No,
    /// It runs, and this step stops it and starts it again.
    Stopped(Box<Step>),
    /// It runs, and nothing says how to stop it.
    Open(Finding),
}

impl Running {
    pub(crate) fn of(home: &dyn Tree, config: &Config) -> Result<Self, Failure> {
        let service = Service::choose("{{name}}", None, config.unit.as_deref())?;
        if !home.exists(LOCK)? {
            return Ok(Self::No);
        }
        Ok(match service {
            Some(service) => Self::Stopped(Box::new(
                Step::new("stop", format!("Stop {}", service.title()), service.stop())
                    .undo(service.start()),
            )),
            None => Self::Open(
                Finding::error(
                    "{{name}}.running",
                    "The application runs, so its files may change at any moment.",
                )
                .at(format!("{HOME}/{LOCK}"))
                .remedy("Close it, or set `unit` to have it stopped and started again."),
            ),
        })
    }
}
