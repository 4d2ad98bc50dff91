//! Restoring a part, what becomes of what is there, and finding out beforehand.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use copal_repository::pass::{Change, Verdict};
use copal_repository::pattern::{Choice, Pattern, Patterns};
use copal_repository::restorer::{Overwrite, RestoreOptions};

use crate::fixture::{Place, describe, noise, verdicts};

fn patterns(texts: &[&str]) -> Patterns {
    let pattern = |text: &&str| Pattern::new(text.as_bytes(), false).unwrap();
    texts.iter().map(pattern).collect()
}

/// A choice by paths in the snapshot, where all lies in `home`.
fn choosing(include: &[&str], exclude: &[&str]) -> RestoreOptions {
    RestoreOptions {
        choice: Choice {
            include: patterns(include),
            exclude: patterns(exclude),
        },
        path: b"home".to_vec(),
        ..RestoreOptions::default()
    }
}

/// The paths of all that is at the target.
fn paths(place: &Place) -> Vec<String> {
    let found = describe(&place.path("target")).into_keys();
    let paths = found.map(|path| path.to_str().unwrap().to_owned());
    paths.filter(|path| !path.is_empty()).collect()
}

fn sample() -> Place {
    let place = Place::new();
    for name in ["a/x.conf", "a/b/y.conf", "a/b/z.log", "c/d/w.log", "top"] {
        place.write(name, name);
    }
    place
}

#[test]
fn only_what_is_chosen_is_restored_and_the_directories_that_lead_there() {
    let place = sample();
    let archived = place.archive(None, None);
    for (include, exclude, expected) in [
        (
            &["*.conf"][..],
            &[][..],
            &["a", "a/b", "a/b/y.conf", "a/x.conf"][..],
        ),
        (&["/home/a/b"], &["*.log"], &["a", "a/b", "a/b/y.conf"]),
        (&[], &["/home/a", "d"], &["c", "top"]),
        (&["/home/nothing"], &[], &[]),
        (&["/a"], &[], &[]),
    ] {
        let options = choosing(include, exclude);
        let summary = place.restore_with(archived.tree, None, &options);
        assert_eq!(summary.errors, [], "{include:?}");
        assert_eq!(paths(&place), expected, "{include:?}");
        assert!(summary.left_out > 0);
        fs::remove_dir_all(place.path("target")).unwrap();
    }
}

#[test]
fn a_directory_that_only_leads_to_what_is_chosen_keeps_its_metadata() {
    let place = sample();
    fs::set_permissions(place.path("source/a"), Permissions::from_mode(0o711)).unwrap();
    fs::set_permissions(place.path("source/a/b"), Permissions::from_mode(0o711)).unwrap();
    let archived = place.archive(None, None);
    fs::create_dir_all(place.path("target/a")).unwrap();
    fs::set_permissions(place.path("target/a"), Permissions::from_mode(0o550)).unwrap();
    let options = choosing(&["y.conf"], &[]);
    let summary = place.restore_with(archived.tree, None, &options);
    assert_eq!((summary.errors.len(), summary.files), (0, 1));
    let mode = |path: &str| fs::metadata(place.path(path)).unwrap().mode() & 0o7777;
    // One was there, the other had to be made.
    assert_eq!(mode("target/a"), 0o550);
    assert_eq!(mode("target/a/b"), 0o711);
    let options = choosing(&["/home/a"], &[]);
    place.restore_with(archived.tree, None, &options);
    assert_eq!(mode("target/a"), 0o711);
}

#[test]
fn what_cannot_be_made_is_told_only_where_something_was_to_go_there() {
    let place = sample();
    let archived = place.archive(None, None);
    fs::create_dir(place.path("target")).unwrap();
    fs::write(place.path("target/a"), "in the way").unwrap();
    fs::write(place.path("target/c"), "in the way").unwrap();
    let summary = place.restore_with(archived.tree, None, &choosing(&["*.conf", "top"], &[]));
    let failed: Vec<_> = summary.errors.iter().map(|error| &*error.path).collect();
    assert_eq!(failed, ["a"], "{:?}", summary.errors);
    assert!(place.path("target/top").exists());
}

#[test]
fn only_what_is_chosen_is_removed() {
    let place = sample();
    let archived = place.archive(None, None);
    place.restore(archived.tree, None);
    for extra in [
        "a/old.conf",
        "a/old.log",
        "e/f/kept.log",
        "e/f/gone.conf",
        "e/g/gone",
    ] {
        let path = place.path("target").join(extra);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "extra").unwrap();
    }
    symlink(place.path("source"), place.path("target/a/link")).unwrap();
    fs::set_permissions(place.path("target/e/f"), Permissions::from_mode(0o500)).unwrap();
    let before = describe(&place.path("source"));
    let exact = |include, exclude| RestoreOptions {
        exact: true,
        ..choosing(include, exclude)
    };
    let summary = place.restore_with(archived.tree, None, &exact(&["/home/a/*.conf"], &[]));
    assert_eq!(summary.removed.paths, ["a/old.conf"]);
    let summary = place.restore_with(archived.tree, None, &exact(&[], &["*.log"]));
    assert_eq!(summary.errors, []);
    // Of `e`, something is excluded and stays.
    let mut removed = summary.removed.paths;
    removed.sort();
    assert_eq!(removed, ["a/link", "e/f/gone.conf", "e/g"]);
    let left = paths(&place);
    for (path, there) in [
        ("a/old.log", true),
        ("a/b/z.log", true),
        ("e/f/kept.log", true),
        ("e/f/gone.conf", false),
        ("e/g", false),
    ] {
        assert_eq!(left.contains(&path.to_owned()), there, "{path}");
    }
    let mode = fs::metadata(place.path("target/e/f")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o500);
    assert_eq!(describe(&place.path("source")), before);
}

#[test]
fn what_is_not_chosen_under_another_name_is_not_removed_under_it() {
    let place = sample();
    let archived = place.archive(None, None);
    let rules = verdicts(|_, node| match &*node.name {
        b"top" => Verdict::Change(Change {
            name: Some(b"renamed".to_vec()),
            ..Change::default()
        }),
        _ => Verdict::Keep,
    })
    .leak();
    place.restore(archived.tree, Some(&rules));
    let options = RestoreOptions {
        exact: true,
        ..choosing(&[], &["top"])
    };
    let summary = place.restore_with(archived.tree, Some(&rules), &options);
    assert_eq!(summary.removed.count, 0, "{:?}", summary.removed);
    assert!(place.path("target/renamed").exists());
}

fn overwriting(overwrite: Overwrite) -> RestoreOptions {
    RestoreOptions {
        overwrite,
        ..RestoreOptions::default()
    }
}

fn set_modified(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn what_is_there_is_overwritten_as_asked() {
    for (overwrite, expected, kept) in [
        (Overwrite::Always, ["new!", "new!", "new!"], 0),
        // Of the same size and time, it is believed to be the same.
        (Overwrite::IfChanged, ["new!", "new!", "mine"], 0),
        (Overwrite::IfNewer, ["new!", "mine", "mine"], 2),
        (Overwrite::Never, ["mine", "mine", "mine"], 4),
    ] {
        let place = Place::new();
        fs::create_dir_all(place.path("target/directory")).unwrap();
        for (name, found) in [("older", 1_000), ("newer", 3_000), ("same", 2_000)] {
            let source = place.write(name, "new!");
            set_modified(&source, 2_000);
            let target = place.path("target").join(name);
            fs::write(&target, "mine").unwrap();
            set_modified(&target, found);
        }
        place.write("absent", "new!");
        symlink("new", place.path("source/link")).unwrap();
        fs::create_dir(place.path("source/directory")).unwrap();
        set_modified(&place.path("source/directory"), 2_000);
        let archived = place.archive(None, None);
        symlink("mine", place.path("target/link")).unwrap();
        let summary = place.restore_with(archived.tree, None, &overwriting(overwrite));
        assert_eq!(summary.errors, [], "{overwrite:?}");
        let found = ["older", "newer", "same"]
            .map(|name| fs::read_to_string(place.path("target").join(name)).unwrap());
        assert_eq!(found, expected, "{overwrite:?}");
        // The link was made after its source: it is newer than that, and is kept where the target's are.
        let kept = kept + u64::from(overwrite == Overwrite::IfNewer);
        assert_eq!(summary.kept, kept, "{overwrite:?}");
        assert_eq!(
            fs::read_to_string(place.path("target/absent")).unwrap(),
            "new!"
        );
        let directory = fs::metadata(place.path("target/directory")).unwrap();
        let mended = matches!(overwrite, Overwrite::Always | Overwrite::IfChanged);
        assert_eq!(directory.mtime() == 2_000, mended, "{overwrite:?}");
    }
}

#[test]
fn a_kind_that_must_not_be_overwritten_is_not_removed_either() {
    let place = Place::new();
    place.write("entry/file", "x");
    let archived = place.archive(None, None);
    fs::create_dir(place.path("target")).unwrap();
    fs::write(place.path("target/entry"), "mine").unwrap();
    let options = RestoreOptions {
        exact: true,
        ..overwriting(Overwrite::Never)
    };
    let summary = place.restore_with(archived.tree, None, &options);
    assert_eq!(summary.errors.len(), 1, "{:?}", summary.errors);
    assert_eq!(fs::read(place.path("target/entry")).unwrap(), b"mine");
}

fn contents(path: &Path) -> BTreeMap<PathBuf, String> {
    match path.exists() {
        true => describe(path),
        false => BTreeMap::new(),
    }
}

/// A dry run changes nothing and says what the run then does.
#[test]
fn a_dry_run_foretells_the_run() {
    let place = sample();
    place.write("large", noise(1, 3 << 20));
    fs::hard_link(place.path("source/top"), place.path("source/a/hard")).unwrap();
    symlink("top", place.path("source/link")).unwrap();
    let archived = place.archive(None, None);
    let dirty = |place: &Place| {
        let write = |name: &str, content: &str| {
            let path = place.path("target").join(name);
            fs::write(path, content).unwrap();
        };
        write("a/x.conf", "changed");
        write("a/b/more", "extra");
        write("large", "cut off");
        fs::set_permissions(
            place.path("target/a/b/y.conf"),
            Permissions::from_mode(0o604),
        )
        .unwrap();
        fs::remove_file(place.path("target/link")).unwrap();
        symlink("elsewhere", place.path("target/link")).unwrap();
        fs::remove_file(place.path("target/a/hard")).unwrap();
        fs::remove_dir_all(place.path("target/c")).unwrap();
    };
    type State<'a> = (&'a str, &'a dyn Fn(&Place));
    let states: [State<'_>; 3] = [
        ("nothing is there", &|_| {}),
        ("it is all there", &|_| {}),
        ("some of it differs", &dirty),
    ];
    for (state, make) in states {
        make(&place);
        for (exact, exclude) in [(false, &["z.log"][..]), (true, &[])] {
            let options = RestoreOptions {
                exact,
                ..choosing(&[], exclude)
            };
            let dry = RestoreOptions {
                dry_run: true,
                ..options.clone()
            };
            let before = contents(&place.path("target"));
            let mut foretold = place.restore_with(archived.tree, None, &dry);
            assert_eq!(contents(&place.path("target")), before, "{state}");
            let mut done = place.restore_with(archived.tree, None, &options);
            // What of a file is the same already need not be fetched.
            assert!(done.bytes <= foretold.bytes, "{state}");
            (done.bytes, foretold.bytes) = (0, 0);
            for summary in [&mut done, &mut foretold] {
                summary.replaced.paths.sort();
            }
            assert_eq!(foretold, done, "{state}");
        }
    }
    let source = describe(&place.path("source"));
    crate::fixture::assert_same(&source, &describe(&place.path("target")));
}

/// A file with several names of which the first must stay as it is comes under the others all the same.
#[test]
fn hard_links_do_not_need_the_first_name() {
    let place = Place::new();
    place.write("a", "stored");
    for name in ["b", "c", "d"] {
        fs::hard_link(place.path("source/a"), place.path("source").join(name)).unwrap();
    }
    let archived = place.archive(None, None);
    let target = |name: &str| place.path("target").join(name);
    fs::create_dir(place.path("target")).unwrap();
    for name in ["a", "c"] {
        fs::write(target(name), "mine").unwrap();
    }
    let never = overwriting(Overwrite::Never);
    let dry = RestoreOptions {
        dry_run: true,
        ..never.clone()
    };
    for options in [dry, never] {
        let summary = place.restore_with(archived.tree, None, &options);
        assert_eq!(summary.errors, []);
        assert_eq!((summary.kept, summary.files, summary.bytes), (2, 2, 6));
    }
    let content = |name| fs::read_to_string(target(name)).unwrap();
    assert_eq!(
        ["a", "b", "c", "d"].map(content),
        ["mine", "stored", "mine", "stored"]
    );
    let inode = |name| fs::metadata(target(name)).unwrap().ino();
    assert_eq!(inode("b"), inode("d"));
}

#[test]
fn a_hard_link_is_made_though_the_first_name_is_taken() {
    let place = Place::new();
    place.write("a", "stored");
    fs::hard_link(place.path("source/a"), place.path("source/b")).unwrap();
    let archived = place.archive(None, None);
    fs::create_dir_all(place.path("target/a/full")).unwrap();
    let summary = place.restore_with(archived.tree, None, &RestoreOptions::default());
    let failed: Vec<_> = summary.errors.iter().map(|error| &*error.path).collect();
    assert_eq!(failed, ["a"], "{:?}", summary.errors);
    assert_eq!(fs::read(place.path("target/b")).unwrap(), b"stored");
}
