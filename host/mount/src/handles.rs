//! What is open.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex};

use copal_repository::Listing;
use fuser::{FileHandle, FileType};

use crate::cache::lock;
use crate::contents::OpenFile;

/// Something open.
pub(crate) enum Handle {
    File(OpenFile),
    Directory(OpenDirectory),
}

/// A directory as it was when it was opened.
pub(crate) struct OpenDirectory {
    pub(crate) number: u64,
    /// What is not in the repository: number, kind and name.
    pub(crate) own: Vec<(u64, FileType, OsString)>,
    /// What is in the repository comes after that: the listing, and the number of the snapshot that it is in.
    pub(crate) stored: Option<(Arc<Listing>, u64)>,
}

/// All that is open, by number.
#[derive(Default)]
pub(crate) struct Handles {
    open: Mutex<(u64, HashMap<u64, Arc<Handle>>)>,
}

impl Handles {
    pub(crate) fn add(&self, handle: Handle) -> FileHandle {
        let (last, handles) = &mut *lock(&self.open);
        *last += 1;
        handles.insert(*last, Arc::new(handle));
        FileHandle(*last)
    }

    pub(crate) fn get(&self, handle: FileHandle) -> Option<Arc<Handle>> {
        lock(&self.open).1.get(&handle.0).cloned()
    }

    pub(crate) fn close(&self, handle: FileHandle) {
        lock(&self.open).1.remove(&handle.0);
    }
}
