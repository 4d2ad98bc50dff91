//! Leaving out what the operator's patterns match.

use copal_sdk::{Direction, Entry, Failure, Glob, Pass, Verdict};

/// Skips what matches a pattern.
pub struct Exclude(Vec<Glob>);

impl Pass for Exclude {
    /// The patterns of a backup; a restore has none, and brings back all that the snapshot holds.
    type State = Option<Vec<Glob>>;

    fn start(_direction: Direction, patterns: Self::State) -> Result<Self, Failure> {
        Ok(Self(patterns.unwrap_or_default()))
    }

    fn classify(&mut self, _root: &str, entry: &Entry) -> Result<Verdict, Failure> {
        Ok(if self.0.iter().any(|glob| glob.matches_entry(entry)) {
            Verdict::Skip
        } else {
            Verdict::Keep
        })
    }
}
