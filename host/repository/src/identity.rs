//! Who runs this process, as snapshots, keys and locks record it.

use rustix::process::{getgid, getpid, getuid};

/// Who runs this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The machine.
    pub hostname: String,
    /// The user, empty if it has no name.
    pub username: String,
    /// The user as a number.
    pub uid: u32,
    /// The group as a number.
    pub gid: u32,
    /// The process.
    pub pid: i32,
}

impl Identity {
    /// Asks the system.
    pub fn of_this_process() -> Self {
        let uid = getuid().as_raw();
        let username =
            uzers::get_user_by_uid(uid).map(|user| user.name().to_string_lossy().into_owned());
        Self {
            hostname: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            username: username.unwrap_or_default(),
            uid,
            gid: getgid().as_raw(),
            pid: getpid().as_raw_nonzero().get(),
        }
    }
}
