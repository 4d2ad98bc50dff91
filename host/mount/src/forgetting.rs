//! Has the system forget files before what is kept for its sake grows too large.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use fuser::{INodeNo, Notifier};

use crate::inodes::Inodes;

/// How often the files are counted.
const TICK: Duration = Duration::from_secs(1);

/// Goes on until it is ended.
pub(crate) struct Forgetting {
    end: Sender<Infallible>,
    thread: JoinHandle<()>,
}

impl Forgetting {
    /// Begins to ask the system to forget files wherever it knows more than `most`. Files that are open stay, and so do all directories, since somebody
    /// may be in one.
    pub(crate) fn begin(inodes: Arc<Inodes>, notifier: Notifier, most: usize) -> Self {
        let (end, ended) = mpsc::channel();
        // A thread of its own: the system answers only once it has no other request in the same directory.
        let thread = std::thread::spawn(move || go_on(&inodes, &notifier, most, &ended));
        Self { end, thread }
    }

    /// Ends it, as soon as the system has answered. So it must be done before those who answer the system end.
    pub(crate) fn end(self) -> JoinHandle<()> {
        drop(self.end);
        self.thread
    }
}

fn go_on(inodes: &Inodes, notifier: &Notifier, most: usize, ended: &Receiver<Infallible>) {
    let goes_on = || ended.try_recv() == Err(TryRecvError::Empty);
    while goes_on() {
        // Wakes up at the end, too.
        let _ = ended.recv_timeout(TICK);
        let (names, asked) = inodes.files();
        // What stays though it was asked for is in use, and may take as many.
        if names <= most.max(asked) {
            continue;
        }
        for (directory, name) in inodes.ask_for_files() {
            let name = OsStr::from_bytes(&name);
            let asked = goes_on().then(|| notifier.inval_entry(INodeNo(directory), name));
            match asked {
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::debug!(%error, "the system does not forget"),
                None => return,
            }
        }
    }
}
