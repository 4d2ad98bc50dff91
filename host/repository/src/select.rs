//! Which snapshots something is about, and which of them belong together.

use crate::format::snapshot::Snapshot;

/// Which snapshots are meant, as restic's `--host`, `--tag` and `--path` say it. The default means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotFilter {
    /// Those of one of these machines; of any if empty.
    pub hosts: Vec<String>,
    /// Those that have all tags of one of these lists; an empty list means those without any tag. Any if there is no list.
    pub tags: Vec<Vec<String>>,
    /// Those of which each of these paths was backed up.
    pub paths: Vec<String>,
}

impl SnapshotFilter {
    /// Whether it means this one.
    pub fn matches(&self, snapshot: &Snapshot) -> bool {
        let tagged = |tags: &Vec<String>| match tags.as_slice() {
            [] => snapshot.tags.is_empty(),
            tags => tags.iter().all(|tag| snapshot.tags.contains(tag)),
        };
        (self.hosts.is_empty() || self.hosts.contains(&snapshot.hostname))
            && (self.tags.is_empty() || self.tags.iter().any(tagged))
            && self.paths.iter().all(|path| snapshot.paths.contains(path))
    }
}
