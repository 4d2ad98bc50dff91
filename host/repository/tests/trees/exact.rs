//! Restores that remove what the snapshot does not hold.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use copal_repository::TreeId;
use copal_repository::format::BlobKind;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::pass::{Change, PassError, Verdict};
use copal_repository::pattern::{Choice, Pattern};
use copal_repository::progress::{ItemErrorKind, Silent};
use copal_repository::restorer::{RestoreOptions, restore_node};
use copal_repository::{WriterOptions, pass};
use rustix::fs::{XattrFlags, lsetxattr};

use crate::fixture::{Place, assert_same, damage, describe, noise, rich_tree};

fn exact() -> RestoreOptions {
    RestoreOptions {
        exact: true,
        ..Default::default()
    }
}

#[test]
fn a_directory_is_put_back_exactly() {
    let place = Place::new();
    rich_tree(&place.path("source"));
    let before = describe(&place.path("source"));
    let archived = place.archive(None, None);
    // What is changed, grows or is replaced by something of another kind.
    fs::rename(place.path("source"), place.path("target")).unwrap();
    let target = |name: &str| place.path("target").join(name);
    fs::create_dir_all(target("more/and/more")).unwrap();
    fs::write(target("more/and/file"), "new").unwrap();
    fs::write(target("deep/a/new"), "new").unwrap();
    fs::write(target("text"), "other").unwrap();
    fs::remove_file(target("small")).unwrap();
    fs::create_dir_all(target("small/full")).unwrap();
    fs::remove_dir_all(target("many")).unwrap();
    fs::write(target("many"), "a file").unwrap();
    fs::remove_dir_all(target("setgid")).unwrap();
    fs::create_dir(place.path("outside")).unwrap();
    fs::write(place.path("outside/file"), "mine").unwrap();
    symlink(place.path("outside"), target("setgid")).unwrap();
    symlink(place.path("outside"), target("more/link")).unwrap();
    symlink(place.path("outside"), target("new link")).unwrap();
    let name = &b"user.copal.new"[..];
    lsetxattr(target("empty"), name, b"new", XattrFlags::empty()).unwrap();

    let summary = place.restore_with(archived.tree, None, &exact());
    assert_eq!(summary.errors, []);
    // `more`, `new link` and `deep/a/new`, and the three that stood in the way.
    assert_eq!(summary.removed.count, 6);
    assert_same(&before, &describe(&place.path("target")));
    assert_eq!(fs::read(place.path("outside/file")).unwrap(), b"mine");

    let again = place.restore_with(archived.tree, None, &exact());
    assert_eq!((again.errors, again.removed.count), (vec![], 0));
    assert_same(&before, &describe(&place.path("target")));
}

#[test]
fn a_restore_that_is_not_exact_removes_nothing() {
    let place = Place::new();
    place.write("file", "x");
    let archived = place.archive(None, None);
    fs::create_dir_all(place.path("target/more")).unwrap();
    let summary = place.restore(archived.tree, None);
    assert_eq!((summary.errors, summary.removed.count), (vec![], 0));
    assert!(place.path("target/more").exists());
}

#[test]
fn a_root_that_is_a_file_spares_its_siblings() {
    let place = Place::new();
    place.write("file", "x");
    let archived = place.archive(None, None);
    let node = place.find(&archived.tree, b"home/file");
    fs::create_dir(place.path("target")).unwrap();
    fs::write(place.path("target/sibling"), "mine").unwrap();
    let target = place.path("target/file");
    let summary = restore_node(&place.repository, &node, &target, None, &exact(), &Silent);
    assert_eq!(summary.unwrap().removed.count, 0);
    assert_eq!(fs::read(place.path("target/sibling")).unwrap(), b"mine");
}

/// Leaves out what is named `skipped`, fails for all of `broken`, and renames `old`.
struct Selective;

impl pass::Passes for Selective {
    fn start(&self) -> Result<Box<dyn pass::Pass>, PassError> {
        Ok(Box::new(Self))
    }
}

impl pass::Pass for Selective {
    fn classify(&mut self, directory: &[u8], nodes: &[Node]) -> Result<Vec<Verdict>, PassError> {
        let renamed = Change {
            name: Some(b"new".to_vec()),
            ..Default::default()
        };
        let verdict = |node: &Node| match &*node.name {
            b"skipped" => Verdict::Skip,
            b"old" => Verdict::Change(renamed.clone()),
            _ => Verdict::Keep,
        };
        match directory {
            b"broken" => Err(PassError::Item("no verdict".into())),
            _ => Ok(nodes.iter().map(verdict).collect()),
        }
    }

    fn open(&mut self, _: &[u8], _: &Node) -> Result<(), PassError> {
        Ok(())
    }

    fn push(&mut self, chunk: &[u8]) -> Result<Vec<u8>, PassError> {
        Ok(chunk.to_vec())
    }

    fn finish_file(&mut self) -> Result<Vec<u8>, PassError> {
        Ok(Vec::new())
    }
}

#[test]
fn what_a_pass_leaves_out_and_sockets_stay() {
    let place = Place::new();
    for name in ["skipped/inside", "old", "broken/file", "kept"] {
        place.write(name, "stored");
    }
    let archived = place.archive(None, None);
    let target = place.path("target");
    for directory in ["skipped", "broken"] {
        fs::create_dir_all(target.join(directory)).unwrap();
    }
    for file in ["skipped/mine", "old", "broken/file", "broken/other"] {
        fs::write(target.join(file), "mine").unwrap();
    }
    let _socket = UnixListener::bind(target.join("socket")).unwrap();
    let summary = place.restore_with(archived.tree, Some(&Selective), &exact());
    // Of `broken/other`, nobody knows whether it may go.
    assert_eq!(summary.errors.len(), 2, "{:?}", summary.errors);
    // `old`, which is `new` in the target.
    assert_eq!(summary.removed.paths, ["old"]);
    let mut left: Vec<_> = describe(&target).into_keys().collect();
    left.sort();
    let left: Vec<_> = left.iter().filter_map(|path| path.to_str()).collect();
    let expected = [
        "",
        "broken",
        "broken/file",
        "broken/other",
        "kept",
        "new",
        "skipped",
        "skipped/mine",
        "socket",
    ];
    assert_eq!(left, expected);
    assert_eq!(fs::read(target.join("broken/file")).unwrap(), b"mine");
}

#[test]
fn a_directory_whose_listing_is_lost_keeps_what_is_in_the_target() {
    let place = Place::new();
    let writer = place.repository.writer(WriterOptions::default()).unwrap();
    let store = |nodes| {
        let json = Tree { nodes }.encode();
        TreeId::from(writer.store(BlobKind::Tree, &json).unwrap().id)
    };
    let lost = Node {
        subtree: Some(TreeId([7; 32])),
        ..Node::new("lost", NodeKind::Directory)
    };
    let home = Node {
        subtree: Some(store(vec![lost])),
        mode: 0o755,
        ..Node::new("home", NodeKind::Directory)
    };
    let tree = store(vec![home]);
    writer.finish().unwrap();
    fs::create_dir_all(place.path("target/lost/inside")).unwrap();
    fs::write(place.path("target/gone"), "").unwrap();
    let summary = place.restore_with(tree, None, &exact());
    assert_eq!(summary.errors.len(), 1, "{:?}", summary.errors);
    assert_eq!(summary.errors[0].kind, ItemErrorKind::Lost);
    assert_eq!(summary.removed.count, 1);
    assert!(place.path("target/lost/inside").exists());
}

/// Something mounted, for as long as this lives.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn what_is_mounted_beneath_the_target_stays() {
    let place = Place::new();
    place.write("file", "x");
    let archived = place.archive(None, None);
    let other = place.path("other");
    let inside = place.path("target/more/mounted");
    fs::create_dir_all(&inside).unwrap();
    fs::create_dir(&other).unwrap();
    fs::write(other.join("file"), "of another file system").unwrap();
    // Even one that is in the same file system.
    let mut mount = Command::new("mount");
    mount.arg("--bind").arg(&other).arg(&inside);
    let Ok(true) = mount.output().map(|output| output.status.success()) else {
        eprintln!("passed over: nothing can be mounted here");
        return;
    };
    let _mounted = Mounted(inside);
    let summary = place.restore_with(archived.tree, None, &exact());
    let [error] = &summary.errors[..] else {
        panic!("{:?}", summary.errors)
    };
    assert_eq!(
        (error.path.as_str(), error.kind),
        ("more", ItemErrorKind::Inexact)
    );
    assert!(
        error.message.contains("a file system is mounted"),
        "{error}"
    );
    assert!(other.join("file").exists());
}

#[test]
fn what_the_backup_could_not_save_stays() {
    let place = Place::new();
    place.write("file", "x");
    place.write("half/saved", "x");
    let archived = place.archive(None, None);
    let target = place.path("target");
    let extras = [
        "secret",
        "closed/inner/file",
        "half/other",
        "more/lost",
        "more/gone",
        "gone",
    ];
    for extra in extras {
        let path = target.join(extra);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    }
    let lost = ["home/secret", "home/closed", "home/half", "home/more/lost"];
    let options = RestoreOptions {
        spared: lost.map(str::to_owned).into(),
        path: b"home".to_vec(),
        ..exact()
    };
    let dry = RestoreOptions {
        dry_run: true,
        ..options.clone()
    };
    for options in [dry, options] {
        let summary = place.restore_with(archived.tree, None, &options);
        assert_eq!(summary.errors, []);
        let mut removed = summary.removed.paths;
        removed.sort();
        assert_eq!(removed, ["gone", "more/gone"]);
    }
    for (path, stays) in extras
        .into_iter()
        .zip([true, true, true, true, false, false])
    {
        assert_eq!(target.join(path).exists(), stays, "{path}");
    }
}

/// What a pass would not have saved is in no snapshot, and is not there to be removed either.
#[test]
fn what_a_pass_leaves_out_stays_though_the_snapshot_does_not_know_it() {
    let place = Place::new();
    place.write("kept", "x");
    let archived = place.archive(None, None);
    let target = place.path("target");
    for extra in ["skipped", "more/skipped", "more/gone", "gone"] {
        let path = target.join(extra);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    }
    let summary = place.restore_with(archived.tree, Some(&Selective), &exact());
    let mut removed = summary.removed.paths;
    removed.sort();
    assert_eq!(removed, ["gone", "more/gone"]);
    assert!(target.join("skipped").exists() && target.join("more/skipped").exists());
}

#[test]
fn a_directory_stays_where_what_was_to_replace_it_is_lost() {
    let place = Place::new();
    place.write("entry", noise(1, 100_000));
    place.write("link", "target");
    let archived = place.archive(None, None);
    let entry = place.find(&archived.tree, b"home/entry");
    let (pack, part) = place.pack_of(&entry.content[0]);
    damage(&pack, part);
    fs::create_dir_all(place.path("target/entry")).unwrap();
    fs::write(place.path("target/entry/file"), "mine").unwrap();
    let summary = place.restore_with(archived.tree, None, &exact());
    assert_eq!(summary.errors.len(), 1, "{:?}", summary.errors);
    assert_eq!(summary.removed.count, 0);
    assert_eq!(fs::read(place.path("target/entry/file")).unwrap(), b"mine");
}

/// A directory of which something is excluded is not foretold to go, and what goes of it is.
#[test]
fn a_dry_run_foretells_what_is_removed_of_a_part() {
    let place = Place::new();
    place.write("file", "x");
    let archived = place.archive(None, None);
    for extra in ["more/a.log", "more/b", "more/c/d", "gone/e"] {
        let path = place.path("target").join(extra);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    }
    let exclude = Pattern::new(b"*.log", false).unwrap();
    for dry_run in [true, false] {
        let options = RestoreOptions {
            choice: Choice {
                exclude: std::iter::once(exclude.clone()).collect(),
                ..Choice::default()
            },
            dry_run,
            ..exact()
        };
        let mut removed = place
            .restore_with(archived.tree, None, &options)
            .removed
            .paths;
        removed.sort();
        assert_eq!(removed, ["gone", "more/b", "more/c"], "{dry_run}");
    }
    assert!(place.path("target/more/a.log").exists());
}
