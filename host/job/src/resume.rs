//! Taking back what jobs left that were cut off.

use serde::Serialize;

use crate::context::Context;
use crate::error::{Error, UndoFailure};
use crate::journal::{self, Begun, Interrupted};
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

/// The jobs of this machine that were cut off and left something to take back.
pub fn interrupted(context: &Context) -> Result<Vec<Begun>, Error> {
    let jobs = journals(context)?
        .into_iter()
        .filter(|job| !job.pending.is_empty());
    Ok(jobs.map(|job| job.begun).collect())
}

fn journals(context: &Context) -> Result<Vec<Interrupted>, Error> {
    journal::interrupted(&context.state)
        .map_err(|e| Error::state("read the journals in", &context.state, e))
}

/// Thaws what jobs of this machine left that are no longer running, and removes their scratch folders. Running it again does no harm.
pub fn resume(context: &Context, observer: &dyn Observer) -> Result<Vec<Resumed>, Error> {
    let mut resumed = Vec::new();
    for interrupted in journals(context)? {
        let job = interrupted.begun.clone();
        let mut steps = Steps::resume(interrupted, &context.runtime, observer);
        steps.undo();
        let outcomes = steps.outcomes().to_vec();
        if outcomes.iter().all(|outcome| outcome.error.is_none()) {
            Scratch::remove(&job.scratch)
                .map_err(|e| Error::state("remove the scratch folder", &job.scratch, e))?;
        }
        resumed.push(Resumed {
            job,
            steps: outcomes,
            not_undone: steps.end()?,
        });
    }
    Ok(resumed)
}
