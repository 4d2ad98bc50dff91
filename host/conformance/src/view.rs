//! A directory as if it lay in a snapshot.

use std::sync::Arc;

use copal_sandbox::Tree;
use copal_sandbox::types::{Entry, Failure};

/// The same tree without a location, as a plugin sees the trees of a snapshot.
pub fn as_snapshot(tree: Arc<dyn Tree>) -> Arc<dyn Tree> {
    Arc::new(Stored(tree))
}

struct Stored(Arc<dyn Tree>);

impl Tree for Stored {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn location(&self) -> &str {
        ""
    }

    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        self.0.stat(path)
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Failure> {
        self.0.list(path)
    }

    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
        self.0.read(path, offset, length)
    }
}
