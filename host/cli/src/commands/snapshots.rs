//! `copal snapshots`

use std::collections::{BTreeMap, HashMap};

use copal_repository::format::snapshot::Snapshot;
use copal_repository::select::{GroupBy, GroupKey, group};
use copal_repository::{ReadableSnapshots, SnapshotId};
use serde::Serialize;

use super::select;
use crate::args::{GroupByArg, SnapshotsArgs};
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

type Snapshots = Vec<(SnapshotId, Snapshot)>;

#[derive(Serialize)]
struct Row<'a> {
    id: &'a SnapshotId,
    #[serde(flatten)]
    snapshot: &'a Snapshot,
}

#[derive(Serialize)]
struct Group<'a> {
    group_key: &'a GroupKey,
    snapshots: Vec<Row<'a>>,
}

pub(crate) fn run(args: &SnapshotsArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let ReadableSnapshots { snapshots, damaged } =
        select::several(&repository, &args.snapshots, &args.filter)?;
    let code = select::complain(&damaged, session);
    let mut groups = group(snapshots, &by(&args.group_by));
    if let Some(latest) = args.latest {
        for snapshots in groups.values_mut() {
            keep_latest(snapshots, latest as usize);
        }
    }
    if session.global.json {
        print_json(&groups, !args.group_by.is_empty())?;
    } else {
        output::print(&text(&groups, args.compact))?;
    }
    Ok(code)
}

/// What the snapshots are grouped by.
pub(super) fn by(said: &[GroupByArg]) -> Vec<GroupBy> {
    said.iter().copied().map(GroupBy::from).collect()
}

/// Leaves that many of the newest for each machine and its paths.
fn keep_latest(snapshots: &mut Snapshots, count: usize) {
    let mut left = HashMap::new();
    let mut keep: Vec<_> = snapshots
        .iter()
        .rev()
        .map(|(_, snapshot)| {
            let key = GroupKey::of(snapshot, &[GroupBy::Host, GroupBy::Paths]);
            let left = left.entry(key).or_insert(count);
            std::mem::replace(left, left.saturating_sub(1)) > 0
        })
        .collect();
    snapshots.retain(|_| keep.pop().unwrap_or(true));
}

fn print_json(groups: &BTreeMap<GroupKey, Snapshots>, grouped: bool) -> Result<(), Failure> {
    fn rows(snapshots: &Snapshots) -> Vec<Row<'_>> {
        let rows = snapshots.iter();
        rows.map(|(id, snapshot)| Row { id, snapshot }).collect()
    }
    if !grouped {
        return output::json(&groups.values().flat_map(rows).collect::<Vec<_>>());
    }
    let groups = groups.iter().map(|(group_key, snapshots)| Group {
        group_key,
        snapshots: rows(snapshots),
    });
    output::json(&groups.collect::<Vec<_>>())
}

fn text(groups: &BTreeMap<GroupKey, Snapshots>, compact: bool) -> String {
    if groups.is_empty() {
        return "0 snapshots".to_owned();
    }
    let mut text = String::new();
    for (key, snapshots) in groups {
        let shared = shared(key);
        if !shared.is_empty() {
            text += &format!("{}{shared}:\n", if text.is_empty() { "" } else { "\n" });
        }
        text += &output::table_text(&table(snapshots, compact));
        text += &format!("{} snapshots\n", snapshots.len());
    }
    text
}

/// What the snapshots of a group share, on one line.
pub(super) fn shared(key: &GroupKey) -> String {
    let list = |word: &str, list: &Option<Vec<String>>| {
        let list = list.as_ref()?;
        Some(format!("{word} {}", list.join(", ")))
    };
    let host = key.hostname.as_ref().map(|host| format!("host {host}"));
    let parts = [host, list("paths", &key.paths), list("tags", &key.tags)];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    output::printable(&parts.join("; "))
}

fn table(snapshots: &Snapshots, compact: bool) -> comfy_table::Table {
    let header = ["ID", "Time", "Host", "Tags", "Paths"];
    let columns = if compact { 4 } else { 5 };
    let mut table = output::table(&header[..columns]);
    for (id, snapshot) in snapshots {
        let row = [
            id.short(),
            output::stored_time(snapshot.time),
            output::printable(&snapshot.hostname),
            output::printable(&snapshot.tags.join(", ")),
            snapshot
                .paths
                .iter()
                .map(|path| output::printable(path))
                .collect::<Vec<_>>()
                .join("\n"),
        ];
        table.add_row(&row[..columns]);
    }
    table
}

#[cfg(test)]
mod tests {
    use copal_repository::TreeId;
    use copal_repository::format::Timestamp;

    use super::*;

    #[test]
    fn the_latest_are_counted_for_each_machine_and_its_paths() {
        let snapshot = |number: u8, host: &str| {
            let snapshot = Snapshot {
                hostname: host.to_owned(),
                ..Snapshot::new(Timestamp::utc(number.into(), 0), TreeId([0; 32]))
            };
            (SnapshotId([number; 32]), snapshot)
        };
        let mut snapshots = vec![
            snapshot(1, "a"),
            snapshot(2, "b"),
            snapshot(3, "a"),
            snapshot(4, "a"),
        ];
        keep_latest(&mut snapshots, 2);
        let left: Vec<_> = snapshots.iter().map(|(id, _)| id.0[0]).collect();
        assert_eq!(left, [2, 3, 4]);
    }
}
