//! Repositories that are mounted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::environment::TestEnvironment;
use crate::programs;
use crate::run::Running;

/// Whether a repository can be mounted here; says so where it can't.
pub fn is_possible() -> bool {
    let fusermount = || {
        let mut names = ["fusermount3", "fusermount"].iter();
        names.any(|name| programs::find(name).is_some())
    };
    let lacks = if !Path::new("/dev/fuse").exists() {
        "there is no /dev/fuse"
    } else if !programs::is_root() && !fusermount() {
        "neither fusermount3 nor fusermount is installed (Debian package fuse3)"
    } else {
        return true;
    };
    programs::missing(lacks);
    false
}

/// Whether something is mounted there.
pub fn is_mounted(place: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.contains(&format!(" {} ", place.display()))
}

/// Mounts the repository for at most that long, and gives the place and the program that answers there.
pub fn mounted(environment: &TestEnvironment, time: Duration) -> (PathBuf, Running) {
    let place = environment.make_directory("place");
    let mounted = environment.copal(["mount"]).arg(&place);
    let mounted = mounted.within(time).start();
    let waits = (0..1_000).find(|_| {
        std::thread::sleep(Duration::from_millis(20));
        is_mounted(&place)
    });
    if waits.is_none() {
        mounted.signal(Signal::INT);
        let outcome = mounted.wait();
        panic!("it was never mounted: {}", outcome.stderr);
    }
    (place, mounted)
}
