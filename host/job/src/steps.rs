//! Performing the steps of a plan one by one, journalled, and taking them back.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use copal_sandbox::types::{Capture, Step};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::action::Hands;
use crate::context::Context;
use crate::error::{Error, UndoFailure};
use crate::journal::{self, Begun, Interrupted, Journal, Pending};
use crate::observer::{Observer, StepState};
use crate::places::{Places, Root};
use crate::process::{Supervisor, Witness};
use crate::{convert, exclusive, scratch};

/// How a step of a job ended; kept in the manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepOutcome {
    /// The step's id.
    pub id: String,
    /// What it does.
    pub title: String,
    /// Whether it is the undo of that step.
    pub undo: bool,
    /// What went wrong; none where it went well.
    pub error: Option<String>,
}

/// The steps of one job: performed forwards, taken back in reverse order whatever happens.
pub(crate) struct Steps<'a> {
    places: Places,
    runtime: &'a Handle,
    cancel: Arc<AtomicBool>,
    observer: &'a dyn Observer,
    journal: Option<Journal>,
    pending: Vec<Pending>,
    not_undone: Vec<UndoFailure>,
    outcomes: Vec<StepOutcome>,
    captures: Vec<Capture>,
    /// Removed with the journal.
    scratch: PathBuf,
    /// Other jobs keep away from the roots for as long as this lives.
    _roots: Vec<File>,
}

impl<'a> Steps<'a> {
    /// Begins a job of this kind here and now.
    pub(crate) fn start(
        kind: &str,
        plugin: &str,
        roots: Vec<Root>,
        context: &'a Context,
        observer: &'a dyn Observer,
    ) -> Result<Self, Error> {
        let job = convert::job_id();
        let begun = Begun {
            kind: kind.to_owned(),
            plugin: plugin.to_owned(),
            time: Timestamp::now(),
            roots,
            scratch: scratch::place(&context.state, &job),
            job,
        };
        let cancel = context.cancel.clone();
        Self::begin(&context.state, &begun, &context.runtime, cancel, observer)
    }

    /// Begins a job: its journal, then its scratch folder.
    pub(crate) fn begin(
        state: &Path,
        begun: &Begun,
        runtime: &'a Handle,
        cancel: Arc<AtomicBool>,
        observer: &'a dyn Observer,
    ) -> Result<Self, Error> {
        let roots = exclusive::claim(state, &begun.roots)?;
        refuse_pending(state, &begun.roots)?;
        let journal = Journal::begin(state, begun)
            .map_err(|e| Error::state("begin a journal in", state, e))?;
        scratch::create(&begun.scratch)
            .map_err(|e| Error::state("make the scratch folder", &begun.scratch, e))?;
        Ok(Self {
            places: Places::new(&begun.roots, Some(begun.scratch.clone())),
            runtime,
            cancel,
            observer,
            journal: Some(journal),
            pending: Vec::new(),
            not_undone: Vec::new(),
            outcomes: Vec::new(),
            captures: Vec::new(),
            scratch: begun.scratch.clone(),
            _roots: roots,
        })
    }

    /// Takes up the steps that a job left when it was cut off.
    pub(crate) fn resume(
        context: &'a Context,
        job: Interrupted,
        observer: &'a dyn Observer,
    ) -> Result<Self, Error> {
        let roots = exclusive::claim(&context.state, &job.begun.roots)?;
        for command in job.running.iter().filter(|command| command.runs()) {
            tracing::warn!("a command of the job that was cut off still runs: {command}");
            if !command.wait(&context.cancel) {
                return Err(Error::interrupted());
            }
        }
        Ok(Self {
            _roots: roots,
            places: Places::new(&job.begun.roots, Some(job.begun.scratch.clone())),
            runtime: &context.runtime,
            cancel: Arc::default(),
            observer,
            journal: Some(job.journal),
            pending: job.pending,
            not_undone: Vec::new(),
            outcomes: Vec::new(),
            captures: Vec::new(),
            scratch: job.begun.scratch,
        })
    }

    /// Where the job's steps may reach.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Performs the steps in their order, up to the first that fails.
    pub(crate) fn perform(&mut self, steps: &[Step]) -> Result<(), Error> {
        steps.iter().try_for_each(|step| self.perform_one(step))
    }

    fn perform_one(&mut self, step: &Step) -> Result<(), Error> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Error::interrupted());
        }
        if let Some(journal) = &self.journal {
            journal
                .starting(step)
                .map_err(|e| Error::state("write the journal of", &step.id, e))?;
        }
        if let Some(undo) = step.undo.clone() {
            // Taken back also where the step itself fails half-way.
            self.pending.push(Pending {
                step: step.id.clone(),
                title: step.title.clone(),
                undo,
            });
        }
        self.observer.step(&step.title, StepState::Started);
        // One that is taken back runs to its own end first: half of a stop can't be undone by a start.
        let lasts = step.undo.is_some();
        let result = self.with_hands(lasts, |hands| hands.perform(&step.action));
        self.outcomes.push(StepOutcome {
            id: step.id.clone(),
            title: step.title.clone(),
            undo: false,
            error: result.as_ref().err().map(ToString::to_string),
        });
        self.observer.step(
            &step.title,
            if result.is_ok() {
                StepState::Done
            } else {
                StepState::Failed
            },
        );
        let answer = result.map_err(|source| Error::step(step, source))?;
        if step.capture {
            self.captures.push(Capture {
                step: step.id.clone(),
                output: answer,
            });
        }
        Ok(())
    }

    /// Takes back, in reverse order, every step that was started. One that fails does not keep the others from being taken back;
    /// [`Steps::end`] reports it.
    pub(crate) fn undo(&mut self) {
        while let Some(pending) = self.pending.pop() {
            self.observer.step(&pending.title, StepState::Undoing);
            // An interrupt ends the work, never its undoing.
            let undone = self.with_hands(true, |hands| hands.undo(&pending.undo));
            let result = undone.map_err(|error| error.to_string());
            let result = result.and_then(|()| match &self.journal {
                Some(journal) => journal
                    .undone(&pending.step)
                    .map_err(|error| format!("the journal can't be written: {error}")),
                None => Ok(()),
            });
            let error = result.err();
            self.observer.step(
                &pending.title,
                if error.is_none() {
                    StepState::Undone
                } else {
                    StepState::UndoFailed
                },
            );
            if let Some(problem) = &error {
                self.not_undone.push(UndoFailure {
                    title: pending.title.clone(),
                    problem: problem.clone(),
                });
            }
            self.outcomes.push(StepOutcome {
                id: pending.step,
                title: pending.title,
                undo: true,
                error,
            });
        }
    }

    /// Ends the job: undoes what is still to be undone, and forgets journal and scratch. Gives what could not be undone; then both stay, so
    /// that `copal resume` can try again.
    pub(crate) fn end(mut self) -> Vec<UndoFailure> {
        self.close();
        self.journal = None;
        std::mem::take(&mut self.not_undone)
    }

    /// Ends the job without undoing anything: its journal and its scratch folder stay, for `copal resume`.
    pub(crate) fn leave(mut self) {
        self.journal = None;
    }

    fn close(&mut self) {
        self.undo();
        if !self.not_undone.is_empty() {
            return;
        }
        if let Err(error) = scratch::remove(&self.scratch) {
            tracing::warn!(
                "can't remove the scratch folder {}: {error}",
                self.scratch.display()
            );
        }
        if let Some(Err(error)) = self.journal.take().map(Journal::close) {
            tracing::warn!("can't remove the job's journal: {error}; `copal resume` does");
        }
    }

    /// Who watches over the job's commands.
    pub(crate) fn supervisor(&self) -> Supervisor<'_> {
        let journal = self.journal.as_ref();
        Supervisor {
            cancel: &self.cancel,
            witness: journal.map(|journal| journal as &dyn Witness),
            lasts: false,
        }
    }

    /// How the steps ended so far.
    pub(crate) fn outcomes(&self) -> &[StepOutcome] {
        &self.outcomes
    }

    /// What the capturing steps answered.
    pub(crate) fn captures(&self) -> &[Capture] {
        &self.captures
    }

    /// Where it `lasts`, no interrupt ends the work.
    fn with_hands<T>(&self, lasts: bool, work: impl FnOnce(&Hands<'_>) -> T) -> T {
        let undisturbed = Arc::default();
        let supervisor = self.supervisor();
        work(&Hands {
            places: &self.places,
            runtime: self.runtime,
            supervisor: match lasts {
                true => Supervisor {
                    cancel: &undisturbed,
                    lasts,
                    ..supervisor
                },
                false => supervisor,
            },
        })
    }
}

/// Refuses directories on which a job that was cut off has left something: taken back later, it would alter what is done now.
fn refuse_pending(state: &Path, roots: &[Root]) -> Result<(), Error> {
    let (jobs, _) =
        journal::interrupted(state).map_err(|e| Error::state("read the journals in", state, e))?;
    let concerns = |job: &Interrupted| {
        let mut theirs = job.begun.roots.iter();
        !job.pending.is_empty() && theirs.any(|root| roots.iter().any(|own| own.path == root.path))
    };
    match jobs.into_iter().find(concerns) {
        Some(job) => Err(Error::Pending {
            kind: job.begun.kind,
            plugin: job.begun.plugin,
        }),
        None => Ok(()),
    }
}

impl Drop for Steps<'_> {
    /// Does its work only where the host itself failed in the middle; the application must come back all the same.
    fn drop(&mut self) {
        if self.journal.is_some() {
            self.close();
        }
        for failure in &self.not_undone {
            tracing::error!(
                "`{}` could not be undone: {}",
                failure.title,
                failure.problem
            );
        }
    }
}
