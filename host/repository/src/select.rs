//! Which snapshots something is about, and which of them belong together.

use std::collections::BTreeMap;

use crate::format::snapshot::Snapshot;
use crate::id::SnapshotId;

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
    /// Whether it means all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

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

/// What snapshots of one group share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupBy {
    /// The machine.
    Host,
    /// All paths.
    Paths,
    /// All tags.
    Tags,
    /// The tags that begin so.
    TagsWith(&'static str),
}

/// What sets a group apart; what snapshots were not grouped by is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct GroupKey {
    /// The machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The paths, sorted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// The tags, or those that they were grouped by, sorted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
}

impl GroupKey {
    /// The key of the group that the snapshot belongs to.
    pub fn of(snapshot: &Snapshot, by: &[GroupBy]) -> Self {
        let sorted = |list: &[String]| {
            let mut list = list.to_vec();
            list.sort_unstable();
            list
        };
        let mut key = Self::default();
        let mut tags = snapshot.tags.clone();
        for by in by {
            match by {
                GroupBy::Host => key.hostname = Some(snapshot.hostname.clone()),
                GroupBy::Paths => key.paths = Some(sorted(&snapshot.paths)),
                GroupBy::Tags => key.tags = Some(sorted(&snapshot.tags)),
                GroupBy::TagsWith(begin) => {
                    tags.retain(|tag| tag.starts_with(begin));
                    key.tags = key.tags.or_else(|| Some(sorted(&tags)));
                }
            }
        }
        key
    }
}

/// Snapshots that belong together, in the order in which they were given, by what they share.
pub fn group(
    snapshots: Vec<(SnapshotId, Snapshot)>,
    by: &[GroupBy],
) -> BTreeMap<GroupKey, Vec<(SnapshotId, Snapshot)>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, snapshot) in snapshots {
        let key = GroupKey::of(&snapshot, by);
        groups.entry(key).or_default().push((id, snapshot));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Timestamp;
    use crate::id::TreeId;

    fn snapshot(hostname: &str, tags: &[&str], paths: &[&str]) -> Snapshot {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Snapshot {
            hostname: hostname.into(),
            tags: owned(tags),
            paths: owned(paths),
            ..Snapshot::new(Timestamp::ZERO, TreeId([0; 32]))
        }
    }

    #[test]
    fn a_filter_asks_for_one_host_one_list_of_tags_and_every_path() {
        let snapshot = snapshot("h", &["a", "b"], &["/x", "/y"]);
        let lists = |lists: &[&[&str]]| {
            let list = |list: &&[&str]| list.iter().map(|&text| text.to_owned()).collect();
            lists.iter().map(list).collect::<Vec<Vec<String>>>()
        };
        for (hosts, tags, paths, expected) in [
            (lists(&[&[]]), lists(&[]), lists(&[&[]]), true),
            (
                lists(&[&["g", "h"]]),
                lists(&[&["a", "b"]]),
                lists(&[&["/y"]]),
                true,
            ),
            (lists(&[&["g"]]), lists(&[]), lists(&[&[]]), false),
            (lists(&[&[]]), lists(&[&["c"], &["b"]]), lists(&[&[]]), true),
            (lists(&[&[]]), lists(&[&["a", "c"]]), lists(&[&[]]), false),
            (lists(&[&[]]), lists(&[&[]]), lists(&[&[]]), false),
            (lists(&[&[]]), lists(&[]), lists(&[&["/x", "/z"]]), false),
        ] {
            let filter = SnapshotFilter {
                hosts: hosts[0].clone(),
                tags,
                paths: paths[0].clone(),
            };
            assert_eq!(filter.matches(&snapshot), expected, "{filter:?}");
        }
    }

    #[test]
    fn the_order_of_tags_and_paths_makes_no_group() {
        let id = |byte| SnapshotId([byte; 32]);
        let snapshots = vec![
            (id(1), snapshot("h", &["a", "b"], &["/x", "/y"])),
            (id(2), snapshot("h", &["b", "a"], &["/y", "/x"])),
            (id(3), snapshot("g", &[], &["/x"])),
        ];
        let count = |by: &[GroupBy]| group(snapshots.clone(), by).len();
        assert_eq!(count(&[GroupBy::Tags, GroupBy::Paths]), 2);
        assert_eq!(count(&[GroupBy::Host]), 2);
        assert_eq!(count(&[GroupBy::TagsWith("a")]), 2);
        assert_eq!(count(&[GroupBy::TagsWith("z")]), 1);
        assert_eq!(count(&[]), 1);
    }
}
