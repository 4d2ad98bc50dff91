//! A command that was started by a job which may be gone since.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process_group};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::{GRACE, POLL};

/// A running command, as another process knows it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    /// Since when the system runs that it was started on: another has other processes of the same numbers.
    boot: String,
    /// The number of the process and of its group.
    process: u32,
    /// When it began, as proc_pid_stat(5) counts: a later one of that number began at another time.
    since: u64,
    /// When its time is up: milliseconds since the system began. None where that is as soon as nobody waits for it.
    until: Option<i64>,
}

impl Started {
    /// A process that this one has just started, and that may take so many seconds if it `lasts`; none where it is over already.
    pub(super) fn now(process: u32, timeout: u32, lasts: bool) -> Option<Self> {
        Some(Self {
            boot: boot()?,
            process,
            since: since(process)?,
            until: lasts.then(|| uptime().saturating_add(i64::from(timeout) * 1_000)),
        })
    }

    /// Whether it has not come to its end.
    pub(crate) fn runs(&self) -> bool {
        boot().as_ref() == Some(&self.boot) && since(self.process) == Some(self.since)
    }

    /// Waits for its end, unless the operator interrupts that; gives whether it has come. Its watchdog went with the job, so this ends it when its time
    /// is up.
    pub(crate) fn wait(&self, cancel: &AtomicBool) -> bool {
        let until = self.until.unwrap_or_else(uptime);
        let mut asked = false;
        while self.runs() {
            if cancel.load(Ordering::Relaxed) {
                return false;
            }
            let over = uptime().saturating_sub(until);
            if over >= 0 && !asked {
                asked = true;
                self.signal(Signal::TERM);
            }
            if over >= 1_000 * GRACE.as_secs().cast_signed() {
                self.signal(Signal::KILL);
            }
            std::thread::sleep(POLL);
        }
        true
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.process).ok().and_then(Pid::from_raw) {
            kill_process_group(group, signal).ok();
        }
    }
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let process = self.process;
        match self.until {
            Some(until) => {
                let left = until.saturating_sub(uptime()).max(0) / 1_000;
                write!(f, "process {process} is waited for, {left} s at most")
            }
            None => write!(f, "process {process} is ended"),
        }
    }
}

/// What the system calls the time since it began.
fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Milliseconds since the system began.
fn uptime() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
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
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_command_is_waited_for_and_ended_when_its_time_is_up() {
        let mut sleep = Command::new("sleep");
        let sleep = std::os::unix::process::CommandExt::process_group(sleep.arg("60"), 0);
        let mut child = sleep.spawn().unwrap();
        let started = Started::now(child.id(), 1, true).unwrap();
        let another = Started {
            since: started.since + 1,
            ..started.clone()
        };
        assert!(started.runs() && !another.runs());
        let cancel = AtomicBool::new(true);
        assert!(another.wait(&cancel) && !started.wait(&cancel));
        let begun = Instant::now();
        // Nobody reaps it meanwhile.
        assert!(started.wait(&AtomicBool::new(false)));
        assert!(begun.elapsed() >= Duration::from_millis(500));
        assert!(!started.runs());
        child.wait().unwrap();
        assert!(!started.runs());
        assert_eq!(Started::now(child.id(), 1, true), None);
    }

    #[test]
    fn what_nobody_waits_for_is_ended_at_once() {
        let mut sleep = Command::new("sleep");
        let sleep = std::os::unix::process::CommandExt::process_group(sleep.arg("60"), 0);
        let mut child = sleep.spawn().unwrap();
        let started = Started::now(child.id(), 60, false).unwrap();
        assert!(started.wait(&AtomicBool::new(false)));
        assert!(!child.wait().unwrap().success());
    }
}
