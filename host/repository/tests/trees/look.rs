//! What finds, compares and counts, held against restic on the same snapshots.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use copal_repository::differ::{self, Change, Summary, What};
use copal_repository::finder::{Finder, Query, Wanted};
use copal_repository::format::BlobKind;
use copal_repository::format::Timestamp;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::pattern::Pattern;
use copal_repository::statistics::{CountMode, Counter, Statistics};
use copal_repository::{ErrorKind, TreeId, WriterOptions};
use serde_json::Value;

use crate::fixture::{Place, noise};
use crate::restic::{have_restic, restic, rich_tree};

/// Two snapshots of a tree between which much has happened.
struct Two {
    place: Place,
    trees: [TreeId; 2],
    ids: [String; 2],
}

fn two() -> Two {
    let place = Place::new();
    let source = place.path("source");
    rich_tree(&source);
    place.write("d/Photo.JPG", "jpg");
    place.write("d/sub/photo.jpg", noise(9, 2 << 20));
    place.write("gone/one", "one");
    place.write("gone/two", "two");
    let first = place.archive(None, None).tree;
    fs::rename(source.join("many/7"), source.join("deep/7")).unwrap();
    fs::rename(source.join("large"), source.join("renamed")).unwrap();
    fs::remove_dir_all(source.join("gone")).unwrap();
    fs::remove_file(source.join("another")).unwrap();
    fs::write(source.join("text"), "another text\n".repeat(1000)).unwrap();
    fs::set_permissions(source.join("d/Photo.JPG"), Permissions::from_mode(0o600)).unwrap();
    place.write("come/new", "new");
    symlink("new", source.join("come/link")).unwrap();
    let second = place.archive(Some(first), None).tree;
    let ids = [first, second].map(|tree| place.save(tree));
    Two {
        place,
        trees: [first, second],
        ids,
    }
}

impl Two {
    fn restic(&self, arguments: &[&str]) -> String {
        restic(&self.place, Path::new("/"), arguments)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.restic(arguments)).unwrap()
    }

    fn diff(&self, metadata: bool) -> Difference {
        let [first, second] = self.trees;
        diff(&self.place, first, second, metadata)
    }

    fn find(&self, query: &Query) -> [BTreeSet<String>; 2] {
        let mut finder = Finder::new(&self.place.repository, query);
        self.trees.map(|tree| {
            let mut paths = BTreeSet::new();
            let mut found = |hit: &copal_repository::finder::Hit<'_>| {
                paths.insert(format!("/{}", String::from_utf8_lossy(hit.path)));
                Ok(())
            };
            finder.search(&tree, &mut found).unwrap();
            paths
        })
    }
}

/// What two snapshots differ in.
struct Difference {
    changes: Vec<Change>,
    summary: Summary,
}

fn diff(place: &Place, first: TreeId, second: TreeId, metadata: bool) -> Difference {
    let mut changes = Vec::new();
    let mut visit = |change| {
        changes.push(change);
        Ok(())
    };
    let summary = differ::diff(&place.repository, first, second, metadata, &mut visit).unwrap();
    Difference { changes, summary }
}

fn changes(found: &Difference) -> Vec<(String, &What)> {
    let path = |change: &Change| String::from_utf8_lossy(&change.path).into_owned();
    let changes = found.changes.iter();
    changes.map(|change| (path(change), &change.what)).collect()
}

#[test]
fn a_file_that_moved_is_one_change() {
    let two = two();
    let found = two.diff(false);
    let moved = |from: &str| What::Moved {
        from: from.as_bytes().to_vec(),
    };
    let expected = [
        ("home/come", What::Added),
        ("home/come/link", What::Added),
        ("home/come/new", What::Added),
        ("home/deep/7", moved("home/many/7")),
        ("home/renamed", moved("home/large")),
    ];
    let all = changes(&found);
    for (path, what) in &expected {
        assert!(all.contains(&((*path).to_owned(), what)), "{path}: {all:?}");
    }
    assert_eq!(found.summary.moved_files, 2);
    assert!(!all.iter().any(|(path, _)| path == "home/large"));
    // `small` lost a name: the name is gone, and the others differ in their number of links alone.
    assert!(all.contains(&("home/another".to_owned(), &What::Removed)));
    assert!(!all.iter().any(|(path, _)| path == "home/d/Photo.JPG"));
    let all = two.diff(true);
    assert!(changes(&all).contains(&("home/d/Photo.JPG".to_owned(), &What::Metadata)));
}

#[test]
fn of_equal_files_those_of_the_same_name_are_paired() {
    let place = Place::new();
    for name in ["a/x", "a/y", "b/z"] {
        place.write(name, "the same");
    }
    let first = place.archive(None, None).tree;
    for (from, to) in [("a/x", "c-x"), ("a/y", "x"), ("b/z", "y")] {
        let source = place.path("source");
        fs::rename(source.join(from), source.join(to)).unwrap();
    }
    let second = place.archive(None, None).tree;
    let found = diff(&place, first, second, false);
    let all = changes(&found);
    for (to, from) in [
        ("home/c-x", "home/b/z"),
        ("home/x", "home/a/x"),
        ("home/y", "home/a/y"),
    ] {
        let what = What::Moved {
            from: from.as_bytes().to_vec(),
        };
        assert!(all.contains(&(to.to_owned(), &what)), "{to}: {all:?}");
    }
    assert_eq!(found.summary.moved_files, 3);
    assert_eq!(found.summary.added.data_blobs, 0);
}

#[test]
fn what_lies_in_a_directory_that_became_a_file_is_removed() {
    let place = Place::new();
    place.write("entry/inner", "inner");
    place.write("link", "to be one");
    symlink("here", place.path("source/points")).unwrap();
    let first = place.archive(None, None).tree;
    let source = place.path("source");
    fs::remove_dir_all(source.join("entry")).unwrap();
    place.write("entry", "a file");
    fs::remove_file(source.join("points")).unwrap();
    symlink("there", source.join("points")).unwrap();
    let second = place.archive(None, None).tree;
    let found = diff(&place, first, second, false);
    let all = changes(&found);
    for (path, what) in [
        ("home/entry", What::Kind),
        ("home/entry/inner", What::Removed),
        ("home/points", What::Content),
    ] {
        assert!(all.contains(&(path.to_owned(), &what)), "{path}: {all:?}");
    }
    assert_eq!(found.summary.changed_files, 0);
    assert_eq!(found.summary.removed.data_blobs, 1);
    let same = diff(&place, first, first, true);
    assert!(same.changes.is_empty() && same.summary.added.bytes == 0);
}

#[test]
fn restic_diffs_the_same() {
    if !have_restic() {
        return;
    }
    let two = two();
    let [first, second] = &two.ids;
    let text = two.restic(&["diff", "--json", "--metadata", first, second]);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let theirs: BTreeSet<_> = lines
        .iter()
        .filter(|line| line["message_type"] == "change")
        .map(|line| {
            let word = |key: &str| line[key].as_str().unwrap().to_owned();
            (word("modifier"), word("path"))
        })
        // To restic, a directory differs where anything beneath it does.
        .filter(|(modifier, path)| modifier != "U" || !path.ends_with('/'))
        .collect();
    let found = two.diff(true);
    let mut ours = BTreeSet::new();
    for change in &found.changes {
        let directory = change.kind == NodeKind::Directory;
        let slash = if directory { "/" } else { "" };
        let path = |path: &[u8]| format!("/{}{slash}", String::from_utf8_lossy(path));
        let mut add = |modifier: &str, at: &[u8]| ours.insert((modifier.to_owned(), path(at)));
        match &change.what {
            What::Added => add("+", &change.path),
            What::Removed => add("-", &change.path),
            What::Content => add("M", &change.path),
            What::Kind => add("T", &change.path),
            What::Metadata if directory => true,
            What::Metadata => add("U", &change.path),
            What::Moved { from } => add("-", from) && add("+", &change.path),
        };
    }
    assert_eq!(ours, theirs);
    let statistics = lines.last().unwrap();
    assert_eq!(statistics["changed_files"], found.summary.changed_files);
    for (side, amount) in [
        ("added", &found.summary.added),
        ("removed", &found.summary.removed),
    ] {
        assert_eq!(
            statistics[side],
            serde_json::to_value(amount).unwrap(),
            "{side}"
        );
    }
}

#[test]
fn restic_counts_the_same() {
    if !have_restic() {
        return;
    }
    let two = two();
    for (mode, word) in [
        (CountMode::RestoreSize, "restore-size"),
        (CountMode::FilesByContents, "files-by-contents"),
        (CountMode::BlobsPerFile, "blobs-per-file"),
        (CountMode::RawData, "raw-data"),
    ] {
        let [first, second] = [0, 1].map(|index| vec![index]);
        for chosen in [first, second, vec![0, 1]] {
            let mut arguments = vec!["stats", "--json", "--mode", word];
            arguments.extend(chosen.iter().map(|&index| &*two.ids[index]));
            let theirs = two.json(&arguments);
            let mut counter = Counter::new(&two.place.repository, mode);
            for &index in &chosen {
                counter
                    .add(&two.trees[index], &mut |_, error| Err(error))
                    .unwrap();
            }
            let Statistics {
                total_size,
                total_file_count,
                total_blob_count,
                ..
            } = *counter.statistics();
            let theirs = |key: &str| theirs[key].as_u64().unwrap_or(0);
            assert_eq!(total_size, theirs("total_size"), "{word} {chosen:?}");
            let files = theirs("total_file_count");
            assert_eq!(total_file_count, files, "{word} {chosen:?}");
            let blobs = theirs("total_blob_count");
            assert_eq!(total_blob_count.unwrap_or(0), blobs, "{word} {chosen:?}");
        }
    }
}

fn entries(patterns: &[&str], ignore_case: bool) -> Query {
    let pattern = |text: &&str| Pattern::new(text.as_bytes(), ignore_case).unwrap();
    Query::Entries {
        patterns: patterns.iter().map(pattern).collect(),
        oldest: None,
        newest: None,
    }
}

#[test]
fn restic_finds_the_same() {
    if !have_restic() {
        return;
    }
    let two = two();
    for (patterns, ignore_case) in [
        (&["*.JPG"][..], false),
        (&["*.JPG"], true),
        (&["photo*", "text"], false),
        (&["/home/d"], false),
        (&["/home/*/sub"], false),
        (&["/home/**/f/file"], false),
        (&["many/1[0-9]"], false),
        (&["deep/**/f"], false),
        (&["d/*"], false),
        (&["[^a-z]*"], false),
        (&["none of that name"], false),
    ] {
        let mut arguments = vec!["find", "--json"];
        arguments.extend(ignore_case.then_some("--ignore-case"));
        arguments.extend(patterns);
        let theirs = two.json(&arguments);
        let ours = two.find(&entries(patterns, ignore_case));
        for (id, ours) in two.ids.iter().zip(ours) {
            let of_snapshot = theirs.as_array().unwrap().iter();
            let of_snapshot = of_snapshot.filter(|found| found["snapshot"] == **id);
            let matches = of_snapshot.flat_map(|found| found["matches"].as_array().unwrap());
            let theirs: BTreeSet<_> = matches
                .map(|found| found["path"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(ours, theirs, "{patterns:?} in {id}");
        }
    }
}

#[test]
fn only_what_was_modified_then_is_found() {
    let two = two();
    let between = |oldest: Option<i64>, newest: Option<i64>| {
        let time = |seconds: Option<i64>| seconds.map(|seconds| Timestamp::utc(seconds, 0));
        let query = Query::Entries {
            patterns: std::iter::once(Pattern::new(b"/", false).unwrap()).collect(),
            oldest: time(oldest),
            newest: time(newest),
        };
        let [first, _] = two.find(&query);
        first.into_iter().collect::<Vec<_>>()
    };
    let closed = ["/home/closed".to_owned()];
    assert_eq!(between(Some(1_500_000_000), Some(1_500_000_000)), closed);
    assert_eq!(between(Some(1_450_000_000), Some(1_599_999_999)), closed);
    assert!(between(Some(i64::MAX), None).is_empty());
    assert!(between(None, Some(0)).contains(&"/home/nothing".to_owned()));
}

/// What a directory holds is found under one path though it was looked through in vain under another.
#[test]
fn a_directory_that_lies_in_two_places_is_found_where_it_fits() {
    let place = Place::new();
    for name in ["a/b/file", "match/b/file"] {
        place.write(name, "x");
    }
    let time = fs::metadata(place.path("source/a/b/file"))
        .unwrap()
        .modified();
    let time = time.unwrap();
    for path in ["a/b/file", "match/b/file", "a/b", "match/b"] {
        let file = fs::File::open(place.path("source").join(path)).unwrap();
        file.set_modified(time).unwrap();
    }
    let tree = place.archive(None, None).tree;
    for (pattern, count) in [("match", 3), ("match/b", 2), ("match/*/file", 1)] {
        let query = entries(&[pattern], false);
        let mut finder = Finder::new(&place.repository, &query);
        for _ in 0..2 {
            let hits = finder.search(&tree, &mut |_| Ok(())).unwrap().hits;
            assert_eq!(hits, count, "{pattern}");
        }
    }
}

#[test]
fn blobs_are_found_where_they_are_used() {
    let two = two();
    let repository = &two.place.repository;
    let file = two.place.find(&two.trees[0], b"home/d/sub/photo.jpg");
    let directory = two.place.find(&two.trees[0], b"home/d/sub");
    let data = file.content[0];
    let listing = directory.subtree.unwrap();
    let mut wanted = Wanted::default();
    wanted
        .blobs(repository, BlobKind::Data, &data.to_string()[..12])
        .unwrap();
    let [first, second] = two.find(&Query::Blobs(wanted));
    let path = "/home/d/sub/photo.jpg".to_owned();
    assert_eq!(first, BTreeSet::from([path.clone()]));
    assert_eq!(second, first);

    let mut wanted = Wanted::default();
    let root = two.trees[1].to_string();
    for id in [listing.to_string(), root.to_uppercase()] {
        wanted.blobs(repository, BlobKind::Tree, &id).unwrap();
    }
    let [first, second] = two.find(&Query::Blobs(wanted));
    assert_eq!(first, BTreeSet::from(["/home/d/sub".to_owned()]));
    assert!(second.contains("/") && second.contains("/home/d/sub"));

    let location = repository.locate(BlobKind::Data, &data).unwrap().unwrap();
    let mut wanted = Wanted::default();
    wanted.pack(repository, &location.pack.short()).unwrap();
    let [first, _] = two.find(&Query::Blobs(wanted));
    assert!(first.contains(&path));
    for unknown in ["", "zz", &"0".repeat(64)] {
        let mut wanted = Wanted::default();
        let blobs = wanted.blobs(repository, BlobKind::Data, unknown);
        assert_eq!(blobs.unwrap_err().kind(), ErrorKind::NotFound, "{unknown}");
        let pack = wanted.pack(repository, unknown);
        assert_eq!(pack.unwrap_err().kind(), ErrorKind::NotFound, "{unknown}");
    }
}

#[test]
fn a_lost_directory_hides_nothing_that_lies_elsewhere() {
    let place = Place::new();
    let writer = place.repository.writer(WriterOptions::default()).unwrap();
    let store = |nodes| {
        let json = Tree { nodes }.encode();
        TreeId::from(writer.store(BlobKind::Tree, &json).unwrap().id)
    };
    let file = || Node::new("file", NodeKind::File);
    let folder = |name: &str, subtree| Node {
        subtree: Some(subtree),
        ..Node::new(name, NodeKind::Directory)
    };
    let inner = store(vec![folder("lost", TreeId([7; 32])), file()]);
    let above = folder("above", store(vec![folder("lost", TreeId([7; 32]))]));
    let root = store(vec![above, folder("beside", inner), file()]);
    writer.finish().unwrap();
    let query = entries(&["file"], false);
    let mut finder = Finder::new(&place.repository, &query);
    for _ in 0..2 {
        let searched = finder.search(&root, &mut |_| Ok(())).unwrap();
        let lost: Vec<_> = searched.lost.iter().map(|error| &*error.path).collect();
        assert_eq!(
            (searched.hits, lost),
            (2, vec!["above/lost", "beside/lost"])
        );
    }
}
