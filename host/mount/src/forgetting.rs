//! Has the system forget files before what is kept for its sake grows too large.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use fuser::{INodeNo, Notifier};

use crate::inodes::Inodes;

/// How many numbers may be known. A system with much memory would remember millions, and each keeps a node here.
const MANY: usize = 1 << 16;

/// How often they are counted.
const TICK: Duration = Duration::from_secs(1);

/// Goes on until it is dropped.
pub(crate) struct Forgetting(
    #[expect(dead_code, reason = "its end is what is told")] Sender<Infallible>,
);

impl Forgetting {
    /// Begins to ask for it wherever too many are known. What is in use stays: open files, and directories, where somebody may be.
    pub(crate) fn begin(inodes: Arc<Inodes>, notifier: Notifier) -> Self {
        let (sender, end) = mpsc::channel();
        // A thread of its own: the system answers only once it has no other request in the same directory.
        std::thread::spawn(move || {
            while end.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                if inodes.count() <= MANY {
                    continue;
                }
                for (directory, name) in inodes.files() {
                    let name = OsStr::from_bytes(&name);
                    if let Err(error) = notifier.inval_entry(INodeNo(directory), name) {
                        tracing::debug!(%error, "the system does not forget");
                        break;
                    }
                }
            }
        });
        Self(sender)
    }
}
