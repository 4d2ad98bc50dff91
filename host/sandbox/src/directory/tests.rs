use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::Directory;
use crate::tree::Tree as _;
use crate::types::{FailureKind, Kind};

fn sample() -> (tempfile::TempDir, Directory) {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("root");
    fs::create_dir_all(root.join("conf/empty")).unwrap();
    fs::write(root.join("conf/app.yml"), "port: 2122\n").unwrap();
    fs::write(root.join("back\\slash"), "").unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "latin").unwrap();
    fs::write(temp.path().join("outside"), "secret").unwrap();
    symlink("conf/app.yml", root.join("inside")).unwrap();
    symlink("../outside", root.join("outside")).unwrap();
    symlink(temp.path().join("outside"), root.join("absolute")).unwrap();
    let directory = Directory::open("home", &root).unwrap();
    (temp, directory)
}

#[test]
fn entries_are_listed_by_the_bytes_of_their_names() {
    let (_temp, home) = sample();
    let listed: Vec<_> = home
        .list("")
        .unwrap()
        .into_iter()
        .map(|entry| (entry.path, entry.kind))
        .collect();
    assert_eq!(
        listed,
        [
            ("absolute".to_owned(), Kind::Symlink),
            (r"back\\slash".to_owned(), Kind::File),
            (r"caf\xe9".to_owned(), Kind::File),
            ("conf".to_owned(), Kind::Directory),
            ("inside".to_owned(), Kind::Symlink),
            ("outside".to_owned(), Kind::Symlink),
        ]
    );
    let conf: Vec<_> = home
        .list("conf")
        .unwrap()
        .into_iter()
        .map(|entry| entry.path)
        .collect();
    assert_eq!(conf, ["conf/app.yml", "conf/empty"]);
}

#[test]
fn a_name_that_is_not_utf8_can_be_read_by_its_spelling() {
    let (_temp, home) = sample();
    assert_eq!(home.read(r"caf\xe9", 0, 100).unwrap(), b"latin");
    assert_eq!(home.stat(r"back\\slash").unwrap().unwrap().size, 0);
}

#[test]
fn reads_end_at_the_end_of_the_file() {
    let (_temp, home) = sample();
    assert_eq!(home.read("conf/app.yml", 6, 4).unwrap(), b"2122");
    assert_eq!(home.read("conf/app.yml", 6, 100).unwrap(), b"2122\n");
    assert_eq!(home.read("conf/app.yml", 1 << 40, 100).unwrap(), b"");
    assert_eq!(home.read("conf/app.yml", u64::MAX, 100).unwrap(), b"");
}

#[test]
fn symlinks_are_followed_within_the_root_alone() {
    let (_temp, home) = sample();
    assert_eq!(home.read("inside", 0, 4).unwrap(), b"port");
    for path in ["outside", "absolute"] {
        let failure = home.read(path, 0, 100).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
        let entry = home.stat(path).unwrap().unwrap();
        assert_eq!(entry.kind, Kind::Symlink);
        assert!(entry.link_target.unwrap().ends_with("outside"));
    }
}

#[test]
fn a_path_that_climbs_out_is_denied() {
    let (_temp, home) = sample();
    assert_eq!(
        home.read("../outside", 0, 100).unwrap_err().kind,
        FailureKind::Denied
    );
    assert_eq!(home.list("..").unwrap_err().kind, FailureKind::Denied);
    assert_eq!(
        home.read("/etc/passwd", 0, 100).unwrap_err().kind,
        FailureKind::Denied
    );
}

#[test]
fn what_is_not_there_is_missing() {
    let (_temp, home) = sample();
    assert_eq!(home.stat("conf/none").unwrap(), None);
    assert_eq!(home.stat("conf/app.yml/none").unwrap(), None);
    assert_eq!(home.list("none").unwrap_err().kind, FailureKind::Missing);
    assert_eq!(
        home.list("conf/app.yml").unwrap_err().kind,
        FailureKind::Missing
    );
    assert_eq!(
        home.read("none", 0, 1).unwrap_err().kind,
        FailureKind::Missing
    );
    assert_eq!(
        home.read("conf", 0, 1).unwrap_err().kind,
        FailureKind::Missing
    );
}

#[test]
fn an_absent_directory_is_an_empty_tree() {
    let temp = tempfile::tempdir().unwrap();
    let empty = Directory::open("home", &temp.path().join("absent")).unwrap();
    assert_eq!(empty.stat("").unwrap(), None);
    assert_eq!(empty.list("").unwrap(), []);
    assert_eq!(empty.list("conf").unwrap_err().kind, FailureKind::Missing);
    assert!(Path::new(empty.location()).is_absolute());
}

#[test]
fn reading_a_socket_or_fifo_never_waits() {
    let (temp, home) = sample();
    let _socket = UnixListener::bind(temp.path().join("root/socket")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        temp.path().join("root/fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert_eq!(home.stat("fifo").unwrap().unwrap().kind, Kind::Fifo);
    assert!(home.read("fifo", 0, 1).is_err());
    assert!(home.read("socket", 0, 1).is_err());
}
