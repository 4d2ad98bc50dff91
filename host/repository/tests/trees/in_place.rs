//! Restoring over what is there: only what differs is written.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;

use copal_repository::restorer::RestoreOptions;
use rustix::fs::{XattrFlags, setxattr};

use crate::fixture::{Place, assert_same, describe, noise, rich_tree};

/// Inodes and times of change of all beneath a directory: both are new where something was written.
fn touched(root: &Path) -> Vec<(u64, i64, i64)> {
    let items = describe(root).into_keys();
    let stat = |path| fs::symlink_metadata(root.join(path)).unwrap();
    items
        .map(stat)
        .filter(|stat| !stat.is_dir())
        .map(|stat| (stat.ino(), stat.ctime(), stat.ctime_nsec()))
        .collect()
}

#[test]
fn what_is_the_same_is_not_touched() {
    let place = Place::new();
    rich_tree(&place.path("source"));
    let archived = place.archive(None, None);
    let first = place.restore(archived.tree, None);
    let before = touched(&place.path("target"));
    let second = place.restore(archived.tree, None);
    assert_eq!(second.errors, []);
    assert_eq!(touched(&place.path("target")), before);
    assert_eq!((second.bytes, second.mended), (0, 0));
    assert_eq!(second.replaced.count, 0, "{:?}", second.replaced);
    assert_eq!(
        (second.files, second.unchanged, second.others),
        (first.files, first.files, first.others)
    );
}

#[test]
fn metadata_is_mended_and_content_replaced_where_it_differs() {
    let place = Place::new();
    rich_tree(&place.path("source"));
    let whole = describe(&place.path("source"));
    let archived = place.archive(None, None);
    place.restore(archived.tree, None);
    let target = |name: &str| place.path("target").join(name);
    fs::set_permissions(target("large"), Permissions::from_mode(0o600)).unwrap();
    setxattr(target("many/1"), c"user.more", b"x", XattrFlags::empty()).unwrap();
    File::options()
        .write(true)
        .open(target("text"))
        .unwrap()
        .write_all_at(b"X", 1_000_000)
        .unwrap();
    fs::remove_file(target("deep/hard")).unwrap();
    fs::write(target("deep/hard"), "no link any more").unwrap();
    fs::set_permissions(target("fifo"), Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(target("many/7")).unwrap();

    let summary = place.restore(archived.tree, None);
    assert_eq!(summary.errors, []);
    assert_same(&whole, &describe(&place.path("target")));
    assert_eq!(summary.mended, 3, "{summary:?}");
    let mut replaced = summary.replaced.paths.clone();
    replaced.sort();
    assert_eq!(replaced, ["deep/hard", "text"]);
    assert_eq!(summary.unchanged, summary.files - 3);
}

#[test]
fn of_a_file_that_differs_only_the_parts_that_do_are_fetched() {
    let place = Place::new();
    let content = noise(1, 24 << 20);
    place.write("large", &content);
    let archived = place.archive(None, None);
    place.restore(archived.tree, None);
    let target = place.path("target/large");
    let file = File::options().write(true).open(&target).unwrap();
    file.write_all_at(b"changed", 11 << 20).unwrap();
    file.set_len(23 << 20).unwrap();
    let summary = place.restore(archived.tree, None);
    assert_eq!(summary.errors, []);
    assert!(fs::read(&target).unwrap() == content);
    assert!(
        summary.bytes > 0 && summary.bytes < content.len() as u64 / 2,
        "{}",
        summary.bytes
    );
}

#[test]
fn nothing_that_has_a_name_elsewhere_is_given_to_another_owner() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    for name in ["file", "single"] {
        let path = place.write(name, "the same");
        chown(&path, Some(12_345), None).unwrap();
    }
    fs::hard_link(place.path("source/file"), place.path("source/other")).unwrap();
    let archived = place.archive(None, None);
    fs::create_dir(place.path("target")).unwrap();
    for name in ["file", "single"] {
        let outside = place.path(name);
        fs::write(&outside, "the same").unwrap();
        fs::hard_link(&outside, place.path("target").join(name)).unwrap();
    }
    let summary = place.restore(archived.tree, None);
    assert_eq!(summary.errors, []);
    for name in ["file", "single"] {
        let owner = |path| fs::metadata(path).unwrap().uid();
        assert_eq!(owner(place.path(name)), 0, "{name}");
        assert_eq!(owner(place.path("target").join(name)), 12_345, "{name}");
    }
}

#[test]
fn a_filtered_file_is_written_anew_and_only_if_it_may_be() {
    use copal_repository::pass::{Change, Verdict};
    use copal_repository::restorer::Overwrite;
    let place = Place::new();
    place.write("conf", "a=1\n");
    let archived = place.archive(None, None);
    let rules = crate::fixture::Rules {
        classify: |_: &[u8], _: &copal_repository::format::tree::Node| {
            Verdict::Change(Change {
                filter: true,
                ..Change::default()
            })
        },
        transform: |_: &[u8], chunk: Option<&[u8]>| {
            Ok(chunk.unwrap_or_default().to_ascii_uppercase())
        },
        calls: std::sync::Mutex::default(),
    }
    .leak();
    place.restore(archived.tree, Some(&rules));
    let target = place.path("target/conf");
    assert_eq!(fs::read(&target).unwrap(), b"A=1\n");
    fs::write(&target, "mine").unwrap();
    let never = RestoreOptions {
        overwrite: Overwrite::Never,
        ..RestoreOptions::default()
    };
    let summary = place.restore_with(archived.tree, Some(&rules), &never);
    assert_eq!((summary.kept, summary.files), (1, 0));
    assert_eq!(fs::read(&target).unwrap(), b"mine");
    let summary = place.restore(archived.tree, Some(&rules));
    assert_eq!((summary.replaced.count, summary.errors.len()), (1, 0));
    assert_eq!(fs::read(&target).unwrap(), b"A=1\n");
}

#[test]
fn metadata_is_not_set_through_a_name_that_lies_elsewhere_too() {
    let place = Place::new();
    place.write("file", "the same");
    fs::hard_link(place.path("source/file"), place.path("source/other")).unwrap();
    let archived = place.archive(None, None);
    fs::create_dir(place.path("target")).unwrap();
    let outside = place.path("outside");
    fs::write(&outside, "the same").unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000);
    File::open(&outside).unwrap().set_modified(time).unwrap();
    fs::hard_link(&outside, place.path("target/file")).unwrap();
    assert_eq!(place.restore(archived.tree, None).errors, []);
    assert_eq!(fs::metadata(&outside).unwrap().modified().unwrap(), time);
    let inode = |path: &str| fs::metadata(place.path(path)).unwrap().ino();
    assert_ne!(inode("target/file"), inode("outside"));
    assert_eq!(inode("target/file"), inode("target/other"));
}
