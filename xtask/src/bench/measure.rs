//! What a process used.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use wait4::Wait4 as _;

use crate::command;

/// What one process took, with all that it waited for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds of user and system time.
    pub(crate) cpu: f64,
    /// Peak resident memory in bytes.
    pub(crate) memory: u64,
}

/// Runs a command silently and measures it.
pub(crate) fn run(command: &mut Command) -> Result<Usage> {
    // What earlier commands left unwritten must not be charged to this one.
    rustix::fs::sync();
    let start = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("cannot start `{}`", command::line(command)))?;
    let ended = child.wait4()?;
    let wall = start.elapsed();
    if !ended.status.success() {
        bail!("`{}` failed with {}", command::line(command), ended.status);
    }
    Ok(Usage {
        wall: wall.as_secs_f64(),
        cpu: (ended.rusage.utime + ended.rusage.stime).as_secs_f64(),
        memory: ended.rusage.maxrss,
    })
}
