//! A command that was started by a job which may be gone since.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use super::POLL;

/// A running command, as another process knows it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    /// The number of the process and of its group.
    process: u32,
    /// When it began, as proc_pid_stat(5) counts: a later one of that number began at another time.
    since: u64,
    /// How many seconds it may take.
    timeout: u32,
}

impl Started {
    /// A process that this one has just started; none where that is over already.
    pub(super) fn now(process: u32, timeout: u32) -> Option<Self> {
        Some(Self {
            process,
            since: since(process)?,
            timeout,
        })
    }

    /// Whether it has not come to its end.
    pub(crate) fn runs(&self) -> bool {
        since(self.process) == Some(self.since)
    }

    /// Waits for its end. Its watchdog went with the job, so this ends it when its time is up.
    pub(crate) fn wait(&self) {
        let limit = Instant::now() + Duration::from_secs(u64::from(self.timeout));
        while self.runs() {
            let group = i32::try_from(self.process).ok().and_then(Pid::from_raw);
            if let Some(group) = group.filter(|_| Instant::now() >= limit) {
                kill_process_group(group, Signal::KILL).ok();
            }
            std::thread::sleep(POLL);
        }
    }
}

/// When a process began that has not ended.
fn since(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before it may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_command_is_waited_for_and_ended_when_its_time_is_up() {
        let mut sleep = Command::new("sleep");
        let sleep = std::os::unix::process::CommandExt::process_group(sleep.arg("60"), 0);
        let mut child = sleep.spawn().unwrap();
        let started = Started::now(child.id(), 1).unwrap();
        let another = Started {
            since: started.since + 1,
            ..started
        };
        assert!(started.runs() && !another.runs());
        another.wait();
        let begun = Instant::now();
        // Nobody reaps it meanwhile.
        started.wait();
        assert!(begun.elapsed() >= Duration::from_secs(1));
        assert!(!started.runs());
        child.wait().unwrap();
        assert!(!started.runs());
        assert_eq!(Started::now(child.id(), 1), None);
    }
}
