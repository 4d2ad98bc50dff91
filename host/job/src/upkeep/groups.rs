//! Which snapshots belong together when it is decided which of them stay.

use std::collections::BTreeMap;

use copal_repository::SnapshotId;
use copal_repository::format::snapshot::Snapshot;
use copal_repository::select::{GroupBy, GroupKey};

use crate::backup::INCOMPLETE_TAG;

/// What sets a group of snapshots apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// What they share.
    pub key: GroupKey,
    /// Whether something is missing in them: such ones take no place of a good one.
    pub incomplete: bool,
}

/// Parts snapshots into groups; in each they keep their order.
pub fn groups(
    snapshots: Vec<(SnapshotId, Snapshot)>,
    by: &[GroupBy],
) -> BTreeMap<Group, Vec<(SnapshotId, Snapshot)>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, snapshot) in snapshots {
        let group = Group {
            key: GroupKey::of(&snapshot, by),
            incomplete: snapshot.tags.iter().any(|tag| tag == INCOMPLETE_TAG),
        };
        groups.entry(group).or_default().push((id, snapshot));
    }
    groups
}

#[cfg(test)]
mod tests {
    use copal_repository::TreeId;
    use copal_repository::format::Timestamp;

    use super::*;

    #[test]
    fn incomplete_ones_are_apart() {
        let snapshot = |number, tags: &[&str]| {
            let snapshot = Snapshot {
                tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
                ..Snapshot::new(Timestamp::now(), TreeId([0; 32]))
            };
            (SnapshotId([number; 32]), snapshot)
        };
        let snapshots = vec![
            snapshot(1, &["plugin:copal/files"]),
            snapshot(2, &["plugin:copal/files", "incomplete"]),
            snapshot(3, &["other", "plugin:copal/files"]),
        ];
        let groups = groups(snapshots, &[GroupBy::TagsWith("plugin:")]);
        let sizes: Vec<_> = groups.values().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1]);
    }
}
