//! Archives whose members are listed beside them.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use copal_repository::ErrorKind;
use copal_repository::archiver::{ArchiveOptions, Archived, Archiver};
use copal_repository::format::tree::{Node, NodeKind};
use copal_repository::pass::{Change, Member, Pass, PassError, Passes, Verdict};
use copal_repository::progress::{ItemErrorKind, Silent};
use copal_repository::walk::dump;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{Place, noise};

/// An archive: members and what lies between them, which the number of the member varies.
#[derive(Default)]
pub(crate) struct Archive {
    pub(crate) bytes: Vec<u8>,
    pub(crate) members: Vec<Member>,
}

impl Archive {
    pub(crate) fn of<'a>(members: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut archive = Self::default();
        for (path, content) in members {
            let seed = archive.bytes.len() as u64 + path.len() as u64;
            archive.bytes.extend(noise(seed, 512));
            archive.add(path, content);
        }
        archive.bytes.extend(noise(99, 1024));
        archive
    }

    fn add(&mut self, path: &str, content: &[u8]) {
        self.members.push(Member {
            path: path.into(),
            offset: self.bytes.len() as u64,
            length: content.len() as u64,
        });
        self.bytes.extend_from_slice(content);
    }
}

/// Lets every file through as it is, and names these members of all that are named `.tar`. The last `held_back` bytes that there
/// are come one call later.
#[derive(Clone)]
pub(crate) struct Lister {
    pub(crate) members: Vec<Member>,
    held_back: usize,
    returned: u64,
    held: Vec<u8>,
    named: usize,
}

impl Lister {
    pub(crate) fn of(members: &[Member]) -> Self {
        Self {
            members: members.to_vec(),
            held_back: 0,
            returned: 0,
            held: Vec::new(),
            named: usize::MAX,
        }
    }
}

impl Passes for Lister {
    fn start(&self) -> Result<Box<dyn Pass>, PassError> {
        Ok(Box::new(self.clone()))
    }
}

impl Pass for Lister {
    fn classify(&mut self, _: &[u8], entries: &[Node]) -> Result<Vec<Verdict>, PassError> {
        let filter = Verdict::Change(Change {
            filter: true,
            ..Default::default()
        });
        Ok(vec![filter; entries.len()])
    }

    fn open(&mut self, path: &[u8], _: &Node) -> Result<(), PassError> {
        self.returned = 0;
        self.named = if path.ends_with(b".tar") {
            0
        } else {
            usize::MAX
        };
        Ok(())
    }

    fn push(&mut self, chunk: &[u8]) -> Result<Vec<u8>, PassError> {
        self.held.extend_from_slice(chunk);
        let rest = self.held.len().saturating_sub(self.held_back);
        let rest = self.held.split_off(rest);
        let ready = std::mem::replace(&mut self.held, rest);
        self.returned += ready.len() as u64;
        Ok(ready)
    }

    fn finish_file(&mut self) -> Result<Vec<u8>, PassError> {
        self.returned = u64::MAX;
        Ok(std::mem::take(&mut self.held))
    }

    fn members(&mut self) -> Result<Vec<Member>, PassError> {
        let rest = self.members.get(self.named..).unwrap_or_default();
        let begun = rest
            .iter()
            .take_while(|member| member.offset < self.returned);
        let begun: Vec<_> = begun.cloned().collect();
        self.named = self.named.saturating_add(begun.len());
        Ok(begun)
    }
}

fn content(place: &Place, archived: &Archived, path: &str) -> Vec<u8> {
    let mut content = Vec::new();
    let node = place.find(&archived.tree, path.as_bytes());
    dump(&place.repository, &node, &mut content).unwrap();
    assert_eq!(node.size, content.len() as u64);
    content
}

fn exists(place: &Place, archived: &Archived, path: &str) -> bool {
    copal_repository::walk::find(&place.repository, &archived.tree, path.as_bytes())
        .unwrap()
        .is_some()
}

#[test]
fn an_archives_members_are_listed_beside_it_and_share_its_bytes() {
    let place = Place::new();
    let large = noise(1, 7 << 20);
    let archive = Archive::of([
        ("info.yml", &b"version: 1"[..]),
        ("repositories/a/b/c.bundle", &large),
        (
            "repositories/a-b",
            b"after a/ in bytes, before it in a listing",
        ),
        ("empty", b""),
        ("repositories/a/refs", b"refs"),
        ("db/dump.sql.gz", &large[..3 << 20]),
    ]);
    let path = place.write("x.tar", &archive.bytes);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    place.write("x.tar!", "before .members");
    place.write("x.tar0", "after it");
    let archived = place.archive(None, Some(&Lister::of(&archive.members)));
    assert_eq!(archived.summary.errors, []);
    assert_eq!(archived.summary.files_new, 3);
    assert!(content(&place, &archived, "home/x.tar") == archive.bytes);
    let blobs: HashSet<_> = place
        .find(&archived.tree, b"home/x.tar")
        .content
        .into_iter()
        .collect();
    for member in &archive.members {
        let range = member.offset as usize..(member.offset + member.length) as usize;
        let path = format!(
            "home/x.tar.members/{}",
            str::from_utf8(&member.path).unwrap()
        );
        assert!(
            content(&place, &archived, &path) == archive.bytes[range],
            "{path}"
        );
        let node = place.find(&archived.tree, path.as_bytes());
        assert!(node.content.iter().all(|id| blobs.contains(id)), "{path}");
        assert_eq!((node.mode, node.links), (0o600, 1));
    }
    for directory in [
        "home",
        "home/x.tar.members",
        "home/x.tar.members/repositories",
    ] {
        let node = place.find(&archived.tree, directory.as_bytes());
        let tree = place.repository.load_tree(&node.subtree.unwrap()).unwrap();
        assert_eq!(tree.misplaced(), None, "{directory}");
    }
    let view = place.find(&archived.tree, b"home/x.tar.members");
    assert_eq!((view.kind, view.mode), (NodeKind::Directory, 0o700));

    let restored = place.restore(archived.tree, None);
    assert_eq!(restored.errors, []);
    assert!(fs::read(place.path("target/x.tar")).unwrap() == archive.bytes);
    let bundle = place.path("target/x.tar.members/repositories/a/b/c.bundle");
    assert!(fs::read(&bundle).unwrap() == large);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    for made in [&bundle, &place.path("target/x.tar.members/repositories")] {
        let metadata = fs::metadata(made).unwrap();
        assert_eq!(metadata.modified().unwrap(), modified);
        assert_eq!(metadata.uid(), fs::metadata(&path).unwrap().uid());
    }

    // The next backup, which finds the archive unchanged, has it all again.
    let again = place.archive(Some(archived.tree), Some(&Lister::of(&archive.members)));
    assert_eq!(again.summary.data_added, 0);
    assert_eq!(again.tree, archived.tree);
}

#[test]
fn equal_members_of_different_archives_are_stored_once() {
    let place = Place::new();
    let contents: Vec<_> = (0..40)
        .map(|seed| noise(seed as u64, 40_000 * seed))
        .collect();
    let names: Vec<_> = (0..40).map(|index| format!("uploads/{index}")).collect();
    let members = || {
        names
            .iter()
            .map(String::as_str)
            .zip(contents.iter().map(Vec::as_slice))
    };
    let one = Archive::of(members());
    place.write("one.tar", &one.bytes);
    place.archive(None, Some(&Lister::of(&one.members)));

    let more = [("new", &b"shifts all that follows by an odd number"[..])];
    let other = Archive::of(more.into_iter().chain(members().rev()));
    fs::remove_file(place.path("source/one.tar")).unwrap();
    place.write("other.tar", &other.bytes);
    let archived = place.archive(None, Some(&Lister::of(&other.members)));
    assert_eq!(archived.summary.errors, []);
    let added = archived.summary.data_added;
    assert!(
        added < 100_000,
        "{added} of {} bytes are new",
        other.bytes.len()
    );
}

#[test]
fn streams_and_roots_that_are_archives_have_their_members_listed_too() {
    let place = Place::new();
    let archive = Archive::of([("a", &b"first"[..]), ("b/c", b"second")]);
    let file = place.write("x.tar", &archive.bytes);
    let lister = Lister::of(&archive.members);
    let mut archiver =
        Archiver::new(&place.repository, ArchiveOptions::default(), &Silent).unwrap();
    archiver.add_tree("root", &file, Some(&lister)).unwrap();
    for stream in ["streams/one.tar", "streams/two.tar"] {
        archiver
            .add_stream(stream, &archive.bytes[..], Some(&lister))
            .unwrap();
    }
    archiver
        .add_file("streams/two.tar.members", b"in its place")
        .unwrap();
    let archived = archiver.finish().unwrap();
    let [error] = &archived.summary.errors[..] else {
        panic!("{:?}", archived.summary.errors)
    };
    assert_eq!(
        (error.path.as_str(), error.kind),
        ("streams/two.tar.members", ItemErrorKind::Inexact)
    );
    for path in ["root.members/b/c", "streams/one.tar.members/b/c"] {
        assert_eq!(content(&place, &archived, path), b"second");
    }
    for path in ["root", "streams/one.tar", "streams/two.tar"] {
        assert!(content(&place, &archived, path) == archive.bytes, "{path}");
    }
    assert_eq!(
        content(&place, &archived, "streams/two.tar.members"),
        b"in its place"
    );
}

#[test]
fn members_that_can_not_be_listed_leave_the_archive_whole_and_are_told() {
    let long = format!("{}.tar", "x".repeat(250));
    let member = |path: &str, offset, length| Member {
        path: path.into(),
        offset,
        length,
    };
    for (file, members, message) in [
        (
            "taken.tar",
            vec![member("a", 0, 1)],
            "the name is another entry's",
        ),
        (
            "x.tar",
            vec![member("a", 0, 1), member("b", 1, 1), member("a", 2, 1)],
            "`a` is in it twice",
        ),
        (
            "x.tar",
            vec![member("a/b", 0, 1), member("a-b", 1, 1), member("a", 2, 1)],
            "or a directory too",
        ),
        (
            "x.tar",
            vec![member("a", 0, 1), member("long", 2, 99)],
            "`long` goes on past the end",
        ),
        (
            "x.tar",
            vec![member("a", 0, 1), member("far", 1000, 0)],
            "`far` goes on past the end",
        ),
        (
            &long,
            vec![member("a", 0, 1)],
            "name of the file is too long",
        ),
    ] {
        let place = Place::new();
        place.write(file, "0123456789");
        place.write("taken.tar.members", "mine");
        let archived = place.archive(None, Some(&Lister::of(&members)));
        let [error] = &archived.summary.errors[..] else {
            panic!("{message}: {:?}", archived.summary.errors)
        };
        assert!(error.message.contains(message), "{error}");
        assert!(error.path.starts_with("home/"), "{error}");
        assert_eq!(error.kind, ItemErrorKind::Inexact);
        assert_eq!(
            content(&place, &archived, &format!("home/{file}")),
            b"0123456789"
        );
        assert_eq!(
            content(&place, &archived, "home/taken.tar.members"),
            b"mine"
        );
        assert!(!exists(&place, &archived, "home/x.tar.members"));
        assert!(place.restore(archived.tree, None).errors.is_empty());
    }
}

#[test]
fn members_that_are_none_end_the_work() {
    let place = Place::new();
    place.write("x.tar", vec![7; 3 << 20]);
    let member = |path: &str, offset, length| Member {
        path: path.into(),
        offset,
        length,
    };
    let first = member("first", 10, 10);
    for members in [
        vec![member("../a", 0, 1)],
        vec![member("a//b", 0, 1)],
        vec![member("/a", 0, 1)],
        vec![member("", 0, 1)],
        vec![member("a/./b", 0, 1)],
        vec![member("nul\0", 0, 1)],
        vec![member("endless", 1, u64::MAX)],
        vec![first.clone(), member("overlaps", 19, 10)],
        vec![first.clone(), member("before", 0, 1)],
        vec![member("in time", 2 << 20, 1), member("too late", 100, 1)],
    ] {
        let mut archiver =
            Archiver::new(&place.repository, ArchiveOptions::default(), &Silent).unwrap();
        let passes = Lister::of(&members);
        let result = archiver.add_tree("home", &place.path("source"), Some(&passes));
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Pass, "{members:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn members_hold_their_bytes_however_they_lie_and_the_output_is_cut(
        parts in vec((0..3000_usize, 0..3000_usize), 0..8),
        repeated in 1..150_usize,
        held_back in 0..20_000_usize,
    ) {
        let place = Place::new();
        let mut archive = Archive::default();
        for (index, (gap, length)) in parts.iter().enumerate() {
            // Sometimes nothing lies between two members, and sometimes more than is read at once.
            archive.bytes.extend(noise(index as u64, gap.saturating_sub(1000) * repeated));
            let content = noise(50 + index as u64, length.saturating_sub(1000) * repeated);
            archive.add(&format!("{}/{index}", index % 3), &content);
        }
        place.write("x.tar", &archive.bytes);
        let lister = Lister { held_back, ..Lister::of(&archive.members) };
        let archived = place.archive(None, Some(&lister));
        prop_assert_eq!(&archived.summary.errors[..], []);
        prop_assert!(content(&place, &archived, "home/x.tar") == archive.bytes);
        for member in &archive.members {
            let range = member.offset as usize..(member.offset + member.length) as usize;
            let path = format!("home/x.tar.members/{}", str::from_utf8(&member.path).unwrap());
            prop_assert!(content(&place, &archived, &path) == archive.bytes[range], "{}", path);
        }
    }
}
