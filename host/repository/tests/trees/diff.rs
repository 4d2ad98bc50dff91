//! What sets two snapshots apart, held against a model that keeps everything.

use std::collections::{BTreeMap, BTreeSet};

use copal_repository::differ::{Amount, Change, Summary, What, diff};
use copal_repository::format::BlobKind;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::{BlobId, BlobWriter, TreeId, WriterOptions};
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::fixture::Place;

/// Contents are made of these blobs; the last is in no index.
const BLOBS: u8 = 5;

/// An entry of a directory. Names may come again and in any order, as somebody else than restic may have written them.
#[derive(Debug, Clone, PartialEq)]
enum Entry {
    File(Vec<u8>),
    Directory(Listing),
}

type Listing = Vec<(char, Entry)>;

fn listings() -> impl Strategy<Value = Listing> {
    let file = prop::collection::vec(0..=BLOBS, 0..3).prop_map(Entry::File);
    let entry = file.prop_recursive(3, 24, 5, |inner| {
        prop::collection::vec((prop::char::range('a', 'd'), inner), 0..5).prop_map(Entry::Directory)
    });
    prop::collection::vec((prop::char::range('a', 'd'), entry), 0..6)
}

/// Both snapshots hold the third listing, in a directory of its own.
fn listing(own: Listing, common: &Listing) -> Listing {
    let mut all = own;
    all.push(('z', Entry::Directory(common.clone())));
    all
}

fn data(blob: u8) -> Vec<u8> {
    vec![blob; 3 + usize::from(blob)]
}

/// Blobs, each with its size.
type Used = BTreeMap<(bool, [u8; 32]), u64>;

/// Stores what is there, and notes what it uses.
fn store(writer: &BlobWriter, listing: &Listing, used: &mut Used) -> TreeId {
    let nodes = listing.iter().map(|(name, entry)| match entry {
        Entry::File(blobs) => {
            for &blob in blobs {
                let size = match blob {
                    BLOBS => 0,
                    _ => {
                        writer.store(BlobKind::Data, &data(blob)).unwrap();
                        data(blob).len() as u64
                    }
                };
                used.insert((false, BlobId::of(&data(blob)).0), size);
            }
            Node {
                content: blobs.iter().map(|&blob| BlobId::of(&data(blob))).collect(),
                ..Node::new(name.to_string(), NodeKind::File)
            }
        }
        Entry::Directory(inner) => Node {
            subtree: Some(store(writer, inner, used)),
            ..Node::new(name.to_string(), NodeKind::Directory)
        },
    });
    let nodes = nodes.collect();
    let json = Tree { nodes }.encode();
    let stored = writer.store(BlobKind::Tree, &json).unwrap();
    used.insert((true, stored.id.0), json.len() as u64);
    stored.id.into()
}

/// What became of each entry, all of them kept.
#[derive(Default)]
struct Model {
    changes: Vec<(String, What, Option<Vec<u8>>)>,
    summary: Summary,
}

impl Model {
    fn compare(&mut self, path: &str, old: &[(char, Entry)], new: &[(char, Entry)]) {
        let of = |listing: &[(char, Entry)], name: char| -> Vec<Entry> {
            let named = listing.iter().filter(|(own, _)| *own == name);
            named.map(|(_, entry)| entry.clone()).collect()
        };
        let names: BTreeSet<char> = old.iter().chain(new).map(|(name, _)| *name).collect();
        for name in names {
            let (old, new) = (of(old, name), of(new, name));
            for at in 0..old.len().max(new.len()) {
                self.entry(&format!("{path}{name}"), old.get(at), new.get(at));
            }
        }
    }

    fn entry(&mut self, path: &str, old: Option<&Entry>, new: Option<&Entry>) {
        use Entry::{Directory, File};
        let what = match (old, new) {
            (Some(File(old)), Some(File(new))) if old != new => Some(What::Content),
            (Some(File(_)), Some(Directory(_))) | (Some(Directory(_)), Some(File(_))) => {
                Some(What::Kind)
            }
            (None, _) => Some(What::Added),
            (_, None) => Some(What::Removed),
            _ => None,
        };
        let count = |amount: &mut Amount| match new.or(old) {
            Some(File(_)) => amount.files += 1,
            _ => amount.dirs += 1,
        };
        match what {
            Some(What::Added) => count(&mut self.summary.added),
            Some(What::Removed) => count(&mut self.summary.removed),
            Some(What::Content) => self.summary.changed_files += 1,
            _ => {}
        }
        let content = match new.or(old) {
            Some(File(content)) if !content.is_empty() => Some(content.clone()),
            _ => None,
        };
        if let Some(what) = what {
            self.changes.push((path.to_owned(), what, content));
        }
        let inner = |entry: Option<&Entry>| match entry {
            Some(Directory(inner)) => inner.clone(),
            _ => Vec::new(),
        };
        if old != new {
            self.compare(&format!("{path}/"), &inner(old), &inner(new));
        }
    }

    /// Makes one of each removed and added file of the same content, first of those that have the same name.
    fn pair(&mut self) {
        let mut gone = BTreeSet::new();
        for same_name in [true, false] {
            for to in 0..self.changes.len() {
                let (added, _, content) = &self.changes[to];
                if self.changes[to].1 != What::Added || content.is_none() {
                    continue;
                }
                let name =
                    |path: &str| same_name.then(|| path.rsplit('/').next().map(str::to_owned));
                let from = self
                    .changes
                    .iter()
                    .enumerate()
                    .find(|(at, (path, what, own))| {
                        *what == What::Removed
                            && own == content
                            && name(path) == name(added)
                            && !gone.contains(at)
                    });
                if let Some((at, (path, ..))) = from {
                    let from = path.clone().into_bytes();
                    gone.insert(at);
                    self.changes[to].1 = What::Moved { from };
                    self.summary.moved_files += 1;
                }
            }
        }
        let mut at = 0..;
        self.changes.retain(|_| !gone.contains(&at.next().unwrap()));
    }
}

fn weigh(amount: &mut Amount, used: &Used, others: &Used) {
    for (blob, size) in used.iter().filter(|(blob, _)| !others.contains_key(*blob)) {
        match blob.0 {
            true => amount.tree_blobs += 1,
            false => amount.data_blobs += 1,
        }
        amount.bytes += size;
    }
}

proptest! {
    #![proptest_config(Config::with_cases(64))]

    #[test]
    fn it_finds_what_a_model_does(first in listings(), second in listings(), common in listings()) {
        let (first, second) = (listing(first, &common), listing(second, &common));
        let place = Place::new();
        let writer = place.repository.writer(WriterOptions::default()).unwrap();
        let mut used = [Used::new(), Used::new()];
        let [before, after] = &mut used;
        let trees = [store(&writer, &first, before), store(&writer, &second, after)];
        writer.finish().unwrap();

        let mut model = Model::default();
        model.compare("", &first, &second);
        model.pair();
        let [before, after] = &used;
        weigh(&mut model.summary.removed, before, after);
        weigh(&mut model.summary.added, after, before);
        let expected: Vec<_> = model.changes.into_iter().map(|(path, what, _)| (path, what)).collect();
        // With an index that holds the blobs since it was loaded, and with one that was loaded since.
        for repository in [&place.repository, &place.again()] {
            let mut found = Vec::new();
            let mut visit = |Change { path, what, .. }| {
                found.push((String::from_utf8(path).unwrap(), what));
                Ok(())
            };
            let summary = diff(repository, trees[0], trees[1], false, &mut visit).unwrap();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(&summary, &model.summary);
        }
    }
}
