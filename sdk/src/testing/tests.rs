use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;
use crate::{
    Change, Direction, Entry, Failure, FailureKind, Filter, Finding, Kind, Pass, Tree, Verdict,
};

/// The same tree in memory and on disk.
fn both() -> (MemoryTree, DiskTree, tempfile::TempDir) {
    let memory = MemoryTree::new("home")
        .file("a/b/file", "0123456789")
        .file(r"a/\xff", "bytes")
        .file(r"a/\\", "backslash")
        .file("a/~", "tilde")
        .symlink("a/link", "b/file")
        .symlink("over", "a/../a/b")
        .symlink("out", "../../etc")
        .symlink("absolute", "/etc")
        .symlink("loop", "loop");
    let place = tempfile::tempdir().unwrap();
    let disk = place.path().join("a/b");
    fs::create_dir_all(&disk).unwrap();
    fs::write(disk.join("file"), "0123456789").unwrap();
    fs::write(
        place
            .path()
            .join("a")
            .join(std::ffi::OsStr::from_bytes(b"\xff")),
        "bytes",
    )
    .unwrap();
    fs::write(place.path().join(r"a/\"), "backslash").unwrap();
    fs::write(place.path().join("a/~"), "tilde").unwrap();
    symlink("b/file", place.path().join("a/link")).unwrap();
    symlink("a/../a/b", place.path().join("over")).unwrap();
    symlink("../../etc", place.path().join("out")).unwrap();
    symlink("/etc", place.path().join("absolute")).unwrap();
    symlink("loop", place.path().join("loop")).unwrap();
    let disk = DiskTree::new("home", place.path()).unwrap();
    (memory, disk, place)
}

fn shape(entry: &Entry) -> (String, Kind, u64, Option<String>) {
    (
        entry.path.clone(),
        entry.kind,
        if entry.is_file() { entry.size } else { 0 },
        entry.link_target.clone(),
    )
}

#[test]
fn a_tree_in_memory_lists_and_describes_as_one_on_disk() {
    let (memory, disk, _place) = both();
    for path in ["", "a", "a/b", "over", "a/b/file", "none", "out"] {
        let list = |tree: &dyn Tree| {
            tree.list(path)
                .map(|entries| entries.iter().map(shape).collect::<Vec<_>>())
                .ok()
        };
        assert_eq!(list(&memory), list(&disk), "{path}");
        let stat = |tree: &dyn Tree| tree.stat(path).unwrap().as_ref().map(shape);
        assert_eq!(stat(&memory), stat(&disk), "{path}");
    }
    assert!(memory.exists("a/link").unwrap() && disk.exists("a/link").unwrap());
}

#[test]
fn a_tree_in_memory_reads_as_one_on_disk() {
    let (memory, disk, _place) = both();
    for path in ["a/b/file", "a/link", "over/file", r"a/\xff", r"a/\\"] {
        for (offset, length) in [
            (0, 100),
            (3, 4),
            (9, 9),
            (10, 1),
            (u64::MAX >> 1, 1),
            (0, 0),
        ] {
            assert_eq!(
                memory.read(path, offset, length).unwrap(),
                disk.read(path, offset, length).unwrap(),
                "{path} {offset} {length}"
            );
        }
    }
    assert_eq!(memory.read("a/link", 3, 4).unwrap(), b"3456");
    for path in ["none", "a/none/x", "loop", "out/passwd", "absolute/passwd"] {
        assert!(memory.read(path, 0, 1).is_err(), "{path}");
        assert!(disk.read(path, 0, 1).is_err(), "{path}");
    }
}

#[test]
fn a_whole_file_is_read_up_to_the_limit_only() {
    let tree = MemoryTree::new("home").file("f", "12345").file("g", [0xff]);
    assert_eq!(tree.read_all("f", 5).unwrap(), b"12345");
    let failure = tree.read_all("f", 4).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unsupported);
    assert_eq!(failure.message, "home/f holds more than 4 bytes");
    let failure = tree.read_to_string("g", 5).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Corrupt);
}

/// Renames, restricts and upper-cases.
struct Shout;

impl Pass for Shout {
    type State = String;

    fn start(_direction: Direction, _state: String) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn classify(&mut self, _root: &str, entry: &Entry) -> Result<Verdict, Failure> {
        Ok(match entry.name() {
            "skipped" => Verdict::Skip,
            "dir" => Verdict::Change(Change {
                name: Some("DIR".to_owned()),
                ..Change::none()
            }),
            _ => Verdict::filter(),
        })
    }

    fn open(&mut self, _root: &str, _entry: &Entry) -> Result<Box<dyn Filter>, Failure> {
        Ok(Box::new(Upper))
    }

    fn finish(self) -> Result<Vec<Finding>, Failure> {
        Ok(vec![Finding::info("shout.done", "Done.")])
    }
}

struct Upper;

impl Filter for Upper {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        out.extend(chunk.to_ascii_uppercase());
        Ok(())
    }
}

/// Wrong: marks where the chunks end.
struct Ends;

impl Filter for Ends {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        out.extend(chunk);
        out.push(b'|');
        Ok(())
    }
}

#[test]
fn a_pass_skips_renames_and_filters() {
    let long = "x".repeat(2_500);
    let tree = MemoryTree::new("home")
        .file("dir/a", long.as_str())
        .file("skipped/b", "");
    let (result, findings) = run_pass::<Shout>(&tree, Direction::Backup, br#""state""#).unwrap();
    assert_eq!(result.paths(), ["DIR", "DIR/a"]);
    assert_eq!(
        result.read_to_string("DIR/a", 5_000).unwrap(),
        long.to_uppercase()
    );
    assert_eq!(findings.len(), 2);
}

#[test]
fn a_state_that_the_pass_does_not_read_is_a_failure() {
    let tree = MemoryTree::new("home");
    let failure = run_pass::<Shout>(&tree, Direction::Backup, b"").unwrap_err();
    assert_eq!(failure.code, "sdk.state.decode");
}

#[test]
fn a_filter_that_does_not_care_where_its_input_is_cut_passes() {
    assert_eq!(
        filter_all_chunkings(|| Box::new(Upper), b"some text").unwrap(),
        b"SOME TEXT"
    );
}

#[test]
#[should_panic(expected = "in chunks of 1 bytes")]
fn a_filter_that_cares_where_its_input_is_cut_is_found() {
    let _ = filter_all_chunkings(|| Box::new(Ends), b"some text");
}
