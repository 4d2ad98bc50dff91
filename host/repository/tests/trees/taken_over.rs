//! Files that went through a filter before, and need not again.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Mutex;

use copal_repository::archiver::Archived;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::format::{BlobKind, Timestamp};
use copal_repository::pass::{Change, Member, Owner, Pass, PassError, Passes, Verdict};
use copal_repository::progress::ItemError;
use copal_repository::walk::dump;
use copal_repository::{BlobId, TreeId, WriterOptions};

use crate::fixture::{Place, describe};
use crate::members::{Archive, Lister};

/// Later than any change that a test makes.
const LATER: Timestamp = Timestamp::utc(32_503_680_000, 0);

/// Passes that say of themselves that the parent's did the same, in a backup that began then.
struct Again<'a>(&'a dyn Passes, Timestamp);

impl Passes for Again<'_> {
    fn start(&self) -> Result<Box<dyn Pass>, PassError> {
        self.0.start()
    }

    fn same_since(&self) -> Option<Timestamp> {
        Some(self.1)
    }
}

/// What becomes of an entry.
type Classify = fn(&Node) -> Change;

/// Turns content into capitals, which changes no size, and notes of which files.
#[derive(Clone, Copy)]
pub(crate) struct Capitals {
    classify: Classify,
    opened: &'static Mutex<Vec<String>>,
}

impl Capitals {
    fn new(classify: Classify) -> Self {
        Self {
            classify,
            opened: Box::leak(Box::default()),
        }
    }

    pub(crate) fn of_everything() -> Self {
        Self::new(|node| Change {
            filter: node.kind == NodeKind::File,
            ..Change::default()
        })
    }

    /// The paths of the files that were opened since the last call.
    fn opened(&self) -> Vec<String> {
        let mut opened = std::mem::take(&mut *self.opened.lock().unwrap());
        opened.sort();
        opened
    }
}

impl Passes for Capitals {
    fn start(&self) -> Result<Box<dyn Pass>, PassError> {
        Ok(Box::new(*self))
    }
}

impl Pass for Capitals {
    fn classify(&mut self, _: &[u8], entries: &[Node]) -> Result<Vec<Verdict>, PassError> {
        let verdict = |node| Verdict::Change((self.classify)(node));
        Ok(entries.iter().map(verdict).collect())
    }

    fn open(&mut self, path: &[u8], _: &Node) -> Result<(), PassError> {
        let path = String::from_utf8(path.to_vec()).unwrap();
        self.opened.lock().unwrap().push(path);
        Ok(())
    }

    fn push(&mut self, chunk: &[u8]) -> Result<Vec<u8>, PassError> {
        Ok(chunk.to_ascii_uppercase())
    }

    fn finish_file(&mut self) -> Result<Vec<u8>, PassError> {
        Ok(Vec::new())
    }
}

/// Archives with the same passes as the parent's.
fn again(place: &Place, parent: &Archived, passes: &dyn Passes) -> Archived {
    place.archive(Some(parent.tree), Some(&Again(passes, LATER)))
}

fn content(place: &Place, archived: &Archived, path: &str) -> String {
    let node = place.find(&archived.tree, path.as_bytes());
    let mut content = Vec::new();
    dump(&place.repository, &node, &mut content).unwrap();
    String::from_utf8(content).unwrap()
}

fn changed(path: &Path) -> Timestamp {
    let metadata = fs::metadata(path).unwrap();
    Timestamp::utc(metadata.ctime(), metadata.ctime_nsec() as u32)
}

/// Does it until the clock of the file system has gone on.
fn so_that_it_shows(path: &Path, change: impl Fn(&Path)) {
    let before = changed(path);
    while changed(path) == before {
        change(path);
    }
}

#[test]
fn a_filtered_file_that_has_not_changed_is_taken_over() {
    let place = Place::new();
    place.write("a", "first");
    place.write("folder/b", "second");
    place.write("empty", "");
    fs::hard_link(place.path("source/a"), place.path("source/linked")).unwrap();
    let capitals = Capitals::of_everything();
    let first = place.archive(None, Some(&capitals));
    assert_eq!(first.summary.errors, []);
    assert_eq!(capitals.opened(), ["a", "empty", "folder/b", "linked"]);

    let mut parent = first;
    for _ in 0..2 {
        let archived = again(&place, &parent, &capitals);
        assert_eq!(capitals.opened(), [""; 0]);
        let summary = &archived.summary;
        assert_eq!(summary.errors, []);
        assert_eq!(
            (
                summary.files_new,
                summary.files_changed,
                summary.files_unmodified
            ),
            (0, 0, 4)
        );
        assert_eq!(summary.directories_unmodified, 2);
        assert_eq!(summary.data_added, 0);
        assert_eq!(
            summary.total_bytes_processed,
            parent.summary.total_bytes_processed
        );
        assert_eq!(archived.tree, parent.tree);
        assert_eq!(content(&place, &archived, "home/folder/b"), "SECOND");
        parent = archived;
    }

    // Others may do otherwise.
    let other = place.archive(Some(parent.tree), Some(&capitals));
    assert_eq!(capitals.opened().len(), 4);
    assert_eq!(other.summary.files_changed, 4);
    assert_eq!(other.tree, parent.tree);
}

#[test]
fn one_that_has_changed_goes_through_the_filter_again() {
    let write = |path: &Path| fs::write(path, "changed").unwrap();
    type Act<'a> = &'a dyn Fn(&Path);
    let changes: [(&str, Act<'_>); 4] = [
        ("content of the same size", &write),
        ("the same, with its time put back", &|path: &Path| {
            let modified = fs::metadata(path).unwrap().modified().unwrap();
            write(path);
            let times = FileTimes::new().set_modified(modified);
            let file = File::options().write(true).open(path).unwrap();
            file.set_times(times).unwrap();
        }),
        ("mode", &|path: &Path| {
            fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap();
        }),
        ("another file under its name", &|path: &Path| {
            let other = path.with_extension("new");
            fs::copy(path, &other).unwrap();
            fs::rename(other, path).unwrap();
        }),
    ];
    for (case, change) in changes {
        let place = Place::new();
        place.write("same", "as it was");
        let path = place.write("folder/file", "content");
        let capitals = Capitals::of_everything();
        let first = place.archive(None, Some(&capitals));
        capitals.opened();
        so_that_it_shows(&path, change);
        let archived = again(&place, &first, &capitals);
        assert_eq!(capitals.opened(), ["folder/file"], "{case}");
        let summary = &archived.summary;
        assert_eq!((summary.files_changed, summary.files_unmodified), (1, 1));
        let now = fs::read_to_string(path).unwrap().to_uppercase();
        assert_eq!(content(&place, &archived, "home/folder/file"), now);
    }
}

/// Within one tick of the file system's clock, a file may change before it is read and after.
#[test]
fn one_that_had_changed_shortly_before_the_parent_s_backup_goes_through_the_filter_again() {
    let place = Place::new();
    let path = place.write("file", "content");
    let capitals = Capitals::of_everything();
    let first = place.archive(None, Some(&capitals));
    let changed = changed(&path);
    let after = |nanoseconds: i64| {
        let total = i64::from(changed.nanoseconds) + nanoseconds;
        let (seconds, rest) = (
            total.div_euclid(1_000_000_000),
            total.rem_euclid(1_000_000_000),
        );
        Timestamp::utc(changed.seconds + seconds, rest as u32)
    };
    for (since, opened) in [
        (after(-1), true),
        (after(1_000_000_000), true),
        (after(2_000_000_000), true),
        (after(2_000_000_001), false),
    ] {
        capitals.opened();
        let archived = place.archive(Some(first.tree), Some(&Again(&capitals, since)));
        assert_eq!(!capitals.opened().is_empty(), opened, "{since:?}");
        assert_eq!(archived.summary.files_unmodified, u64::from(!opened));
        assert_eq!(archived.tree, first.tree);
    }
}

#[test]
fn what_no_filter_made_is_not_taken_for_what_one_made_nor_the_other_way_round() {
    let place = Place::new();
    place.write("file", "content");
    let plain = place.archive(None, None);
    let capitals = Capitals::of_everything();
    let filtered = again(&place, &plain, &capitals);
    assert_eq!(capitals.opened(), ["file"]);
    assert_eq!(content(&place, &filtered, "home/file"), "CONTENT");
    let nothing = Capitals::new(|_| Change::default());
    let plain = again(&place, &filtered, &nothing);
    assert_eq!(plain.summary.files_changed, 1);
    assert_eq!(content(&place, &plain, "home/file"), "content");
}

#[test]
fn what_a_verdict_alters_is_compared_as_it_is_stored() {
    let altered: Classify = |_| Change {
        mode: Some(0o1711),
        modified: Some(Timestamp::utc(9, 9)),
        filter: true,
        ..Change::default()
    };
    let place = Place::new();
    place.write("file", "content");
    let capitals = Capitals::new(altered);
    let first = place.archive(None, Some(&capitals));
    assert_eq!(capitals.opened(), ["file"]);
    let archived = again(&place, &first, &capitals);
    assert_eq!(capitals.opened(), [""; 0]);
    assert_eq!(archived.tree, first.tree);
    assert_eq!(place.find(&archived.tree, b"home/file").mode, 0o1711);
    // A verdict that is another now is of passes that are not the same.
    let other = Capitals::of_everything();
    again(&place, &archived, &other);
    assert_eq!(other.opened(), ["file"]);
}

/// A filter may return what the file's path and owner say, and then those must show in the snapshot.
#[test]
fn where_path_or_owner_do_not_show_a_file_goes_through_the_filter_again() {
    let cases: [(Classify, &str); 3] = [
        (
            |node| Change {
                name: (node.kind == NodeKind::File).then(|| b"named".to_vec()),
                filter: true,
                ..Change::default()
            },
            "home/folder/inner/named",
        ),
        (
            |node| Change {
                name: (*node.name == *b"folder").then(|| b"named".to_vec()),
                filter: true,
                ..Change::default()
            },
            "home/named/inner/file",
        ),
        (
            |_| Change {
                owner: Some(Owner::default()),
                filter: true,
                ..Change::default()
            },
            "home/folder/inner/file",
        ),
    ];
    for (classify, stored) in cases {
        let place = Place::new();
        place.write("folder/inner/file", "content");
        let capitals = Capitals::new(classify);
        let first = place.archive(None, Some(&capitals));
        assert_eq!(content(&place, &first, stored), "CONTENT");
        capitals.opened();
        let archived = again(&place, &first, &capitals);
        assert_eq!(capitals.opened(), ["folder/inner/file"], "{stored}");
        assert_eq!(archived.tree, first.tree);
        if stored.starts_with("home/named") {
            // Now it does show, which it did not then.
            fs::rename(place.path("source/folder"), place.path("source/named")).unwrap();
            let capitals = Capitals::of_everything();
            again(&place, &first, &capitals);
            assert_eq!(capitals.opened(), ["named/inner/file"]);
        }
    }
}

fn archive() -> Archive {
    Archive::of([
        ("info", &b"first"[..]),
        ("deep/er/one", b"second"),
        ("deep/two", b"third"),
    ])
}

#[test]
fn the_listing_of_a_file_s_members_stays_beside_it() {
    let place = Place::new();
    let archive = archive();
    place.write("x.tar", &archive.bytes);
    place.write("x.tar!", "sorts before the listing");
    place.write("x.tar0", "sorts after it");
    let lister = Lister::of(&archive.members);
    let first = place.archive(None, Some(&lister));
    let mut parent = first.tree;
    for _ in 0..2 {
        let archived = place.archive(Some(parent), Some(&Again(&lister, LATER)));
        assert_eq!(archived.summary.errors, []);
        assert_eq!(archived.summary.files_unmodified, 3);
        assert_eq!(archived.tree, first.tree);
        let member = "home/x.tar.members/deep/er/one";
        assert_eq!(content(&place, &archived, member), "second");
        parent = archived.tree;
    }
    place.restore(parent, None);
    assert_eq!(
        fs::read(place.path("target/x.tar.members/deep/two")).unwrap(),
        b"third"
    );
    let restored = describe(&place.path("target"));
    assert_eq!(restored.len(), 4 + 6, "{:?}", restored.keys());

    // With its file goes the listing.
    fs::remove_file(place.path("source/x.tar")).unwrap();
    let without = place.archive(Some(parent), Some(&Again(&lister, LATER)));
    let home = place.find(&without.tree, b"home").subtree.unwrap();
    assert_eq!(place.repository.load_tree(&home).unwrap().nodes.len(), 2);
}

/// The tree of a snapshot in which the entry at this path is another.
fn with(place: &Place, tree: TreeId, path: &[&str], change: &dyn Fn(&mut Node)) -> TreeId {
    let mut tree = place.repository.load_tree(&tree).unwrap();
    let (name, rest) = path.split_first().unwrap();
    let mut nodes = tree.nodes.iter_mut();
    let node = nodes.find(|node| node.name == name.as_bytes()).unwrap();
    match rest {
        [] => change(node),
        rest => node.subtree = Some(with(place, node.subtree.unwrap(), rest, change)),
    }
    store(place, &tree)
}

fn store(place: &Place, tree: &Tree) -> TreeId {
    let writer = place.repository.writer(WriterOptions::default()).unwrap();
    let stored = writer.store(BlobKind::Tree, &tree.encode()).unwrap();
    writer.finish().unwrap();
    TreeId::from(stored.id)
}

#[test]
fn a_file_of_whose_members_or_content_something_is_lost_goes_through_the_filter_again() {
    let place = Place::new();
    let archive = archive();
    place.write("x.tar", &archive.bytes);
    let lister = Lister::of(&archive.members);
    let first = place.archive(None, Some(&lister));
    let lost = BlobId::of(b"nowhere");
    let lose_content = |node: &mut Node| node.content = vec![lost];
    let lose_tree = |node: &mut Node| node.subtree = Some(TreeId::from(lost));
    type Damage<'a> = &'a dyn Fn(&mut Node);
    let cases: [(&[&str], Damage<'_>); 5] = [
        (&["home", "x.tar"], &lose_content),
        (&["home", "x.tar.members"], &lose_tree),
        (&["home", "x.tar.members"], &|node: &mut Node| {
            node.subtree = None
        }),
        (&["home", "x.tar.members", "deep", "er"], &lose_tree),
        (
            &["home", "x.tar.members", "deep", "er", "one"],
            &lose_content,
        ),
    ];
    for (path, lose) in cases {
        let parent = with(&place, first.tree, path, lose);
        let archived = place.archive(Some(parent), Some(&Again(&lister, LATER)));
        assert_eq!(archived.summary.files_changed, 1, "{path:?}");
        assert_eq!(archived.summary.errors, []);
        assert_eq!(archived.tree, first.tree, "{path:?}");
    }
}

fn messages(errors: &[ItemError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_beside_which_something_else_has_the_listing_s_name_goes_through_the_filter_again() {
    let place = Place::new();
    let archive = archive();
    place.write("x.tar", &archive.bytes);
    place.write("x.tar.members/own", "its own");
    let lister = Lister::of(&archive.members);
    let first = place.archive(None, Some(&lister));
    let told = messages(&first.summary.errors);
    assert!(told[0].contains("another entry's"), "{told:?}");
    let again = |parent: &Archived| {
        let archived = place.archive(Some(parent.tree), Some(&Again(&lister, LATER)));
        assert_eq!(
            content(&place, &archived, "home/x.tar.members/own"),
            "its own"
        );
        (
            archived.summary.files_unmodified,
            messages(&archived.summary.errors),
        )
    };
    assert_eq!(again(&first), (1, told.clone()), "its own alone");

    // What the parent lists is another entry's place now.
    let moved = place.path("moved");
    fs::rename(place.path("source/x.tar.members"), &moved).unwrap();
    let listed = place.archive(None, Some(&lister));
    assert_eq!(listed.summary.errors, []);
    fs::rename(moved, place.path("source/x.tar.members")).unwrap();
    assert_eq!(again(&listed), (1, told), "the archive alone");
}

#[test]
fn that_members_can_t_be_listed_is_said_by_each_backup() {
    let place = Place::new();
    place.write("x.tar", "short");
    let beyond = Member {
        path: b"member".to_vec(),
        offset: 0,
        length: 100,
    };
    let lister = Lister::of(&[beyond]);
    let first = place.archive(None, Some(&lister));
    let told = messages(&first.summary.errors);
    assert!(told[0].contains("are not listed"), "{told:?}");
    let archived = place.archive(Some(first.tree), Some(&Again(&lister, LATER)));
    assert_eq!(messages(&archived.summary.errors), told);
}
