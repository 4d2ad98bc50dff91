//! The folders in which snapshots are found: by id, by time, by machine and by tag.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use copal_repository::format::snapshot::Snapshot;
use copal_repository::format::tree::{Node, NodeKind};
use copal_repository::select::SnapshotFilter;
use copal_repository::{Error, Repository, SnapshotId};

use crate::cache::lock;

/// How long it is not looked for new snapshots.
const FRESH: Duration = Duration::from_secs(60);

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
    ids: Vec<SnapshotId>,
}

impl Layout {
    /// Lays out snapshots, oldest first.
    fn new(snapshots: Vec<(SnapshotId, Snapshot)>) -> Self {
        let mut layout = Self::default();
        for (name, folder) in [
            ("ids", Folder::Ids),
            ("snapshots", Folder::Times),
            ("hosts", Folder::Hosts),
            ("tags", Folder::Tags),
        ] {
            layout.folder(Folder::Top, name, folder);
        }
        for (id, snapshot) in snapshots {
            let node = Arc::new(top(&snapshot));
            let ids = layout.folders.entry(Folder::Ids).or_default();
            ids.insert(id.short(), Child::Snapshot(Arc::clone(&node)));
            let host = file_name(&snapshot.hostname);
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
                let name = free_name(entries, &time(&snapshot));
                entries.insert("latest".to_owned(), Child::Link(name.clone()));
                entries.insert(name, Child::Snapshot(Arc::clone(&node)));
            }
            layout.ids.push(id);
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
    current: Mutex<(Instant, Arc<Layout>)>,
}

impl Folders {
    pub(crate) fn new(repository: &Repository, filter: SnapshotFilter) -> Result<Self, Error> {
        let layout = load(repository, &filter)?;
        repository.load_index()?;
        Ok(Self {
            filter,
            current: Mutex::new((Instant::now(), Arc::new(layout))),
        })
    }

    /// The folders; where it is time for it, with what has come since. If that can't be read, they stay as they are.
    pub(crate) fn current(&self, repository: &Repository) -> Arc<Layout> {
        let mut current = lock(&self.current);
        let (read, layout) = &mut *current;
        if read.elapsed() > FRESH {
            *read = Instant::now();
            match load(repository, &self.filter) {
                Ok(new) if new.ids == layout.ids => {}
                Ok(new) => match repository.reload_index() {
                    Ok(()) => *layout = Arc::new(new),
                    Err(error) => tracing::warn!(%error, "new snapshots can't be shown"),
                },
                Err(error) => tracing::warn!(%error, "can't look for new snapshots"),
            }
        }
        Arc::clone(layout)
    }
}

fn load(repository: &Repository, filter: &SnapshotFilter) -> Result<Layout, Error> {
    let mut snapshots = repository.snapshots()?;
    snapshots.retain(|(_, snapshot)| filter.matches(snapshot));
    Ok(Layout::new(snapshots))
}

/// The directory that a snapshot is.
fn top(snapshot: &Snapshot) -> Node {
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
fn time(snapshot: &Snapshot) -> String {
    let mut time = snapshot.time;
    time.nanoseconds = 0;
    time.to_string()
}

/// The name, with a number after it if another snapshot has it.
fn free_name(entries: &BTreeMap<String, Child>, name: &str) -> String {
    let numbered = (1_u32..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !entries.contains_key(name))
        .unwrap_or_default()
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
    use copal_repository::TreeId;
    use copal_repository::format::Timestamp;

    use super::*;

    fn snapshot(seconds: i64, host: &str, tags: &[&str]) -> (SnapshotId, Snapshot) {
        let time = Timestamp::utc(seconds, 7);
        let snapshot = Snapshot {
            hostname: host.to_owned(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            ..Snapshot::new(time, TreeId([1; 32]))
        };
        (
            SnapshotId::of(format!("{seconds}{host}").as_bytes()),
            snapshot,
        )
    }

    fn names(layout: &Layout, folder: &Folder) -> Vec<String> {
        layout
            .entries(folder)
            .map(|(name, _)| name.clone())
            .collect()
    }

    #[test]
    fn a_snapshot_lies_in_every_folder_that_it_belongs_to() {
        let layout = Layout::new(vec![
            snapshot(0, "h", &["a", "plugin:x/y"]),
            snapshot(0, "..", &["a"]),
            snapshot(86_400, "h", &[]),
        ]);
        assert_eq!(
            names(&layout, &Folder::Top),
            ["hosts", "ids", "snapshots", "tags"]
        );
        assert_eq!(names(&layout, &Folder::Ids).len(), 3);
        let [first, again, last] = [
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z-1",
            "1970-01-02T00:00:00Z",
        ];
        assert_eq!(
            names(&layout, &Folder::Times),
            [first, again, last, "latest"]
        );
        assert_eq!(names(&layout, &Folder::Hosts), ["__", "h"]);
        assert_eq!(names(&layout, &Folder::Tags), ["a", "plugin:x_y"]);
        let tag = Folder::Tag("plugin:x_y".to_owned());
        assert_eq!(names(&layout, &tag), [first, "latest"]);
        let latest = layout.find(&Folder::Host("h".to_owned()), "latest");
        assert!(matches!(latest, Some(Child::Link(name)) if name == last));
    }

    #[test]
    fn a_snapshot_among_those_by_time_is_found_by_its_id() {
        let (id, snapshot) = snapshot(0, "h", &[]);
        let layout = Layout::new(vec![(id, snapshot)]);
        let find = |folder| layout.find(folder, &id.short()).is_some();
        assert!(find(&Folder::Ids) && find(&Folder::Times) && !find(&Folder::Hosts));
    }
}
