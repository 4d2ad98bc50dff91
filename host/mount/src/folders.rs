//! The folders in which snapshots are found: by id, by time, by machine and by tag.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use copal_repository::format::Timestamp;
use copal_repository::format::snapshot::Snapshot;
use copal_repository::format::tree::{Node, NodeKind};
use copal_repository::select::SnapshotFilter;
use copal_repository::{Error, Repository, SnapshotId, TreeId};

use crate::cache::lock;
use crate::contents::Contents;

/// A folder that the repository does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Folder {
    Top,
    Ids,
    Times,
    Hosts,
    Host(String),
    Tags,
    Tag(String),
}

/// What lies in such a folder.
#[derive(Debug, Clone)]
pub(crate) enum Child {
    Folder(Folder),
    Snapshot(Arc<Node>),
    /// A link to another entry of the folder.
    Link(String),
}

/// All such folders.
#[derive(Default)]
pub(crate) struct Layout {
    folders: HashMap<Folder, BTreeMap<String, Child>>,
    names: BTreeMap<SnapshotId, Names>,
}

/// What is asked of a snapshot.
#[derive(Debug, Clone)]
struct Shown {
    time: Timestamp,
    tree: TreeId,
    host: String,
    tags: Vec<String>,
}

impl From<Snapshot> for Shown {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            time: snapshot.time,
            tree: snapshot.tree,
            host: snapshot.hostname,
            tags: snapshot.tags,
        }
    }
}

/// The snapshots that have been read, none of which ever changes.
#[derive(Default)]
struct Seen {
    /// None for those that the filter leaves out.
    snapshots: BTreeMap<SnapshotId, Option<Shown>>,
    /// What is wrong with those that can't be read.
    damaged: Vec<String>,
}

impl Seen {
    /// Reads those that are new and, again, those that are damaged, and lets go of those that are no longer there.
    fn refresh(&mut self, repository: &Repository, filter: &SnapshotFilter) -> Result<(), Error> {
        let listed = repository.snapshot_ids()?;
        let is_new = |id: &&SnapshotId| !self.snapshots.contains_key(id);
        let new: Vec<_> = listed.iter().filter(is_new).copied().collect();
        let read = repository.read_snapshots(&new)?;
        let damaged: Vec<_> = read.damaged.iter().map(ToString::to_string).collect();
        for error in damaged.iter().filter(|error| !self.damaged.contains(error)) {
            tracing::warn!(error, "a snapshot can't be shown");
        }
        self.damaged = damaged;
        self.snapshots
            .retain(|id, _| listed.binary_search(id).is_ok());
        let read = read.snapshots.into_iter().map(|(id, snapshot)| {
            let shown = filter.matches(&snapshot).then(|| snapshot.into());
            (id, shown)
        });
        self.snapshots.extend(read);
        Ok(())
    }

    /// Those that are shown, by id.
    fn shown(&self) -> impl Iterator<Item = (&SnapshotId, &Shown)> {
        let snapshots = self.snapshots.iter();
        snapshots.filter_map(|(id, shown)| Some((id, shown.as_ref()?)))
    }
}

/// What a snapshot is called, for as long as it is mounted.
#[derive(Clone, PartialEq, Eq)]
struct Names {
    id: String,
    time: String,
}

impl Layout {
    /// Lays out snapshots. Those that were there `before` are called what they were called then.
    fn new(seen: &Seen, before: &Self) -> Self {
        let mut snapshots: Vec<_> = seen.shown().collect();
        snapshots.sort_by_key(|(id, shown)| (shown.time, **id));
        let mut layout = Self {
            names: names(&snapshots, before),
            ..Self::default()
        };
        for (name, folder) in [
            ("ids", Folder::Ids),
            ("snapshots", Folder::Times),
            ("hosts", Folder::Hosts),
            ("tags", Folder::Tags),
        ] {
            layout.folder(Folder::Top, name, folder);
        }
        for (id, snapshot) in snapshots {
            let Some(Names { id, time }) = layout.names.get(id).cloned() else {
                continue;
            };
            let node = Arc::new(top(snapshot));
            let ids = layout.folders.entry(Folder::Ids).or_default();
            ids.insert(id, Child::Snapshot(Arc::clone(&node)));
            let host = file_name(&snapshot.host);
            layout.folder(Folder::Hosts, &host, Folder::Host(host.clone()));
            let mut folders = vec![Folder::Times, Folder::Host(host)];
            for tag in &snapshot.tags {
                let tag = file_name(tag);
                layout.folder(Folder::Tags, &tag, Folder::Tag(tag.clone()));
                folders.push(Folder::Tag(tag));
            }
            folders.dedup();
            for folder in folders {
                let entries = layout.folders.entry(folder).or_default();
                entries.insert("latest".to_owned(), Child::Link(time.clone()));
                entries.insert(time.clone(), Child::Snapshot(Arc::clone(&node)));
            }
        }
        layout
    }

    fn folder(&mut self, above: Folder, name: &str, folder: Folder) {
        self.folders.entry(folder.clone()).or_default();
        let entries = self.folders.entry(above).or_default();
        entries.insert(name.to_owned(), Child::Folder(folder));
    }

    /// What lies in a folder, by name.
    pub(crate) fn entries(&self, folder: &Folder) -> impl Iterator<Item = (&String, &Child)> {
        self.folders.get(folder).into_iter().flatten()
    }

    /// What has that name in a folder. A snapshot among those by time is found by its id too.
    pub(crate) fn find(&self, folder: &Folder, name: &str) -> Option<&Child> {
        let find = |folder| self.folders.get(folder)?.get(name);
        find(folder).or_else(|| match folder {
            Folder::Times => find(&Folder::Ids),
            _ => None,
        })
    }
}

/// The folders as they are now.
pub(crate) struct Folders {
    filter: SnapshotFilter,
    fresh: Duration,
    /// Held by the one who looks whether anything has changed; all others go on with what was there.
    looking: Mutex<Looking>,
    layout: Mutex<Arc<Layout>>,
}

struct Looking {
    /// When it was looked last.
    looked: Instant,
    seen: Seen,
    /// What went wrong then.
    failure: Option<String>,
}

impl Folders {
    pub(crate) fn new(
        repository: &Repository,
        filter: SnapshotFilter,
        fresh: Duration,
    ) -> Result<Self, Error> {
        let mut seen = Seen::default();
        seen.refresh(repository, &filter)?;
        repository.load_index()?;
        Ok(Self {
            filter,
            fresh,
            layout: Mutex::new(Arc::new(Layout::new(&seen, &Layout::default()))),
            looking: Mutex::new(Looking {
                looked: Instant::now(),
                seen,
                failure: None,
            }),
        })
    }

    /// The folders; where it is time for it, with what has come since. If that can't be read, they stay as they are.
    pub(crate) fn current(&self, contents: &Contents) -> Arc<Layout> {
        let looking = match self.looking.try_lock() {
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(looking)) => Some(looking.into_inner()),
            Ok(looking) => Some(looking),
        };
        if let Some(mut looking) = looking
            && looking.looked.elapsed() > self.fresh
        {
            let seen = &mut looking.seen;
            let looked = contents.on_loader(|| self.look(seen, &contents.repository));
            let failure = looked.err().map(|error| error.to_string());
            if let Some(error) = &failure
                && looking.failure != failure
            {
                tracing::warn!(error, "can't look for new snapshots");
            }
            looking.failure = failure;
            looking.looked = Instant::now();
        }
        Arc::clone(&lock(&self.layout))
    }

    /// Looks for what has changed: at the snapshots first, so that the index, read after them, knows what they hold.
    fn look(&self, seen: &mut Seen, repository: &Repository) -> Result<(), Error> {
        seen.refresh(repository, &self.filter)?;
        repository.refresh_index()?;
        let before = Arc::clone(&lock(&self.layout));
        if !seen.shown().map(|(id, _)| id).eq(before.names.keys()) {
            *lock(&self.layout) = Arc::new(Layout::new(seen, &before));
        }
        Ok(())
    }
}

/// What each snapshot is called: by the beginning of its id, and by its time. Where that is another's already, all of the id makes it its own.
fn names(snapshots: &[(&SnapshotId, &Shown)], before: &Layout) -> BTreeMap<SnapshotId, Names> {
    let kept = snapshots
        .iter()
        .filter_map(|&(id, _)| Some((*id, before.names.get(id)?.clone())));
    let mut names: BTreeMap<_, _> = kept.collect();
    let of_times = names.values().map(|names| names.time.clone());
    let of_ids = names.values().map(|names| names.id.clone());
    let mut taken: HashSet<_> = of_times.chain(of_ids).collect();
    for &(id, snapshot) in snapshots {
        let mut free = |name: String, own: String| match taken.insert(name.clone()) {
            true => name,
            false => own,
        };
        names.entry(*id).or_insert_with(|| Names {
            id: free(id.short(), id.to_string()),
            time: free(time(snapshot), format!("{}-{id}", time(snapshot))),
        });
    }
    names
}

/// The directory that a snapshot is.
fn top(snapshot: &Shown) -> Node {
    Node {
        mode: 0o555,
        modified: snapshot.time,
        accessed: snapshot.time,
        changed: snapshot.time,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        subtree: Some(snapshot.tree),
        ..Node::new("", NodeKind::Directory)
    }
}

/// When it was taken, to the second, by the clock that it was taken by.
fn time(snapshot: &Shown) -> String {
    let mut time = snapshot.time;
    time.nanoseconds = 0;
    time.to_string()
}

/// A host or a tag as the name of a folder.
fn file_name(text: &str) -> String {
    match text {
        "" | "." => "_".to_owned(),
        ".." => "__".to_owned(),
        text => text.replace(['/', '\0'], "_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(seconds: i64, host: &str, tags: &[&str]) -> (SnapshotId, Shown) {
        let shown = Shown {
            time: Timestamp::utc(seconds, 7),
            tree: TreeId([1; 32]),
            host: host.to_owned(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        };
        (SnapshotId::of(format!("{seconds}{host}").as_bytes()), shown)
    }

    fn seen(snapshots: &[(SnapshotId, Shown)]) -> Seen {
        let snapshots = snapshots.iter().cloned();
        Seen {
            snapshots: snapshots.map(|(id, shown)| (id, Some(shown))).collect(),
            damaged: Vec::new(),
        }
    }

    fn listed(layout: &Layout, folder: &Folder) -> Vec<String> {
        layout
            .entries(folder)
            .map(|(name, _)| name.clone())
            .collect()
    }

    #[test]
    fn a_snapshot_lies_in_every_folder_that_it_belongs_to() {
        let second = snapshot(0, "..", &["a"]);
        let again = &*format!("1970-01-01T00:00:00Z-{}", second.0);
        let snapshots = [
            snapshot(0, "h", &["a", "plugin:x/y"]),
            second,
            snapshot(86_400, "h", &[]),
        ];
        let layout = Layout::new(&seen(&snapshots), &Layout::default());
        assert_eq!(
            listed(&layout, &Folder::Top),
            ["hosts", "ids", "snapshots", "tags"]
        );
        assert_eq!(listed(&layout, &Folder::Ids).len(), 3);
        let [first, last] = ["1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"];
        assert_eq!(
            listed(&layout, &Folder::Times),
            [first, again, last, "latest"]
        );
        assert_eq!(listed(&layout, &Folder::Hosts), ["__", "h"]);
        assert_eq!(listed(&layout, &Folder::Tags), ["a", "plugin:x_y"]);
        let tag = Folder::Tag("plugin:x_y".to_owned());
        assert_eq!(listed(&layout, &tag), [first, "latest"]);
        let latest = layout.find(&Folder::Host("h".to_owned()), "latest");
        assert!(matches!(latest, Some(Child::Link(name)) if name == last));
    }

    #[test]
    fn a_snapshot_is_called_the_same_whatever_is_forgotten_beside_it() {
        let mut twins = [snapshot(0, "a", &[]), snapshot(0, "b", &[])];
        twins.sort_by_key(|(id, _)| *id);
        let both = Layout::new(&seen(&twins), &Layout::default());
        let one = Layout::new(&seen(&twins[1..]), &both);
        let name = format!("1970-01-01T00:00:00Z-{}", twins[1].0);
        assert!(listed(&both, &Folder::Times).contains(&name));
        assert_eq!(listed(&one, &Folder::Times), [&*name, "latest"]);
    }

    #[test]
    fn two_snapshots_whose_ids_begin_alike_are_both_shown() {
        let twins = [1, 2].map(|last| {
            let mut id = [7; 32];
            id[31] = last;
            (SnapshotId(id), snapshot(last.into(), "h", &[]).1)
        });
        let layout = Layout::new(&seen(&twins), &Layout::default());
        let expected = [twins[0].0.short(), twins[1].0.to_string()];
        assert_eq!(listed(&layout, &Folder::Ids), expected);
    }

    #[test]
    fn a_snapshot_among_those_by_time_is_found_by_its_id() {
        let snapshot = snapshot(0, "h", &[]);
        let id = snapshot.0;
        let layout = Layout::new(&seen(&[snapshot]), &Layout::default());
        let find = |folder| layout.find(folder, &id.short()).is_some();
        assert!(find(&Folder::Ids) && find(&Folder::Times) && !find(&Folder::Hosts));
    }
}
