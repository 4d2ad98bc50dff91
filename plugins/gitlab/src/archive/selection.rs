//! Which archives of a folder are meant.

use std::collections::BTreeSet;

use copal_sdk::{Entry, Failure, Tree};
use serde::{Deserialize, Serialize};

use super::{SUFFIX, backup_name, time};
use crate::config::{Archives, Every};

/// Archives by their names as `BACKUP=` takes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Selection {
    /// These.
    These(BTreeSet<String>),
    /// Those that were not there when the plan was made.
    AllBut(BTreeSet<String>),
}

impl Selection {
    /// Whether an archive is meant.
    pub(crate) fn holds(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.contains(name),
            Self::AllBut(names) => !names.contains(name),
        }
    }
}

/// All archives of a folder; none where there is no folder.
pub(crate) fn archives(tree: &dyn Tree) -> Result<Vec<Entry>, Failure> {
    if tree.stat("")?.is_none() {
        return Ok(Vec::new());
    }
    let mut entries = tree.list("")?;
    entries.retain(|entry| backup_name(entry).is_some());
    Ok(entries)
}

/// The archives that the operator means, of those that there are. Fails with `missing` where one is not there.
pub(crate) fn choose(
    archives: &[Entry],
    chosen: &Archives,
    unsaid: Every,
) -> Result<BTreeSet<String>, Failure> {
    let names = archives.iter().filter_map(backup_name);
    let every = match chosen {
        Archives::Names(chosen) => {
            let all: BTreeSet<&str> = names.collect();
            return chosen
                .iter()
                .map(|name| {
                    let name = name.strip_suffix(SUFFIX).unwrap_or(name);
                    if all.contains(name) {
                        Ok(name.to_owned())
                    } else {
                        Err(Failure::missing(
                            "gitlab.archives.unknown",
                            format!("there is no archive {name}{SUFFIX}"),
                        )
                        .remedy(format!("those that there are: {}", list(&all))))
                    }
                })
                .collect();
        }
        Archives::Every(every) => *every,
        Archives::Unsaid => unsaid,
    };
    Ok(match every {
        Every::All => names.map(str::to_owned).collect(),
        Every::Newest => {
            let newest = archives.iter().max_by_key(|entry| {
                let name = backup_name(entry).unwrap_or_default();
                (time(name).unwrap_or(entry.modified.seconds), name)
            });
            let newest = newest.and_then(backup_name);
            newest.map(str::to_owned).into_iter().collect()
        }
    })
}

fn list(names: &BTreeSet<&str>) -> String {
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.iter().copied().collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use copal_sdk::testing::MemoryTree;

    use super::*;

    fn folder() -> Vec<Entry> {
        let tree = MemoryTree::new("backups")
            .file("1755221522_2025_08_15_17.2.1_gitlab_backup.tar", "b")
            .file("1593450065_2020_06_29_13.0.6_gitlab_backup.tar", "a")
            .file("dump_gitlab_backup.tar", "c")
            .file("_gitlab_backup.tar", "no name")
            .file("old/1_gitlab_backup.tar", "beneath")
            .file("gitlab.txt", "no archive")
            .directory("1_gitlab_backup.tar");
        archives(&tree).unwrap()
    }

    fn chosen(archives: &Archives) -> Vec<String> {
        choose(&folder(), archives, Every::Newest)
            .unwrap()
            .into_iter()
            .collect()
    }

    #[test]
    fn the_newest_is_the_one_with_the_latest_time_in_its_name() {
        // The tree's time, 2025-01-01, is that of the archive without one.
        assert_eq!(chosen(&Archives::Unsaid), ["1755221522_2025_08_15_17.2.1"]);
        assert_eq!(chosen(&Archives::Every(Every::All)).len(), 3);
    }

    #[test]
    fn archives_are_named_with_or_without_suffix() {
        let names = ["dump", "1593450065_2020_06_29_13.0.6_gitlab_backup.tar"];
        let names = Archives::Names(names.map(str::to_owned).to_vec());
        assert_eq!(chosen(&names), ["1593450065_2020_06_29_13.0.6", "dump"]);
        let unknown = Archives::Names(vec!["x".to_owned()]);
        let failure = choose(&folder(), &unknown, Every::All).unwrap_err();
        assert_eq!(failure.code, "gitlab.archives.unknown");
    }
}
