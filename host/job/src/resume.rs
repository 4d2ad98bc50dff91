//! Taking back what jobs left that were cut off.

use serde::Serialize;

use crate::context::Context;
use crate::error::{Error, UndoFailure};
use crate::journal::{self, Begun, Interrupted};
use crate::observer::Observer;
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

/// The jobs of this machine that were cut off and left something to take back, and what is wrong with journals that can't be read.
pub fn interrupted(context: &Context) -> Result<(Vec<Begun>, Vec<String>), Error> {
    let (jobs, damaged) = journals(context)?;
    let jobs = jobs.into_iter().filter(|job| !job.pending.is_empty());
    Ok((jobs.map(|job| job.begun).collect(), damaged))
}

fn journals(context: &Context) -> Result<(Vec<Interrupted>, Vec<String>), Error> {
    journal::interrupted(&context.state)
        .map_err(|e| Error::state("read the journals in", &context.state, e))
}

/// Thaws what jobs of this machine left that are no longer running, and removes their scratch folders. Running it again does no harm. One job
/// that can't be taken back does not keep the others from it.
pub fn resume(context: &Context, observer: &dyn Observer) -> Result<Vec<Resumed>, Error> {
    let (mut jobs, damaged) = journals(context)?;
    if let Err(error) = journal::remove_unbegun(&context.state) {
        tracing::debug!("what is left of a journal that was none yet stays: {error}");
    }
    // One that began within another comes first: the other may take away the place where it worked.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.begun.time));
    let mut resumed = Vec::new();
    for interrupted in jobs {
        let job = interrupted.begun.clone();
        let steps = Steps::resume(context, interrupted, observer);
        resumed.push(match steps {
            Ok(mut steps) => {
                steps.undo();
                let outcomes = steps.outcomes().to_vec();
                Resumed {
                    job,
                    steps: outcomes,
                    not_undone: steps.end(),
                }
            }
            Err(error) => {
                let title = format!("{} of {}", job.kind, job.plugin);
                let failure = UndoFailure {
                    title,
                    problem: error.to_string(),
                };
                Resumed {
                    job,
                    steps: Vec::new(),
                    not_undone: vec![failure],
                }
            }
        });
    }
    if damaged.is_empty() {
        Ok(resumed)
    } else {
        Err(Error::Journals(damaged))
    }
}
