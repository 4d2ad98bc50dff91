//! Programs and files that a test needs and a machine may lack.

use std::path::{Path, PathBuf};

/// The search path of every program that a test starts, behind the environment's own directory.
pub const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the program is, if it is on [`SYSTEM_PATH`].
pub fn find(name: &str) -> Option<PathBuf> {
    SYSTEM_PATH
        .split(':')
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.is_file())
}

/// The program's path, or none after [`missing`] has said so.
pub fn require(name: &str, package: &str) -> Option<PathBuf> {
    find(name).or_else(|| {
        missing(&format!(
            "{name} is not installed (Debian package {package})"
        ));
        None
    })
}

/// Says that a test can't run for `reason`.
///
/// # Panics
/// In continuous integration (the variable `CI` is set), where nothing may be skipped.
pub fn missing(reason: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "{reason}; every test must run where CI is set"
    );
    eprintln!("skipped: {reason}");
}

/// Whether the tests run as the superuser, who alone may own files to others and make devices.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether tests may take as long as they like: where the variable `COPAL_TEST_LONG` is set, those that try much try all of it.
pub fn may_take_long() -> bool {
    std::env::var_os("COPAL_TEST_LONG").is_some()
}

/// How long a soak takes: as many minutes as the variable `COPAL_TEST_SOAK` says, else twenty where tests may take long, and none elsewhere.
pub fn soak() -> Option<std::time::Duration> {
    let minutes = match std::env::var("COPAL_TEST_SOAK") {
        Ok(minutes) => minutes.parse().expect("COPAL_TEST_SOAK is minutes"),
        Err(_) if may_take_long() => 20,
        Err(_) => return None,
    };
    Some(std::time::Duration::from_secs(60 * minutes))
}
