//! Telling a terminal that has gone from a program that only asks whether this process runs: both send the same signal.
//!
//! `restic unlock` sends it to the process that a lock of this machine names, and takes the lock for stale where there is no such process. A
//! backup must not end by that.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;

use crate::ending::Ending;

/// What a shell reports of a program that ended by a hangup.
const HUNG_UP: i32 = 129;

/// A shell that ends tells its programs so before the terminal goes.
const PATIENCE: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Ends the work, or the program, once the terminal is gone that it was started from.
pub(crate) async fn heed(mut hangups: Signal, ending: Arc<Ending>) {
    let had_terminal = has_terminal();
    while hangups.recv().await.is_some() {
        if !had_terminal || !has_gone().await {
            tracing::debug!("a hangup that is none is passed over");
        } else {
            ending.end(HUNG_UP).await;
        }
    }
}

/// Whether the process has a terminal that controls it.
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

async fn has_gone() -> bool {
    for _ in 0..PATIENCE {
        if !has_terminal() {
            return true;
        }
        tokio::time::sleep(PAUSE).await;
    }
    false
}
