use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use copal_repository::archiver::{ArchiveOptions, Archiver};
use copal_repository::format::BlobKind;
use copal_repository::format::tree::{Node, NodeKind};
use copal_repository::pass::{Change, PassError, Verdict};
use copal_repository::progress::{ItemError, ItemErrorKind, Silent};
use copal_repository::restorer::{Overwrite, RestoreOptions, restore_node};
use copal_repository::walk::dump;
use copal_repository::{BlobId, WriterOptions};

use crate::fixture::{
    Place, Rules, assert_same, damage, describe, evil_file, noise, rewrite, rich_tree, store_tree,
};

fn no_temporary_files(path: &Path) {
    for item in describe(path).keys() {
        let name = item
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        assert!(!name.starts_with(".copal-tmp-"), "{item:?}");
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let place = Place::new();
    let names = [
        &b"../out"[..],
        b"..",
        b".",
        b"",
        b"/out",
        b"a/b",
        b"nul\0",
        b"good",
        b"good",
    ];
    let tree = store_tree(&place, names.map(evil_file).into());
    let summary = place.restore(tree, None);
    assert_eq!(summary.errors.len(), 8, "{:?}", summary.errors);
    assert_eq!(fs::read(place.path("target/good")).unwrap(), b"evil");
    assert_eq!(describe(&place.path("target")).len(), 2);
    assert!(!place.path("out").exists());
}

#[test]
fn no_symlink_beneath_the_target_is_followed() {
    let place = Place::new();
    place.write("directory/file", "new");
    place.write("link", "new");
    let archived = place.archive(None, None);
    fs::create_dir_all(place.path("target")).unwrap();
    fs::create_dir(place.path("outside")).unwrap();
    fs::write(place.path("outside/file"), "old").unwrap();
    symlink(place.path("outside"), place.path("target/directory")).unwrap();
    symlink(place.path("outside/file"), place.path("target/link")).unwrap();
    let summary = place.restore(archived.tree, None);
    assert_eq!(summary.errors.len(), 1, "{:?}", summary.errors);
    assert_eq!(summary.errors[0].path, "directory");
    assert!(
        summary.errors[0].message.contains("not a directory"),
        "{:?}",
        summary.errors
    );
    assert_eq!(fs::read(place.path("outside/file")).unwrap(), b"old");
    // The symlink itself was replaced by the file.
    assert!(
        fs::symlink_metadata(place.path("target/link"))
            .unwrap()
            .is_file()
    );

    // A tree that brings its own symlink and a directory of the same name can't lead out either.
    let outside = place.path("outside").into_os_string().into_encoded_bytes();
    let link = Node {
        link_target: outside,
        ..Node::new("escape", NodeKind::Symlink)
    };
    let inner = place.find(&archived.tree, b"home/directory");
    let directory = Node {
        name: b"escape".to_vec(),
        ..inner
    };
    let tree = store_tree(&place, vec![link, directory]);
    assert_eq!(place.restore(tree, None).errors.len(), 1);
    assert_eq!(fs::read(place.path("outside/file")).unwrap(), b"old");
}

#[test]
fn what_is_there_already_is_replaced_unless_it_is_a_directory_with_something_in_it() {
    let place = Place::new();
    for name in ["file", "full", "hollow", "linked"] {
        place.write(name, "new");
    }
    fs::hard_link(place.path("source/linked"), place.path("source/linked2")).unwrap();
    symlink("new", place.path("source/symlink")).unwrap();
    let archived = place.archive(None, None);
    fs::create_dir_all(place.path("target/full/inside")).unwrap();
    fs::create_dir(place.path("target/hollow")).unwrap();
    fs::write(place.path("target/file"), "old and longer").unwrap();
    fs::write(place.path("target/untouched"), "mine").unwrap();
    fs::hard_link(place.path("target/file"), place.path("kept")).unwrap();
    fs::write(place.path("target/.copal-tmp-0-1"), "left by a killed run").unwrap();
    symlink("old", place.path("target/symlink")).unwrap();

    let summary = place.restore(archived.tree, None);
    assert_eq!(summary.errors.len(), 1, "{:?}", summary.errors);
    assert_eq!(summary.errors[0].path, "full");
    for name in ["file", "hollow", "linked", "linked2"] {
        assert_eq!(
            fs::read(place.path("target").join(name)).unwrap(),
            b"new",
            "{name}"
        );
    }
    assert_eq!(fs::read(place.path("target/untouched")).unwrap(), b"mine");
    assert_eq!(fs::read(place.path("kept")).unwrap(), b"old and longer");
    assert_eq!(
        fs::read_link(place.path("target/symlink")).unwrap(),
        Path::new("new")
    );
    no_temporary_files(&place.path("target"));

    // And over itself once more: hard links stay hard links.
    fs::remove_dir_all(place.path("target/full")).unwrap();
    assert_eq!(place.restore(archived.tree, None).errors, []);
    assert_eq!(
        fs::metadata(place.path("target/linked2")).unwrap().nlink(),
        2
    );
    no_temporary_files(&place.path("target"));
}

#[test]
fn damage_loses_the_files_that_it_hits_and_names_them() {
    let place = Place::new();
    place.write("a/hit", noise(1, 100_000));
    place.write("b/also", noise(1, 100_000));
    place.write("b/spared", noise(2, 100_000));
    let archived = place.archive(None, None);
    let hit = place.find(&archived.tree, b"home/a/hit").content[0];
    let location = place
        .repository
        .locate(BlobKind::Data, &hit)
        .unwrap()
        .unwrap();
    let hex = location.pack.to_string();
    let pack = place.path("repository/data").join(&hex[..2]).join(&hex);
    let mut bytes = fs::read(&pack).unwrap();
    bytes[location.offset as usize + 50] ^= 1;
    fs::set_permissions(&pack, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&pack, bytes).unwrap();
    let summary = place.restore(archived.tree, None);
    let mut paths: Vec<_> = summary
        .errors
        .iter()
        .map(|error| error.path.as_str())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, ["a/hit", "b/also"]);
    assert!(
        summary.errors[0].message.contains(&hit.to_string()),
        "{:?}",
        summary.errors
    );
    assert_eq!(
        fs::read(place.path("target/b/spared")).unwrap(),
        noise(2, 100_000)
    );
    assert_eq!(describe(&place.path("target")).len(), 4);

    // The pack gone altogether: every file is named that is not there already.
    fs::remove_file(&pack).unwrap();
    assert_eq!(place.restore(archived.tree, None).errors.len(), 2);
    fs::remove_file(place.path("target/b/spared")).unwrap();
    assert_eq!(place.restore(archived.tree, None).errors.len(), 3);
}

#[test]
fn a_pass_skips_renames_and_rewrites_on_the_way_out() {
    let place = Place::new();
    place.write("conf/app.conf", "port=1\n".repeat(500_000));
    place.write("conf/bad.conf", noise(1, 3 << 20));
    place.write("logs/log", "x");
    place.write("plain", "x");
    let archived = place.archive(None, None);
    let rules = Rules {
        classify: |directory: &[u8], node: &Node| match (directory, &*node.name) {
            (b"", b"logs") => Verdict::Skip,
            (b"", b"conf") => Verdict::Change(Change {
                name: Some(b"etc".to_vec()),
                mode: Some(0o700),
                ..Default::default()
            }),
            (b"conf", _) => Verdict::Change(Change {
                name: Some([b"new-", &node.name[..]].concat()),
                filter: true,
                ..Default::default()
            }),
            (b"", b"plain") => Verdict::Change(Change {
                name: Some(b"a/b".to_vec()),
                ..Default::default()
            }),
            _ => Verdict::Keep,
        },
        transform: |path: &[u8], chunk: Option<&[u8]>| match (path, chunk) {
            (b"conf/app.conf", Some(chunk)) => Ok(chunk.to_ascii_uppercase()),
            (b"conf/app.conf", None) => Ok(b"END".to_vec()),
            (b"conf/bad.conf", None) => Err(PassError::Item("does not parse".into())),
            _ => Ok(Vec::new()),
        },
        calls: Default::default(),
    }
    .leak();
    let summary = place.restore(archived.tree, Some(&rules));
    let mut errors: Vec<_> = summary.errors.iter().map(ToString::to_string).collect();
    errors.sort();
    assert_eq!(
        errors,
        [
            "etc/new-bad.conf: does not parse",
            "plain: can't be renamed to `a/b`"
        ]
    );
    assert_eq!((summary.skipped, summary.files), (1, 1));
    let expected = "PORT=1\n".repeat(500_000) + "END";
    assert!(fs::read(place.path("target/etc/new-app.conf")).unwrap() == expected.as_bytes());
    assert_eq!(
        fs::metadata(place.path("target/etc")).unwrap().mode() & 0o7777,
        0o700
    );
    assert_eq!(describe(&place.path("target")).len(), 3);
    no_temporary_files(&place.path("target"));
}

#[test]
fn zeros_take_up_no_room() {
    let place = Place::new();
    let path = place.write("sparse", noise(1, 100_000));
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(16 << 20)
        .unwrap();
    let archived = place.archive(None, None);
    assert_eq!(place.restore(archived.tree, None).errors, []);
    let metadata = fs::metadata(place.path("target/sparse")).unwrap();
    assert_eq!(metadata.len(), 16 << 20);
    assert!(
        metadata.blocks() * 512 < 1 << 20,
        "{} blocks",
        metadata.blocks()
    );
}

#[test]
fn a_root_that_is_a_file_is_restored_under_the_target_s_name() {
    let place = Place::new();
    place.write("file", "content");
    let archived = place.archive(None, None);
    let node = place.find(&archived.tree, b"home/file");
    let options = RestoreOptions::default();
    let target = place.path("new/place.conf");
    let summary = restore_node(&place.repository, &node, &target, None, &options, &Silent);
    assert_eq!(summary.unwrap().errors, []);
    assert_eq!(fs::read(target).unwrap(), b"content");
}

#[test]
fn more_files_than_may_be_open_are_written_side_by_side() {
    let place = Place::new();
    let writer = place.repository.writer(WriterOptions::default()).unwrap();
    let store = |data: &[u8]| writer.store(BlobKind::Data, data).unwrap().id;
    // Every file begins with a blob of the first pack and ends with one of the second.
    let heads: Vec<_> = (0..600_u32)
        .map(|index| store(&index.to_le_bytes()))
        .collect();
    store(&noise(1, 20 << 20));
    let tail = store(b"tail");
    writer.finish().unwrap();
    let nodes = heads.iter().enumerate().map(|(index, head)| Node {
        content: vec![*head, tail],
        size: 8,
        ..evil_file(format!("{index:03}").as_bytes())
    });
    let tree = store_tree(&place, nodes.collect());
    let summary = place.restore(tree, None);
    assert_eq!(summary.errors, []);
    for index in 0..600_u32 {
        let content = fs::read(place.path("target").join(format!("{index:03}"))).unwrap();
        assert_eq!(content, [&index.to_le_bytes()[..], b"tail"].concat());
    }
}

#[test]
fn a_rich_tree_is_restored_over_itself() {
    let place = Place::new();
    rich_tree(&place.path("source"));
    let before = describe(&place.path("source"));
    let archived = place.archive(None, None);
    for _ in 0..2 {
        let subtree = place.restore(archived.tree, None);
        assert_eq!(subtree.errors, []);
    }
    assert_same(&before, &describe(&place.path("target")));
}

#[test]
fn a_lost_pack_costs_its_own_files_with_their_links_and_nothing_else() {
    let place = Place::new();
    place.write("other", "other");
    place.archive(None, None);
    let packs = || -> Vec<_> {
        let directories = fs::read_dir(place.path("repository/data")).unwrap();
        let files = directories.flat_map(|entry| fs::read_dir(entry.unwrap().path()).unwrap());
        files.map(|entry| entry.unwrap().path()).collect()
    };
    let before = packs();
    place.write("first", noise(1, 100_000));
    fs::hard_link(place.path("source/first"), place.path("source/second")).unwrap();
    let archived = place.archive(None, None);
    for pack in packs().iter().filter(|pack| !before.contains(pack)) {
        if fs::metadata(pack).unwrap().len() > 50_000 {
            fs::write(pack, "").unwrap();
        }
    }
    fs::create_dir(place.path("target")).unwrap();
    fs::write(place.path("target/first"), "old").unwrap();

    let summary = place.restore(archived.tree, None);
    let failed: Vec<_> = summary.errors.iter().map(|error| &error.path).collect();
    assert_eq!(failed, ["first", "second"], "{:?}", summary.errors);
    let lost = |error: &ItemError| error.kind == ItemErrorKind::Lost;
    assert!(summary.errors.iter().all(lost), "{:?}", summary.errors);
    assert_eq!(summary.files, 1);
    assert_eq!(fs::read(place.path("target/first")).unwrap(), b"old");
    assert_eq!(fs::read(place.path("target/other")).unwrap(), b"other");
    assert!(!place.path("target/second").exists());
}

#[test]
fn a_file_whose_content_is_not_as_long_as_its_size_is_named() {
    let place = Place::new();
    let file = Node {
        size: 5,
        ..evil_file(b"longer")
    };
    let empty = Node {
        content: Vec::new(),
        ..evil_file(b"none")
    };
    let tree = store_tree(&place, vec![evil_file(b"fitting"), file, empty]);
    let summary = place.restore(tree, None);
    let mut failed: Vec<_> = summary.errors.iter().map(|error| &*error.path).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["longer", "none"], "{:?}", summary.errors);
}

#[test]
fn where_one_copy_of_a_blob_is_damaged_another_is_taken() {
    let mut place = Place::new();
    place.write("file", noise(1, 100_000));
    place.write("next", noise(2, 100_000));
    // Two that don't know of each other store it twice.
    let [one, other] = [place.again(), place.again()];
    for repository in [&one, &other] {
        repository.load_index().unwrap();
    }
    for repository in [&one, &other] {
        let mut archiver = Archiver::new(repository, ArchiveOptions::default(), &Silent).unwrap();
        archiver
            .add_tree("home", &place.path("source"), None)
            .unwrap();
        archiver.finish().unwrap();
    }
    place.repository = place.again();
    let tree = place.archive(None, None).tree;
    let file = place.find(&tree, b"home/file");
    let (pack, part) = place.pack_of(&file.content[0]);
    let whole = fs::read(&pack).unwrap();
    let all = 0..whole.len();
    for (name, damaged) in [("some of it", part), ("all of it", all)] {
        rewrite(&pack, &whole);
        damage(&pack, damaged);
        let summary = place.restore(tree, None);
        assert_eq!(summary.errors, [], "{name}");
        assert_eq!(
            fs::read(place.path("target/file")).unwrap(),
            noise(1, 100_000)
        );
        fs::remove_dir_all(place.path("target")).unwrap();
    }
    fs::remove_file(&pack).unwrap();
    assert_eq!(place.restore(tree, None).errors, []);
    let mut content = Vec::new();
    dump(&place.repository, &file, &mut content).unwrap();
    assert_eq!(content, noise(1, 100_000));
}

#[test]
fn a_pack_that_is_cut_off_loses_only_what_was_cut_off() {
    let place = Place::new();
    for name in 0..8 {
        place.write(&name.to_string(), noise(name, 100_000));
    }
    let tree = place.archive(None, None).tree;
    let ends = (0..8).map(|name| {
        let file = place.find(&tree, format!("home/{name}").as_bytes());
        let (pack, part) = place.pack_of(&file.content[0]);
        (part.end, pack, name)
    });
    let (end, pack, last) = ends.max().unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    bytes.truncate(end - 1);
    rewrite(&pack, &bytes);
    let summary = place.restore(tree, None);
    let failed: Vec<_> = summary.errors.iter().map(|error| &error.path).collect();
    assert_eq!(failed, [&last.to_string()], "{:?}", summary.errors);
    assert_eq!(summary.files, 7);
}

/// As a run leaves them that is killed.
#[test]
fn a_directory_that_was_left_unfinished_gets_its_metadata_whatever_may_be_overwritten() {
    let place = Place::new();
    place.write("half/file", "x");
    fs::create_dir(place.path("source/other")).unwrap();
    fs::set_permissions(place.path("source"), fs::Permissions::from_mode(0o751)).unwrap();
    let tree = place.archive(None, None).tree;
    for path in ["target/half", "target/other"] {
        fs::create_dir_all(place.path(path)).unwrap();
    }
    for (path, mode) in [("", 0o1700), ("half", 0o1700), ("other", 0o700)] {
        let path = place.path("target").join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let options = RestoreOptions {
        overwrite: Overwrite::Never,
        ..RestoreOptions::default()
    };
    assert_eq!(place.restore_with(tree, None, &options).errors, []);
    let mode = |path: &str| fs::metadata(place.path(path)).unwrap().mode() & 0o7777;
    assert_eq!(mode("target"), 0o751);
    assert_eq!(mode("target/half"), mode("source/half"));
    // What somebody else has made stays as it is.
    assert_eq!(mode("target/other"), 0o700);
}

/// More of them than are looked up at a time.
#[test]
fn a_file_of_very_many_pieces_is_put_together() {
    let place = Place::new();
    let count = 70_000;
    let file = Node {
        content: vec![BlobId::of(b"evil"); count],
        size: 4 * count as u64,
        ..evil_file(b"many")
    };
    let tree = store_tree(&place, vec![evil_file(b"one"), file]);
    let summary = place.restore(tree, None);
    assert_eq!((summary.errors, summary.files), (vec![], 2));
    assert!(fs::read(place.path("target/many")).unwrap() == b"evil".repeat(count));
}
