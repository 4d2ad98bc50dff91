//! Folders of a snapshot as tar archives, which GNU tar reads.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use copal_repository::format::BlobKind;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::progress::Silent;
use copal_repository::tarball::{Tarred, write};
use copal_repository::{BlobId, ErrorKind, TreeId, WriterOptions};

use crate::fixture::{Place, assert_same, damage, describe, noise, rich_tree};
use crate::restic::{have_restic, restic};

pub(crate) fn archive(place: &Place, tree: TreeId, path: &str) -> (PathBuf, Tarred) {
    let node = place.find(&tree, path.as_bytes());
    let to = place.path("archive.tar");
    let mut file = File::create(&to).unwrap();
    let done = write(
        &place.repository,
        &node,
        path.as_bytes(),
        &mut file,
        &Silent,
    )
    .unwrap();
    (to, done)
}

fn tar(arguments: &[&str], archive: &Path) -> String {
    let output = Command::new("tar")
        .env("LC_ALL", "C")
        .args(arguments)
        .arg("-f")
        .arg(archive)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tar {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn extract(place: &Place, archive: &Path) -> PathBuf {
    let target = place.path("extracted");
    fs::create_dir(&target).unwrap();
    let directory = format!("--directory={}", target.to_str().unwrap());
    let all = "--xattrs-include=*";
    tar(&["-x", "-p", "--xattrs", all, &directory], archive);
    target
}

#[test]
fn gnu_tar_brings_back_all_that_a_tree_can_hold() {
    let place = Place::new();
    let source = place.path("source");
    rich_tree(&source);
    let long = "a name that is long ".repeat(12);
    let deep = format!("{long}/{long}");
    place.write(&deep, "deep");
    std::os::unix::fs::symlink(&deep, source.join("to the deep")).unwrap();
    let before = describe(&source);
    let archived = place.archive(None, None);
    let (file, done) = archive(&place, archived.tree, "");
    assert_eq!(done.errors, []);
    assert_eq!(done.entries as usize, before.len());
    let extracted = extract(&place, &file);
    assert_same(&before, &describe(&extracted.join("home")));
}

#[test]
fn names_are_whole_paths_as_in_restics_archives() {
    let place = Place::new();
    for name in ["a/b/file", "a/other", "top"] {
        place.write(name, name);
    }
    let archived = place.archive(None, None);
    let (file, _) = archive(&place, archived.tree, "home/a");
    let names = tar(&["-t"], &file);
    assert_eq!(names, "home/a/b/\nhome/a/b/file\nhome/a/other\n");
    let (file, done) = archive(&place, archived.tree, "home/top");
    assert_eq!(tar(&["-t"], &file), "home/top\n");
    assert_eq!((done.entries, done.bytes), (1, 3));
    if have_restic() {
        place.save(archived.tree);
        let mut theirs = File::create(place.path("theirs.tar")).unwrap();
        let dumped = restic(&place, Path::new("/"), &["dump", "latest", "/home/a"]);
        theirs.write_all(dumped.as_bytes()).unwrap();
        assert_eq!(tar(&["-t"], &place.path("theirs.tar")), names);
    }
}

#[test]
fn large_numbers_and_other_owners_are_kept() {
    let place = Place::new();
    let writer = place.repository.writer(WriterOptions::default()).unwrap();
    let blob = writer.store(BlobKind::Data, b"x").unwrap().id;
    let file = Node {
        uid: 3_000_000_000,
        gid: 3_000_000_001,
        user: "a user with quite a long name, too long for a header".to_owned(),
        group: "größe".to_owned(),
        size: 1,
        content: vec![blob],
        mode: 0o4751,
        ..Node::new("file", NodeKind::File)
    };
    let tree = Tree { nodes: vec![file] }.encode();
    let tree = writer.store(BlobKind::Tree, &tree).unwrap().id.into();
    writer.finish().unwrap();
    let (archive, _) = archive(&place, tree, "");
    let listed = tar(&["-tv", "--numeric-owner"], &archive);
    assert!(listed.contains("3000000000/3000000001"), "{listed}");
    assert!(listed.contains("-rwsr-x--x"), "{listed}");
    // A time that was never set is before all that a header can say.
    assert!(listed.contains(" 1-01-01 00:00"), "{listed}");
    let listed = tar(&["-tv"], &archive);
    assert!(listed.contains("too long for a header"), "{listed}");
}

#[test]
fn hard_links_are_links_within_the_archive() {
    let place = Place::new();
    place.write("a/first", noise(1, 100_000));
    fs::create_dir(place.path("source/b")).unwrap();
    fs::hard_link(place.path("source/a/first"), place.path("source/b/second")).unwrap();
    let archived = place.archive(None, None);
    let (file, done) = archive(&place, archived.tree, "home");
    assert_eq!(done.bytes, 100_000);
    let extracted = extract(&place, &file).join("home");
    let inode = |path: &str| fs::metadata(extracted.join(path)).unwrap().ino();
    assert_eq!(inode("a/first"), inode("b/second"));
}

#[test]
fn what_the_repository_lacks_is_left_out_and_named() {
    let place = Place::new();
    let writer = place.repository.writer(WriterOptions::default()).unwrap();
    let blob = writer.store(BlobKind::Data, b"x").unwrap().id;
    let file = |name: &str, content| Node {
        size: 1,
        content: vec![content],
        ..Node::new(name, NodeKind::File)
    };
    let nodes = vec![
        file("../evil", blob),
        file("lost", BlobId::of(b"never stored")),
        Node::new("odd", NodeKind::Irregular),
        Node::new("socket", NodeKind::Socket),
        file("whole", blob),
    ];
    let tree = writer
        .store(BlobKind::Tree, &Tree { nodes }.encode())
        .unwrap();
    writer.finish().unwrap();
    let (file, done) = archive(&place, tree.id.into(), "");
    let named: Vec<_> = done.errors.iter().map(|error| &*error.path).collect();
    assert_eq!(named, ["../evil", "lost", "odd"]);
    assert_eq!(tar(&["-t"], &file), "whole\n");
}

#[test]
fn a_full_disk_ends_it() {
    let place = Place::new();
    place.write("file", noise(1, 100_000));
    let archived = place.archive(None, None);
    let node = place.find(&archived.tree, b"home");
    let mut full = File::options().write(true).open("/dev/full").unwrap();
    let result = write(&place.repository, &node, b"home", &mut full, &Silent);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn zeros_stand_for_a_part_that_is_lost_and_the_rest_goes_on() {
    let place = Place::new();
    place.write("first", noise(1, 100_000));
    place.write("lost/inner", "x");
    place.write("second", noise(2, 100_000));
    let archived = place.archive(None, None);
    let first = place.find(&archived.tree, b"home/first");
    let (pack, part) = place.pack_of(&first.content[0]);
    damage(&pack, part);
    let (file, done) = archive(&place, archived.tree, "home");
    let [error] = &done.errors[..] else {
        panic!("{:?}", done.errors);
    };
    assert_eq!(error.path, "home/first");
    assert!(error.message.contains("zeros"), "{error}");
    let extracted = extract(&place, &file).join("home");
    assert!(fs::read(extracted.join("first")).unwrap() == vec![0; 100_000]);
    assert!(fs::read(extracted.join("second")).unwrap() == noise(2, 100_000));
}

#[test]
fn a_lost_listing_costs_its_own_folder_alone() {
    let place = Place::new();
    let writer = place.repository.writer(WriterOptions::default()).unwrap();
    let lost = Node {
        subtree: Some(TreeId([7; 32])),
        ..Node::new("lost", NodeKind::Directory)
    };
    let nodes = vec![lost, Node::new("whole", NodeKind::File)];
    let tree = writer
        .store(BlobKind::Tree, &Tree { nodes }.encode())
        .unwrap();
    writer.finish().unwrap();
    let (file, done) = archive(&place, tree.id.into(), "");
    assert_eq!(done.errors.len(), 1, "{:?}", done.errors);
    assert_eq!(tar(&["-t"], &file), "lost/\nwhole\n");
}
