//! What a pass answers.

use super::{Owner, Timestamp};

/// Which way a pass runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into a snapshot.
    Backup,
    /// Out of a snapshot.
    Restore,
}

/// What to alter of an entry; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Another name within the same directory.
    pub name: Option<String>,
    /// Permission bits, 0 to 0o7777. A file gets no set-user-ID or set-group-ID bit that it has not, and loses both where its owner or content is
    /// altered.
    pub mode: Option<u32>,
    /// Another owner.
    pub owner: Option<Owner>,
    /// Another time of modification.
    pub modified: Option<Timestamp>,
    /// Send the content through [`crate::Pass::open`]. Ignored for all but files.
    pub filter: bool,
}

/// What becomes of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Goes through as it is.
    Keep,
    /// Left out; a directory with all beneath it.
    Skip,
    /// Goes through altered.
    Change(Change),
}

/// A part of what a filter returns that is a file by itself, such as a member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Spelled like every path, and relative to the archive.
    pub path: String,
    /// Where it begins, counted from the beginning of the filter's output.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
}
