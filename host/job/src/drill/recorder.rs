//! Takes down what a drill does and how long each part takes, while it is told on.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use copal_repository::comparer::Comparison;
use copal_repository::progress::Progress;
use copal_sandbox::types::Finding;
use serde::Serialize;

use crate::observer::{Observer, StepState};

/// What a part of a drill is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Making the scratch place.
    Prepare,
    /// What a real recovery has to do too.
    Recover,
    /// Holding what was placed against the snapshot.
    Compare,
    /// Removing the scratch place.
    Remove,
}

/// A part of a drill.
#[derive(Clone, Debug, Serialize)]
pub struct Phase {
    /// What was done.
    pub title: String,
    /// What for.
    pub purpose: Purpose,
    /// How long it took.
    pub seconds: f64,
}

/// What a root's comparison found.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// The root.
    pub root: String,
    /// How it agrees with the snapshot.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// What was taken down.
#[derive(Default)]
pub(super) struct Record {
    pub(super) phases: Vec<Phase>,
    pub(super) findings: Vec<Finding>,
    pub(super) compared: Vec<Compared>,
}

/// Passes on what it is told, and takes it down.
pub(super) struct Recorder<'a> {
    observer: &'a dyn Observer,
    state: Mutex<State>,
}

struct State {
    record: Record,
    purpose: Purpose,
    /// The part that goes on now.
    current: Option<(String, Purpose, Instant)>,
}

impl State {
    fn begin(&mut self, title: String) {
        self.close();
        self.current = Some((title, self.purpose, Instant::now()));
    }

    fn close(&mut self) {
        if let Some((title, purpose, since)) = self.current.take() {
            self.add(title, purpose, since.elapsed());
        }
    }

    fn add(&mut self, title: String, purpose: Purpose, time: Duration) {
        self.record.phases.push(Phase {
            title,
            purpose,
            seconds: time.as_secs_f64(),
        });
    }
}

impl<'a> Recorder<'a> {
    /// Begins with something that took this long and is over.
    pub(super) fn new(observer: &'a dyn Observer, title: &str, took: Duration) -> Self {
        let mut state = State {
            record: Record::default(),
            purpose: Purpose::Prepare,
            current: None,
        };
        state.add(title.to_owned(), Purpose::Recover, took);
        Self {
            observer,
            state: Mutex::new(state),
        }
    }

    /// What comes now is for this.
    pub(super) fn turn(&self, purpose: Purpose) {
        let mut state = self.state();
        state.close();
        state.purpose = purpose;
    }

    /// All that was taken down.
    pub(super) fn finish(self) -> Record {
        let mut state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        state.close();
        state.record
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Recorder<'_> {
    fn phase(&self, text: &str) {
        self.state().begin(text.to_owned());
        self.observer.phase(text);
    }

    fn step(&self, title: &str, state: StepState) {
        match state {
            StepState::Started => self.state().begin(title.to_owned()),
            StepState::Undoing => self.state().begin(format!("Undo: {title}")),
            _ => self.state().close(),
        }
        self.observer.step(title, state);
    }

    fn finding(&self, finding: &Finding) {
        self.state().record.findings.push(finding.clone());
        self.observer.finding(finding);
    }

    fn compared(&self, root: &str, comparison: &Comparison) {
        let mut state = self.state();
        if let Some((_, purpose, _)) = &mut state.current {
            *purpose = Purpose::Compare;
        }
        state.close();
        state.record.compared.push(Compared {
            root: root.to_owned(),
            comparison: comparison.clone(),
        });
        drop(state);
        self.observer.compared(root, comparison);
    }

    fn progress(&self) -> &dyn Progress {
        self.observer.progress()
    }
}

#[cfg(test)]
mod tests {
    use copal_repository::progress::Silent;

    use super::*;

    struct Nobody;

    impl Observer for Nobody {
        fn phase(&self, _: &str) {}
        fn step(&self, _: &str, _: StepState) {}
        fn finding(&self, _: &Finding) {}
        fn progress(&self) -> &dyn Progress {
            &Silent
        }
    }

    #[test]
    fn each_part_is_taken_down_with_its_purpose_and_what_is_compared_does_not_count_as_recovery() {
        let recorder = Recorder::new(&Nobody, "Open", Duration::from_secs(2));
        recorder.step("Make", StepState::Started);
        recorder.step("Make", StepState::Done);
        recorder.turn(Purpose::Recover);
        recorder.phase("Restoring a");
        recorder.phase("Comparing a");
        recorder.compared("a", &Comparison::default());
        recorder.phase("Verifying");
        recorder.turn(Purpose::Remove);
        recorder.step("Make", StepState::Undoing);
        let record = recorder.finish();
        let parts: Vec<_> = record
            .phases
            .iter()
            .map(|part| (part.title.as_str(), part.purpose))
            .collect();
        let expected = [
            ("Open", Purpose::Recover),
            ("Make", Purpose::Prepare),
            ("Restoring a", Purpose::Recover),
            ("Comparing a", Purpose::Compare),
            ("Verifying", Purpose::Recover),
            ("Undo: Make", Purpose::Remove),
        ];
        assert_eq!(parts, expected);
        assert_eq!((record.compared.len(), record.phases[0].seconds), (1, 2.0));
    }
}
