//! What is open.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex};

use fuser::{FileHandle, FileType};

use crate::cache::lock;
use crate::contents::OpenFile;

/// Something open.
pub(crate) enum Handle {
    File(OpenFile),
    /// The entries when it was opened: number, kind and name.
    Directory(Vec<(u64, FileType, OsString)>),
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
