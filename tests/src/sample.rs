//! Directory trees to back up.

use std::ffi::OsStr;
use std::fs::{File, FileTimes, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, lchown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lsetxattr, mknodat, utimensat,
};

use crate::programs::is_root;

/// Bytes without any pattern, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// A few small files and a directory, quick to back up.
pub fn simple(root: &Path) {
    std::fs::create_dir_all(root.join("folder")).unwrap();
    std::fs::write(root.join("a.txt"), "first\n").unwrap();
    std::fs::write(root.join("folder/b.txt"), "second\n").unwrap();
    std::fs::write(root.join("folder/empty"), "").unwrap();
}

/// Everything that a Unix file system may hold and a backup may get wrong. What only the superuser may make is left out for others.
pub fn awkward(root: &Path) {
    simple(root);
    let path = |name: &str| root.join(name);

    for (name, bytes) in [
        (OsStr::from_bytes(b"latin-\xe9.txt"), "not UTF-8"),
        (OsStr::from_bytes(b"\xff\xfe\x01"), "no text at all"),
        (OsStr::new("line\nfeed\ttab"), "control characters"),
        (
            OsStr::new("back\\slash\"quote'<&>"),
            "what JSON and shells mind",
        ),
        (OsStr::new(" space "), "spaces around"),
        (OsStr::new("-dash"), "looks like an option"),
        (OsStr::new("默认\u{2028}\u{1f600}"), "beyond ASCII"),
    ] {
        std::fs::write(root.join(name), bytes).unwrap();
    }

    std::fs::write(path("large"), noise(1, 9 << 20)).unwrap();
    let sparse = File::create(path("sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    sparse.write_all_at(b"an island", 40 << 20).unwrap();

    std::fs::hard_link(path("a.txt"), path("folder/same-as-a")).unwrap();
    std::fs::hard_link(path("large"), path("folder/same-as-large")).unwrap();

    symlink("a.txt", path("link")).unwrap();
    symlink("nowhere/at all", path("dangling")).unwrap();
    symlink("/etc", path("absolute")).unwrap();
    symlink(OsStr::from_bytes(b"latin-\xe9.txt"), path("link-to-latin")).unwrap();

    lsetxattr(path("a.txt"), "user.comment", b"kept", XattrFlags::empty()).unwrap();
    lsetxattr(
        path("folder"),
        "user.binary",
        b"\0\xff\x01",
        XattrFlags::empty(),
    )
    .unwrap();
    lsetxattr(path("folder"), "user.empty", b"", XattrFlags::empty()).unwrap();

    mknodat(
        CWD,
        path("fifo"),
        FileType::Fifo,
        Mode::from_raw_mode(0o640),
        0,
    )
    .unwrap();

    for (name, mode) in [
        ("setuid", 0o4755),
        ("setgid", 0o2750),
        ("sticky", 0o1777),
        ("nothing", 0o000),
        ("read-only", 0o444),
    ] {
        std::fs::write(path(name), name).unwrap();
        if is_root() {
            lchown(path(name), Some(12_345), Some(54_321)).unwrap();
        }
        // After the owner, because changing that clears setuid.
        std::fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
    }
    std::fs::create_dir(path("shared")).unwrap();
    std::fs::set_permissions(path("shared"), Permissions::from_mode(0o3775)).unwrap();
    if is_root() {
        lchown(path("link"), Some(1), Some(2)).unwrap();
        mknodat(
            CWD,
            path("null"),
            FileType::CharacterDevice,
            Mode::from_raw_mode(0o666),
            rustix::fs::makedev(1, 3),
        )
        .unwrap();
    } else {
        // A file of mode 0 would be unreadable to whoever made it.
        std::fs::remove_file(path("nothing")).unwrap();
    }

    std::fs::create_dir(path("empty")).unwrap();
    let mut deep = path("deep");
    for _ in 0..40 {
        deep.push("deeper");
    }
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("bottom"), "found").unwrap();

    old(&path("a.txt"), Duration::new(1_000_000_000, 123_456_789));
    let before_1970 = SystemTime::UNIX_EPOCH - Duration::new(86_400, 500);
    File::open(path("folder/b.txt"))
        .unwrap()
        .set_times(FileTimes::new().set_modified(before_1970))
        .unwrap();
    let time = Timespec {
        tv_sec: 1_234_567_890,
        tv_nsec: 987_654_321,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path("link"), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    old(&path("folder"), Duration::from_secs(1_111_111_111));
    old(&path("empty"), Duration::from_secs(1));
    old(root, Duration::from_secs(1_222_222_222));
}

/// Sets when a file or directory was modified, since 1970.
pub fn old(path: &Path, age: Duration) {
    let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + age);
    File::open(path).unwrap().set_times(times).unwrap();
}
