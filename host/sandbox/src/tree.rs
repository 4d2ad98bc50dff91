//! What the host hands to a plugin: trees to look at and a way to probe.

use crate::types::{Command, Entry, Failure, Output};

/// Entries that a listing may have; a directory with more is not listed.
pub const MAX_LIST: usize = 100_000;

/// Bytes that one read may ask for.
pub const MAX_READ: u32 = 4 << 20;

/// Read-only sight of a directory tree: a root of the job, or the same root inside a snapshot.
///
/// Paths are relative, `/`-separated, without `.` and `..`, spelled as [`crate::name`] says; the empty one is the tree itself. The
/// sandbox checks that before it calls.
pub trait Tree: Send + Sync {
    /// The root's name, such as `home`.
    fn name(&self) -> &str;

    /// The absolute path on the host; empty for a tree inside a snapshot.
    fn location(&self) -> &str;

    /// The entry at `path`, or none where there is nothing. A symlink is described, not followed.
    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure>;

    /// The entries of the directory `path`, sorted by the bytes of their names, at most [`MAX_LIST`].
    fn list(&self, path: &str) -> Result<Vec<Entry>, Failure>;

    /// At most `length` bytes (at most [`MAX_READ`]) of the file `path` from `offset` on; fewer only at the file's end.
    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Failure>;
}

/// Runs a plugin's probes, under the job's grants.
pub trait Probe: Send + Sync {
    /// Runs a command and waits for it. Fails with `denied` where no grant covers it, and with `unavailable` where it can't be started or
    /// runs out of time.
    fn run(&self, command: &Command) -> Result<Output, Failure>;
}
