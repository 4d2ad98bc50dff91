//! How a long operation tells its caller what it does.

use std::fmt;

/// How much of an item is affected by an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemErrorKind {
    /// Its content, or all that lies beneath it, is missing or not what it was: it was not read, stored or restored.
    Lost,
    /// It is there, but not exactly: metadata could not be read or set, or a file changed while it was read.
    Inexact,
}

/// One item that an operation could not do, or not exactly; it went on with the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError {
    /// Where: `ROOT/PATH` in a backup, a path below the target in a restore. Bytes that are not UTF-8 read `\xNN`.
    pub path: String,
    /// How much of it is affected.
    pub kind: ItemErrorKind,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Receives the progress of one operation, from several threads at once.
pub trait Progress: Sync {
    /// A part of the operation begins, in words for people.
    fn part(&self, text: &str) {
        let _ = text;
    }

    /// So many more files and bytes have been found that are to be worked through.
    fn total(&self, files: u64, bytes: u64) {
        let _ = (files, bytes);
    }

    /// So many more files and bytes are done.
    fn advance(&self, files: u64, bytes: u64) {
        let _ = (files, bytes);
    }

    /// An item failed. The operation's result names it too.
    fn item_error(&self, error: &ItemError) {
        let _ = error;
    }
}

/// Progress that nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// `path` for people: bytes that are not UTF-8 read `\xNN`.
pub(crate) fn display(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// `name` in `directory`, which is empty for the root.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        [] => name.to_vec(),
        _ => [directory, b"/", name].concat(),
    }
}
