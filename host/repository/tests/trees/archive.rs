use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use copal_repository::ErrorKind;
use copal_repository::archiver::{ArchiveOptions, Archiver};
use copal_repository::format::Timestamp;
use copal_repository::format::tree::NodeKind;
use copal_repository::pass::{Change, Owner, PassError, Verdict};
use copal_repository::progress::{ItemError, ItemErrorKind, Progress, Silent};
use copal_repository::walk::dump;
use rustix::fs::{CWD, Mode, mkfifoat};

use crate::fixture::{Place, Rules, assert_same, describe, noise, rich_tree, verdicts};

fn renamed(name: &[u8]) -> Verdict {
    Verdict::Change(Change {
        name: Some(name.to_vec()),
        ..Default::default()
    })
}

fn filtered() -> Verdict {
    Verdict::Change(Change {
        filter: true,
        ..Default::default()
    })
}

fn messages(errors: &[ItemError]) -> Vec<String> {
    let mut messages: Vec<_> = errors.iter().map(ToString::to_string).collect();
    messages.sort();
    messages
}

#[test]
fn a_rich_tree_comes_back_as_it_was() {
    let place = Place::new();
    rich_tree(&place.path("source"));
    let before = describe(&place.path("source"));
    let archived = place.archive(None, None);
    assert_eq!(archived.summary.errors, []);
    let restored = place.restore(archived.tree, None);
    assert_eq!(restored.errors, []);
    assert_same(&before, &describe(&place.path("target")));
    assert_same(&before, &describe(&place.path("source")));
}

#[test]
fn what_has_not_changed_is_not_read_again() {
    let place = Place::new();
    rich_tree(&place.path("source"));
    let first = place.archive(None, None);
    let again = place.archive(Some(first.tree), None);
    assert_eq!(again.tree, first.tree);
    assert_eq!(again.summary.files_unmodified, first.summary.files_new);
    assert_eq!(
        again.summary.directories_unmodified,
        first.summary.directories_new
    );
    assert_eq!((again.summary.files_new, again.summary.data_added), (0, 0));
    assert_eq!(
        again.summary.total_bytes_processed,
        first.summary.total_bytes_processed
    );

    place.write("small.new", "new");
    fs::write(place.path("source/text"), "changed").unwrap();
    let third = place.archive(Some(first.tree), None);
    let summary = &third.summary;
    assert_eq!((summary.files_new, summary.files_changed), (1, 1));
    assert_eq!(summary.files_unmodified, first.summary.files_new - 1);
    assert_eq!(summary.directories_changed, 1);
    assert_eq!(place.find(&third.tree, b"home/text").size, 7);
}

#[test]
fn verdicts_skip_rename_and_alter() {
    let place = Place::new();
    for name in ["a", "b", "c", "d", "gone/inside", "kept/inside"] {
        place.write(name, name);
    }
    let owner = Owner {
        uid: 7,
        gid: 8,
        user: "u".into(),
        group: "g".into(),
    };
    let rules = verdicts(move |directory, node| match (directory, &*node.name) {
        (b"", b"a") => renamed(b"z"),
        (b"", b"b") => Verdict::Change(Change {
            mode: Some(0o1711),
            owner: Some(owner.clone()),
            modified: Some(Timestamp::utc(9, 9)),
            ..Default::default()
        }),
        (b"", b"c") => renamed(b"../c"),
        (b"", b"d") => renamed(b"z"),
        (b"", b"gone") => Verdict::Skip,
        (b"", b"kept") => renamed(b"moved"),
        (b"kept", b"inside") => renamed(b"within"),
        _ => panic!("{directory:?} {node:?}"),
    })
    .leak();
    let archived = place.archive(None, Some(&rules));
    assert_eq!(archived.summary.skipped, 1);
    let errors = messages(&archived.summary.errors);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].starts_with("home/c: can't be renamed"),
        "{errors:?}"
    );
    assert!(
        errors[1].contains("stored under the same name"),
        "{errors:?}"
    );

    let home = place.find(&archived.tree, b"home").subtree.unwrap();
    let tree = place.repository.load_tree(&home).unwrap();
    assert_eq!(tree.misplaced(), None);
    let names: Vec<_> = tree.nodes.iter().map(|node| node.name.as_slice()).collect();
    assert_eq!(names, [&b"b"[..], b"moved", b"z"]);
    let b = &tree.nodes[0];
    assert_eq!((b.mode, b.uid, b.gid), (0o1711, 7, 8));
    assert_eq!((b.user.as_str(), b.group.as_str()), ("u", "g"));
    assert_eq!(b.modified, Timestamp::utc(9, 9));
    assert_eq!(place.find(&archived.tree, b"home/moved/within").size, 11);
}

#[test]
fn entries_are_classified_in_bounded_batches() {
    let place = Place::new();
    for index in 0..2500 {
        place.write(&format!("{index}"), "");
    }
    let rules = verdicts(|_, _| Verdict::Keep).leak();
    let archived = place.archive(None, Some(&rules));
    assert_eq!(archived.summary.files_new, 2500);
    let mut calls = rules.calls.lock().unwrap().clone();
    calls.sort_unstable();
    assert_eq!(calls, [452, 1024, 1024]);
}

#[test]
fn filtered_content_is_stored_as_the_filter_says() {
    let place = Place::new();
    let large = noise(3, 5 << 20);
    place.write("large", &large);
    place.write("same size", "abc");
    fs::hard_link(place.path("source/same size"), place.path("source/linked")).unwrap();
    let rules = Rules {
        classify: |_: &[u8], _: &_| filtered(),
        transform: |path: &[u8], chunk: Option<&[u8]>| {
            Ok(match (path, chunk) {
                (b"large", Some(chunk)) => [chunk, chunk].concat(),
                (b"large", None) => b"end".to_vec(),
                (_, Some(chunk)) => chunk.to_ascii_uppercase(),
                (_, None) => Vec::new(),
            })
        },
        calls: Default::default(),
    }
    .leak();
    let archived = place.archive(None, Some(&rules));
    assert_eq!(archived.summary.errors, []);
    let node = place.find(&archived.tree, b"home/large");
    assert_eq!(node.size, (10 << 20) + 3);
    let mut content = Vec::new();
    dump(&place.repository, &node, &mut content).unwrap();
    let expected: Vec<_> = large
        .chunks(1 << 20)
        .flat_map(|chunk| [chunk, chunk].concat())
        .collect();
    assert!(content[..10 << 20] == expected[..] && content.ends_with(b"end"));

    // Without the filter the same file, unchanged, must not be taken over from the filtered one.
    let plain = place.archive(Some(archived.tree), None);
    assert_eq!(plain.summary.files_unmodified, 0);
    let mut content = Vec::new();
    dump(
        &place.repository,
        &place.find(&plain.tree, b"home/same size"),
        &mut content,
    )
    .unwrap();
    assert_eq!(content, b"abc");
}

#[test]
fn a_filter_that_fails_in_the_middle_loses_that_file_alone() {
    let place = Place::new();
    place.write("bad", noise(4, 6 << 20));
    place.write("good", noise(5, 6 << 20));
    let rules = Rules {
        classify: |_: &[u8], _: &_| filtered(),
        transform: |path: &[u8], chunk: Option<&[u8]>| match (path, chunk) {
            (b"bad", None) => Err(PassError::Item("no end".into())),
            (_, chunk) => Ok(chunk.unwrap_or_default().to_vec()),
        },
        calls: Default::default(),
    }
    .leak();
    let archived = place.archive(None, Some(&rules));
    assert_eq!(messages(&archived.summary.errors), ["home/bad: no end"]);
    assert_eq!(place.find(&archived.tree, b"home/good").size, 6 << 20);
    let found = copal_repository::walk::find(&place.repository, &archived.tree, b"home/bad");
    assert!(found.unwrap().is_none());
}

#[test]
fn a_pass_that_fails_for_good_ends_the_work() {
    let place = Place::new();
    place.write("file", "x");
    let rules = Rules {
        classify: |_: &[u8], _: &_| filtered(),
        transform: |_: &[u8], _: Option<&[u8]>| Err(PassError::Fatal("trapped".into())),
        calls: Default::default(),
    }
    .leak();
    let mut archiver =
        Archiver::new(&place.repository, ArchiveOptions::default(), &Silent).unwrap();
    let error = archiver
        .add_tree("home", &place.path("source"), Some(&rules))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Pass);
    assert!(error.to_string().contains("trapped"), "{error}");
}

#[test]
fn what_vanishes_or_turns_into_something_else_is_named_and_the_rest_goes_on() {
    let place = Place::new();
    for name in ["file", "fifo", "directory/inside", "stays"] {
        place.write(name, name);
    }
    let source = place.path("source");
    let rules = verdicts(move |_, node| {
        let path = source.join(str::from_utf8(&node.name).unwrap());
        match &*node.name {
            b"file" => fs::remove_file(path).unwrap(),
            b"directory" => fs::remove_dir_all(path).unwrap(),
            b"fifo" => {
                fs::remove_file(&path).unwrap();
                mkfifoat(CWD, path, Mode::RUSR).unwrap();
            }
            _ => {}
        }
        Verdict::Keep
    })
    .leak();
    let archived = place.archive(None, Some(&rules));
    let errors = messages(&archived.summary.errors);
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(
        errors[0].starts_with("home/directory: can't open it"),
        "{errors:?}"
    );
    assert_eq!(errors[1], "home/fifo: is no longer a file");
    assert!(
        errors[2].starts_with("home/file: can't open it"),
        "{errors:?}"
    );
    let home = place.find(&archived.tree, b"home").subtree.unwrap();
    assert_eq!(place.repository.load_tree(&home).unwrap().nodes.len(), 1);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_named_and_kept() {
    let place = Place::new();
    let path = place.write("file", noise(6, 4 << 20));
    let rules = Rules {
        classify: |_: &[u8], _: &_| filtered(),
        transform: move |_: &[u8], chunk: Option<&[u8]>| {
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(3 << 20)
                .unwrap();
            Ok(chunk.unwrap_or_default().to_vec())
        },
        calls: Default::default(),
    }
    .leak();
    let archived = place.archive(None, Some(&rules));
    let errors = messages(&archived.summary.errors);
    assert_eq!(
        errors,
        ["home/file: changed while it was read; what was read is kept"]
    );
    assert_eq!(archived.summary.errors[0].kind, ItemErrorKind::Inexact);
    assert_eq!(place.find(&archived.tree, b"home/file").size, 3 << 20);
}

#[test]
fn a_root_may_be_a_file_or_lie_behind_a_symlink_but_not_be_missing() {
    let place = Place::new();
    let file = place.write("conf/app.conf", "x");
    symlink("conf", place.path("source/link")).unwrap();
    fs::set_permissions(place.path("source/conf"), fs::Permissions::from_mode(0o711)).unwrap();
    let mut archiver =
        Archiver::new(&place.repository, ArchiveOptions::default(), &Silent).unwrap();
    archiver.add_tree("file", &file, None).unwrap();
    archiver
        .add_tree("linked", &place.path("source/link"), None)
        .unwrap();
    let error = archiver
        .add_tree("none", &place.path("none"), None)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(archiver.add_tree("file", &file, None).is_err(), "twice");
    let archived = archiver.finish().unwrap();
    let node = place.find(&archived.tree, b"file");
    assert_eq!((node.kind, node.size), (NodeKind::File, 1));
    assert_eq!(place.find(&archived.tree, b"linked").mode, 0o711);
    assert_eq!(place.find(&archived.tree, b"linked/app.conf").size, 1);
}

#[test]
fn streams_and_files_lie_beside_the_roots() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the pipe broke"))
        }
    }
    let place = Place::new();
    let data = noise(7, 20 << 20);
    let mut archiver =
        Archiver::new(&place.repository, ArchiveOptions::default(), &Silent).unwrap();
    archiver
        .add_stream("streams/db.sql", &data[..], None)
        .unwrap();
    archiver
        .add_stream("streams/broken", Failing, None)
        .unwrap();
    archiver.add_file(".copal/manifest.json", b"{}").unwrap();
    for unfit in [
        "",
        "/",
        "a//b",
        "../a",
        "streams",
        "streams/db.sql",
        "streams/db.sql/x",
    ] {
        assert!(archiver.add_file(unfit, b"").is_err(), "{unfit}");
    }
    let archived = archiver.finish().unwrap();
    let errors = messages(&archived.summary.errors);
    assert_eq!(errors, ["streams/broken: can't read it: the pipe broke"]);
    let mut content = Vec::new();
    let node = place.find(&archived.tree, b"streams/db.sql");
    dump(&place.repository, &node, &mut content).unwrap();
    assert!(content == data);
    assert!(node.content.len() > 2, "cut into chunks");
    assert_eq!(place.find(&archived.tree, b".copal/manifest.json").size, 2);
}

#[test]
fn work_that_is_cancelled_ends() {
    struct Cancel(Arc<AtomicBool>);
    impl Progress for Cancel {
        fn advance(&self, _: u64, bytes: u64) {
            self.0.fetch_or(bytes > 0, Ordering::Relaxed);
        }
    }
    let place = Place::new();
    place.write("large", noise(8, 16 << 20));
    let cancel = Arc::new(AtomicBool::new(false));
    let options = ArchiveOptions {
        cancel: Arc::clone(&cancel),
        ..Default::default()
    };
    let progress = Cancel(cancel);
    let mut archiver = Archiver::new(&place.repository, options, &progress).unwrap();
    let error = archiver
        .add_tree("home", &place.path("source"), None)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let read = archiver.summary().data_added;
    assert!(read < 12 << 20, "{read} bytes were stored after that");
}

#[test]
fn a_file_that_says_that_it_is_empty_is_read_nevertheless() {
    let place = Place::new();
    let options = ArchiveOptions::default();
    let mut archiver = Archiver::new(&place.repository, options, &Silent).unwrap();
    let path = Path::new("/proc/version");
    archiver.add_tree("version", path, None).unwrap();
    let archived = archiver.finish().unwrap();
    assert_eq!(messages(&archived.summary.errors), [""; 0]);
    let size = fs::read(path).unwrap().len() as u64;
    assert_eq!(place.find(&archived.tree, b"version").size, size);
}
