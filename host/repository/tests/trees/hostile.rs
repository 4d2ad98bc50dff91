//! What somebody who has the password may have written to do harm: nothing is written outside the target, nothing takes without bounds, nothing wrong is
//! restored, and what can't be restored is named.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use copal_repository::checker::{CheckOptions, check};
use copal_repository::format::crypto::Key;
use copal_repository::format::key::KeyFile;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::format::{BlobKind, unpacked};
use copal_repository::progress::Silent;
use copal_repository::restorer::{RestoreSummary, remove};
use copal_repository::walk::{Next, walk};
use copal_repository::{BlobId, ErrorKind, Repository, TreeId, WriterOptions};
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::{Value, json};

use crate::fixture::{PASSWORD, Place, describe, evil_file, store_tree};
use crate::tarball;

fn named(summary: &RestoreSummary) -> Vec<&str> {
    let mut paths: Vec<_> = summary.errors.iter().map(|error| &*error.path).collect();
    paths.sort_unstable();
    paths
}

#[test]
fn names_that_are_too_long_cost_themselves_alone() {
    let place = Place::new();
    let (longest, longer) = ("l".repeat(255), "m".repeat(256));
    let directory = Node {
        subtree: place
            .find(&store_tree(&place, vec![evil_file(b"inner")]), b"home")
            .subtree,
        mode: 0o755,
        ..Node::new("n".repeat(256), NodeKind::Directory)
    };
    let nodes = vec![
        evil_file(longest.as_bytes()),
        evil_file(longer.as_bytes()),
        directory.clone(),
    ];
    let summary = place.restore(store_tree(&place, nodes), None);
    let directory = String::from_utf8(directory.name).unwrap();
    assert_eq!(named(&summary), [&*longer, &*directory]);
    let restored = fs::read(place.path("target").join(longest));
    assert_eq!(restored.unwrap(), b"evil");
    assert_eq!(describe(&place.path("target")).len(), 2);
}

/// So many directories in each other, with a file in the innermost.
fn nested(place: &Place, depth: usize) -> TreeId {
    let writer = place.repository.writer(WriterOptions::default()).unwrap();
    writer.store(BlobKind::Data, b"evil").unwrap();
    let store = |nodes| {
        let json = Tree { nodes }.encode();
        TreeId::from(writer.store(BlobKind::Tree, &json).unwrap().id)
    };
    let mut tree = store(vec![evil_file(b"file")]);
    for _ in 1..depth {
        tree = store(vec![Node {
            subtree: Some(tree),
            mode: 0o755,
            ..Node::new("d", NodeKind::Directory)
        }]);
    }
    let home = store(vec![Node {
        subtree: Some(tree),
        mode: 0o755,
        ..Node::new("home", NodeKind::Directory)
    }]);
    writer.finish().unwrap();
    home
}

#[test]
fn a_tree_two_thousand_deep_is_restored_or_named() {
    let place = Place::new();
    let tree = nested(&place, 2_000);
    let summary = place.restore(tree, None);
    match &summary.errors[..] {
        [] => assert_eq!((summary.directories, summary.files), (2_000, 1)),
        // As deep as files may be open.
        [error] => assert!(error.path.starts_with("d/d/d/"), "{error}"),
        errors => panic!("{errors:?}"),
    }
    // Deeper than the standard library removes.
    let mut target = place.path("target");
    while let Some(deep) = descend(&target, 400) {
        let aside = place.path("aside");
        fs::rename(deep, &aside).unwrap();
        remove(&target).unwrap();
        target = place.path("deep");
        fs::rename(aside, &target).unwrap();
    }
    remove(&target).unwrap();
}

/// The directory that lies so deep beneath another, if there is one.
fn descend(directory: &Path, depth: usize) -> Option<std::path::PathBuf> {
    let deep = directory.join("d/".repeat(depth));
    deep.is_dir().then_some(deep)
}

#[test]
fn a_tree_without_end_is_refused() {
    let place = Place::new();
    let tree = nested(&place, 5_000);
    let mut seen = 0;
    let walked = walk(&place.repository, &tree, &mut |_, _| {
        seen += 1;
        Ok(Next::Continue)
    });
    let error = walked.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("nested"), "{error}");
    assert!(seen < 5_000);
}

#[test]
fn nothing_is_written_through_a_link_of_the_same_name() {
    let place = Place::new();
    let outside = place.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "old").unwrap();
    let link = |name: &str, target: &Path| Node {
        link_target: target.as_os_str().as_encoded_bytes().to_vec(),
        ..Node::new(name, NodeKind::Symlink)
    };
    let target = outside.join("file");
    let nodes = vec![
        link("first", &target),
        evil_file(b"first"),
        evil_file(b"second"),
        link("second", &target),
        // The same by way of a link to the directory, and of names that a file system may take for the same.
        link("third", &outside),
        Node {
            subtree: place
                .find(&store_tree(&place, vec![evil_file(b"file")]), b"home")
                .subtree,
            mode: 0o755,
            ..Node::new("Third", NodeKind::Directory)
        },
        evil_file(b"THIRD"),
    ];
    let tree = store_tree(&place, nodes);
    for _ in 0..2 {
        let summary = place.restore(tree, None);
        assert_eq!(named(&summary), ["first", "second"]);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(describe(&outside).len(), 2);
    }
    // On this file system they are different names.
    for name in ["Third/file", "THIRD"] {
        assert_eq!(fs::read(place.path("target").join(name)).unwrap(), b"evil");
    }
}

#[test]
fn what_is_called_the_same_file_and_is_not_gets_its_own_content() {
    let place = Place::new();
    let writer = place.repository.writer(WriterOptions::default()).unwrap();
    let other = writer.store(BlobKind::Data, b"other").unwrap().id;
    writer.finish().unwrap();
    let linked = |node: Node| Node {
        inode: 7,
        links: 3,
        ..node
    };
    let nodes = vec![
        linked(evil_file(b"a")),
        linked(Node {
            content: vec![other],
            size: 5,
            ..evil_file(b"b")
        }),
        linked(evil_file(b"c")),
    ];
    let tree = store_tree(&place, nodes);
    assert_eq!(place.restore(tree, None).errors, []);
    let (archive, _) = tarball::archive(&place, tree, "home");
    let extracted = tarball::extract(&place, &archive).join("home");
    for made in [place.path("target"), extracted] {
        let read = |name: &str| fs::read(made.join(name)).unwrap();
        assert_eq!(
            [read("a"), read("b"), read("c")],
            [&b"evil"[..], b"other", b"evil"]
        );
        let inode = |name: &str| fs::metadata(made.join(name)).unwrap().ino();
        assert_eq!(inode("a"), inode("c"));
    }
}

#[test]
fn devices_and_pipes_are_made_or_replaced_and_never_written_to() {
    let place = Place::new();
    let device = |name: &str, kind, device| Node {
        device,
        mode: 0o600,
        ..Node::new(name, kind)
    };
    let nodes = vec![
        device("../null", NodeKind::CharacterDevice, 0x103),
        device("disk", NodeKind::BlockDevice, 0x700),
        device("null", NodeKind::CharacterDevice, 0x103),
        evil_file(b"pipe"),
        evil_file(b"via"),
    ];
    let target = place.path("target");
    fs::create_dir(&target).unwrap();
    // One that nobody reads, so that whoever opened it for writing would wait for ever.
    mkfifoat(CWD, target.join("pipe"), Mode::RWXU).unwrap();
    mkfifoat(CWD, place.path("outside"), Mode::RWXU).unwrap();
    symlink(place.path("outside"), target.join("via")).unwrap();
    let summary = place.restore(store_tree(&place, nodes), None);
    let kind = |name: &str| fs::symlink_metadata(target.join(name)).map(|found| found.file_type());
    match rustix::process::geteuid().is_root() {
        true => {
            assert_eq!(named(&summary), ["../null"]);
            assert!(kind("disk").unwrap().is_block_device());
            assert!(kind("null").unwrap().is_char_device());
        }
        false => {
            assert_eq!(named(&summary), ["../null", "disk", "null"]);
            assert!(kind("disk").is_err() && kind("null").is_err());
        }
    }
    for name in ["pipe", "via"] {
        assert_eq!(fs::read(target.join(name)).unwrap(), b"evil");
    }
    let outside = fs::symlink_metadata(place.path("outside")).unwrap();
    assert!(outside.file_type().is_fifo());
    assert!(!place.path("null").exists());
}

/// Writes what only somebody with the password can.
struct Forger<'a> {
    place: &'a Place,
    key: Key,
}

impl<'a> Forger<'a> {
    fn new(place: &'a Place) -> Self {
        let keys = fs::read_dir(place.path("repository/keys")).unwrap();
        let file = fs::read(keys.last().unwrap().unwrap().path()).unwrap();
        let secrets = KeyFile::decode(&file).unwrap().open(PASSWORD.as_bytes());
        Self {
            place,
            key: Key::new(&secrets.unwrap().unwrap()).unwrap(),
        }
    }

    fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::new();
        self.key.seal(plaintext, &mut sealed).unwrap();
        sealed
    }

    /// Writes a pack of these bytes and an index that lists `blobs` for it.
    fn pack(&self, bytes: &[u8], blobs: &[Value]) -> String {
        let id = BlobId::of(bytes).to_string();
        let directory = self.place.path("repository/data").join(&id[..2]);
        fs::write(directory.join(&id), bytes).unwrap();
        let index = json!({"packs": [{"id": id, "blobs": blobs}]});
        let sealed = unpacked::seal(&self.key, 2, index.to_string().as_bytes()).unwrap();
        let index = BlobId::of(&sealed).to_string();
        let path = self.place.path("repository/index").join(index);
        fs::write(path, sealed).unwrap();
        id
    }

    /// The repository as somebody sees it who comes now.
    fn opened(&self) -> Repository {
        self.place.again()
    }
}

fn data(id: BlobId, offset: u32, length: usize, uncompressed: Option<u32>) -> Value {
    let mut blob =
        json!({"id": id.to_string(), "type": "data", "offset": offset, "length": length});
    if let Some(uncompressed) = uncompressed {
        blob["uncompressed_length"] = uncompressed.into();
    }
    blob
}

/// Restores files of one blob each, in a repository that was forged: those of `lost` are named, and nothing of them is there.
#[track_caller]
fn only_these_are_lost(place: &mut Place, pack: &str, files: &[(BlobId, u64)], lost: &[&str]) {
    place.repository = place.again();
    let nodes = (0..).zip(files).map(|(at, (id, size))| Node {
        content: vec![*id],
        size: *size,
        ..evil_file(format!("{at}").as_bytes())
    });
    let tree = store_tree(place, nodes.collect());
    let begun = Instant::now();
    let summary = place.restore(tree, None);
    assert_eq!(named(&summary), lost, "{:?}", summary.errors);
    assert_eq!(summary.files as usize, files.len() - lost.len());
    for name in lost {
        assert!(!place.path("target").join(name).exists());
    }
    place.save(tree);
    let options = CheckOptions::ALL;
    let errors = check(&place.again(), options, &Silent).unwrap().errors;
    assert!(
        errors.iter().any(|error| error.contains(pack)),
        "{errors:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_blob_that_is_more_than_it_says_is_refused_before_it_takes_the_memory() {
    let mut place = Place::new();
    let forger = Forger::new(&place);
    let zeros = vec![0; 64 << 20];
    let bomb = forger.seal(&zstd::bulk::compress(&zeros, 3).unwrap());
    let good = forger.seal(b"good");
    // The first one's id is right, and only its length a lie.
    let id = BlobId::of(&zeros);
    let mut files = Vec::new();
    let mut bytes = good.clone();
    let mut blobs = vec![data(BlobId::of(b"good"), 0, good.len(), None)];
    for claimed in [10, (64 << 20) - 1, 1 << 30, u32::MAX] {
        let other = BlobId::of(&claimed.to_le_bytes());
        let id = if files.is_empty() { id } else { other };
        blobs.push(data(id, bytes.len() as u32, bomb.len(), Some(claimed)));
        bytes.extend_from_slice(&bomb);
        files.push((id, u64::from(claimed)));
    }
    files.push((BlobId::of(b"good"), 4));
    let pack = forger.pack(&bytes, &blobs);
    only_these_are_lost(&mut place, &pack, &files, &["0", "1", "2", "3"]);
}

#[test]
fn blobs_that_overlap_or_lie_outside_their_pack_cost_themselves_alone() {
    let mut place = Place::new();
    let forger = Forger::new(&place);
    let contents = [&b"first"[..], b"second"];
    let [first, second] = contents.map(|content| forger.seal(content));
    let bytes = [&first[..], &second].concat();
    let whole = bytes.len();
    let other = |number: u8| BlobId::of(&[number; 9]);
    let blobs = [
        data(BlobId::of(b"first"), 0, first.len(), None),
        data(
            BlobId::of(b"second"),
            first.len() as u32,
            second.len(),
            None,
        ),
        // Within another, across two, that of another under a name of its own, and all of them.
        data(other(1), 2, first.len() - 2, None),
        data(other(2), 3, first.len(), None),
        data(other(3), 0, first.len(), None),
        data(other(4), 0, whole, Some(9)),
        // Outside, or nothing at all.
        data(other(5), whole as u32 - 3, 60, None),
        data(other(6), u32::MAX - 3, u32::MAX as usize, Some(9)),
        data(other(7), 5, 0, None),
        data(other(8), 5, 31, Some(9)),
    ];
    let pack = forger.pack(&bytes, &blobs);
    let lost = (1..=8).map(|number| (other(number), 9));
    let good = [(BlobId::of(b"first"), 5), (BlobId::of(b"second"), 6)];
    let files: Vec<_> = good.into_iter().chain(lost).collect();
    let names = ["2", "3", "4", "5", "6", "7", "8", "9"];
    only_these_are_lost(&mut place, &pack, &files, &names);
}

#[test]
fn a_listing_that_is_said_to_be_its_own_is_refused() {
    let place = Place::new();
    let forger = Forger::new(&place);
    // No listing can hold its own id, so the index has to lie: this id is that of another listing.
    let id = BlobId([7; 32]);
    let listing = Tree {
        nodes: vec![Node {
            subtree: Some(id.into()),
            ..Node::new("again", NodeKind::Directory)
        }],
    };
    let sealed = forger.seal(&listing.encode());
    let mut blob = data(id, 0, sealed.len(), None);
    blob["type"] = "tree".into();
    let pack = forger.pack(&sealed, &[blob]);
    let repository = forger.opened();
    let error = repository.load_tree(&id.into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&pack), "{error}");
    let mut count = 0;
    let walked = walk(&repository, &id.into(), &mut |_, _| {
        count += 1;
        Ok(Next::Continue)
    });
    assert!(walked.is_err() && count == 0);
}
