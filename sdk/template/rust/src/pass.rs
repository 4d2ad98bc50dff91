//! What is left out.

use copal_sdk::{Direction, Entry, Failure, Pass, Verdict};

use crate::running::LOCK;

/// Leaves out drafts and the lock when they are saved; a restore brings back all that the snapshot holds.
pub struct WithoutDrafts(Direction);

impl Pass for WithoutDrafts {
    type State = ();

    fn start(direction: Direction, _state: ()) -> Result<Self, Failure> {
        Ok(Self(direction))
    }

    fn classify(&mut self, _root: &str, entry: &Entry) -> Result<Verdict, Failure> {
        let left_out = matches!(entry.path.as_str(), "drafts" | LOCK);
        Ok(if left_out && self.0 == Direction::Backup {
            Verdict::Skip
        } else {
            Verdict::Keep
        })
    }
}
