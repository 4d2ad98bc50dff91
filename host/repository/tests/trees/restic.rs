//! restic restores what we archived and we restore what it backed up, to identical trees.
//!
//! Where no `restic` is installed the tests say so and are skipped; where `CI` is set they fail.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use copal_repository::archiver::{ArchiveOptions, Archiver};
use copal_repository::format::tree::Node;
use copal_repository::progress::Silent;
use copal_repository::restorer::{RestoreOptions, restore_node};
use copal_repository::{Password, Repository};

use crate::fixture::{PASSWORD, Place, assert_same, describe, noise};
use crate::members::{Archive, Lister};
use crate::taken_over::Capitals;

/// As rich as restic 0.14 can keep it: a symlink's target has to be UTF-8.
pub(crate) fn rich_tree(root: &Path) {
    crate::fixture::rich_tree(root);
    let modified = fs::metadata(root).unwrap().modified().unwrap();
    fs::remove_file(root.join("raw")).unwrap();
    fs::File::open(root)
        .unwrap()
        .set_modified(modified)
        .unwrap();
}

fn run(repository: &Path, directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("restic");
    command
        .arg("--repo")
        .arg(repository)
        .arg("--no-cache")
        .args(arguments);
    command
        .current_dir(directory)
        .env("RESTIC_PASSWORD", PASSWORD)
        .output()
        .unwrap()
}

pub(crate) fn restic(place: &Place, directory: &Path, arguments: &[&str]) -> String {
    let output = run(&place.path("repository"), directory, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "restic {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn have_restic() -> bool {
    copal_tests::programs::require("restic", "restic").is_some()
}

/// A repository that restic made, opened by us.
fn made_by_restic() -> Place {
    Place::with(|store, runtime| {
        let path = store.location().trim_start_matches("file://").to_owned();
        let output = run(Path::new(&path), Path::new("/"), &["init"]);
        assert!(output.status.success(), "{output:?}");
        let password = Password::new(PASSWORD);
        Repository::open(store, runtime.handle().clone(), &password).unwrap()
    })
}

#[test]
fn restic_restores_what_we_archived() {
    if !have_restic() {
        return;
    }
    let place = Place::new();
    rich_tree(&place.path("source"));
    let before = describe(&place.path("source"));
    let archived = place.archive(None, None);
    place.save(archived.tree);
    restic(&place, Path::new("/"), &["check", "--read-data"]);
    let target = place.path("target");
    restic(
        &place,
        Path::new("/"),
        &["restore", "latest", "--target", target.to_str().unwrap()],
    );
    assert_same(&before, &describe(&target.join("home")));
}

#[test]
fn we_restore_what_restic_backed_up_and_make_the_same_tree_of_it() {
    if !have_restic() {
        return;
    }
    let place = made_by_restic();
    let source = place.path("source");
    rich_tree(&source.join("home"));
    let before = describe(&source.join("home"));
    restic(&place, &source, &["backup", "home"]);
    let (_, snapshot) = place.repository.snapshot("latest").unwrap();
    let node = place.find(&snapshot.tree, b"home");

    let options = RestoreOptions::default();
    let target = place.path("target");
    let summary = restore_node(&place.repository, &node, &target, None, &options, &Silent).unwrap();
    assert_eq!(summary.errors, []);
    assert_same(&before, &describe(&target));

    for parent in [None, Some(snapshot.tree)] {
        let options = ArchiveOptions {
            parent,
            ..Default::default()
        };
        let mut archiver = Archiver::new(&place.repository, options, &Silent).unwrap();
        archiver
            .add_tree("home", &source.join("home"), None)
            .unwrap();
        let archived = archiver.finish().unwrap();
        assert_eq!(archived.summary.errors, []);
        if parent.is_some() {
            assert_eq!(
                (archived.summary.files_new, archived.summary.files_changed),
                (0, 0)
            );
        }
        assert_equal_nodes(&place, &node, &place.find(&archived.tree, b"home"));
        assert_eq!(archived.tree, snapshot.tree);
        assert_eq!(archived.summary.data_added, 0, "restic has all of it");
    }
}

/// Names the entry and the field that differ, where the ids would only say that something does.
fn assert_equal_nodes(place: &Place, restic: &Node, ours: &Node) {
    let plain = |node: &Node| Node {
        subtree: None,
        ..node.clone()
    };
    assert_eq!(plain(restic), plain(ours));
    let (Some(restic), Some(ours)) = (restic.subtree, ours.subtree) else {
        return;
    };
    let [restic, ours] = [restic, ours].map(|id| place.repository.load_tree(&id).unwrap().nodes);
    for (restic, ours) in restic.iter().zip(&ours) {
        assert_equal_nodes(place, restic, ours);
    }
    assert_eq!(restic.len(), ours.len());
}

#[test]
fn restic_finds_nothing_to_add_to_what_we_archived() {
    if !have_restic() {
        return;
    }
    let place = Place::new();
    rich_tree(&place.path("source"));
    let archived = place.archive(None, None);
    place.save(archived.tree);
    fs::rename(place.path("source"), place.path("home")).unwrap();
    let output = restic(
        &place,
        place.directory.path(),
        &["backup", "--json", "home"],
    );
    let summary = output.lines().last().unwrap();
    assert!(summary.contains(r#""data_blobs":0"#), "{summary}");
}

/// Not even where its size and times are those of the file.
#[test]
fn restic_does_not_take_over_what_a_filter_made() {
    if !have_restic() {
        return;
    }
    let place = Place::new();
    place.write("file", "content");
    let archived = place.archive(None, Some(&Capitals::of_everything()));
    let parent = place.save(archived.tree);
    fs::rename(place.path("source"), place.path("home")).unwrap();
    let backup = ["backup", "--parent", &parent, "home"];
    restic(&place, place.directory.path(), &backup);
    let dump = ["dump", "latest", "home/file"];
    assert_eq!(restic(&place, Path::new("/"), &dump), "content");
}

#[test]
fn restic_restores_an_archive_whose_members_are_listed() {
    if !have_restic() {
        return;
    }
    let place = Place::new();
    let bundle = noise(11, 5 << 20);
    let archive = Archive::of([
        ("backup_information.yml", &b"---"[..]),
        ("repositories/@hashed/aa/001.bundle", &bundle),
        ("empty", b""),
    ]);
    place.write("x.tar", &archive.bytes);
    let before = describe(&place.path("source"));
    let archived = place.archive(None, Some(&Lister::of(&archive.members)));
    place.save(archived.tree);
    restic(&place, Path::new("/"), &["check", "--read-data"]);
    let target = place.path("target");
    restic(
        &place,
        Path::new("/"),
        &["restore", "latest", "--target", target.to_str().unwrap()],
    );
    let mut after = describe(&target.join("home"));
    let members = after.split_off(Path::new("x.tar.members"));
    assert_same(&before, &after);
    assert_eq!(members.len(), 7);
    let view = target.join("home/x.tar.members");
    assert!(fs::read(view.join("repositories/@hashed/aa/001.bundle")).unwrap() == bundle);
    assert_eq!(fs::read(view.join("empty")).unwrap(), b"");
}
