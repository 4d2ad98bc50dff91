//! How a job tells what it is doing while it does it.

use copal_repository::comparer::Comparison;
use copal_repository::progress::Progress;
use copal_sandbox::types::Finding;

use crate::migrate::Stage;

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// It begins.
    Started,
    /// It ended well.
    Done,
    /// It did not.
    Failed,
    /// Its undo begins.
    Undoing,
    /// It was taken back.
    Undone,
    /// Taking it back failed.
    UndoFailed,
}

/// Gets told what a job does. Every method may be called from any thread.
pub trait Observer: Sync {
    /// A part of the work begins, such as `Reading home`.
    fn phase(&self, text: &str);
    /// A step changed its state.
    fn step(&self, title: &str, state: StepState);
    /// The plugin has something to say while the work goes on.
    fn finding(&self, finding: &Finding);
    /// A migration enters a stage, or is that far within it, in percent of the whole.
    fn stage(&self, stage: Stage, percent: u8) {
        let _ = (stage, percent);
    }
    /// In a rehearsal: how what was placed for a root agrees with the snapshot.
    fn compared(&self, root: &str, comparison: &Comparison) {
        let _ = (root, comparison);
    }
    /// Bytes and files as they go by.
    fn progress(&self) -> &dyn Progress;
}
