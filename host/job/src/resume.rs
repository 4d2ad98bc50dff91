//! Taking back what jobs left that were cut off.

use serde::Serialize;

use crate::context::Context;
use crate::error::{Error, UndoFailure};
use crate::journal::{self, Begun};
use crate::observer::Observer;
use crate::scratch::Scratch;
use crate::steps::{StepOutcome, Steps};

/// What was done for one job that had been cut off.
#[derive(Debug, Serialize)]
pub struct Resumed {
    /// The job.
    #[serde(flatten)]
    pub job: Begun,
    /// The steps that were taken back.
    pub steps: Vec<StepOutcome>,
    /// Those that could not be; `copal resume` can be run again.
    pub not_undone: Vec<UndoFailure>,
}

/// Thaws what jobs of this machine left that are no longer running, and removes their scratch folders. Running it again does no harm.
pub fn resume(context: &Context, observer: &dyn Observer) -> Result<Vec<Resumed>, Error> {
    let jobs = journal::interrupted(&context.state).map_err(|e| Error::state("read the journals in", &context.state, e))?;
    let mut resumed = Vec::new();
    for interrupted in jobs {
        let job = interrupted.begun.clone();
        let mut steps = Steps::resume(interrupted, &context.runtime, observer);
        steps.undo();
        let outcomes = steps.outcomes().to_vec();
        if outcomes.iter().all(|outcome| outcome.error.is_none()) {
            Scratch::remove(&job.scratch).map_err(|e| Error::state("remove the scratch folder", &job.scratch, e))?;
        }
        resumed.push(Resumed { job, steps: outcomes, not_undone: steps.end()? });
    }
    Ok(resumed)
}
