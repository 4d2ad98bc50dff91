//! `copal stats`

use clap::ValueEnum as _;
use copal_repository::select::{GroupKey, group};
use copal_repository::statistics::{Counter, Statistics};
use copal_repository::{LockMode, ReadableSnapshots};
use copal_sandbox::name;
use serde::Serialize;

use super::snapshots::{by, shared};
use super::{entries, select};
use crate::args::StatsArgs;
use crate::session::Session;
use crate::{Outcome, output};

#[derive(Serialize)]
struct Row<'a> {
    mode: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_key: Option<&'a GroupKey>,
    #[serde(flatten)]
    statistics: &'a Statistics,
}

pub(crate) fn run(args: &StatsArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let _lock = session.lock(&repository, LockMode::Read)?;
    let ReadableSnapshots { snapshots, damaged } =
        select::several(&repository, &args.snapshots, &args.filter)?;
    let code = select::complain(&damaged, session);
    // Without it all would count as lost.
    repository.load_index()?;
    let mut lost = Vec::new();
    let mut counted = Vec::new();
    let mut groups = group(snapshots, &by(&args.group_by));
    if groups.is_empty() && args.group_by.is_empty() {
        groups.insert(GroupKey::default(), Vec::new());
    }
    for (key, snapshots) in groups {
        let mut counter = Counter::new(&repository, args.mode.into());
        for (id, snapshot) in &snapshots {
            let mut lose = |path: &[u8], error| {
                let path = name::escape(path);
                let place = entries::place(&path);
                lost.push(format!("snapshot {}: {place}: {error}", id.short()));
                Ok(())
            };
            let added = counter.add(&snapshot.tree, &mut lose);
            if added.is_err() {
                select::complain(&lost, session);
            }
            added?;
        }
        counted.push((key, counter.statistics().clone()));
    }
    let mode = args.mode.to_possible_value();
    let mode = mode.as_ref().map_or("", |mode| mode.get_name());
    let rows: Vec<_> = counted
        .iter()
        .map(|(key, statistics)| Row {
            mode,
            group_key: (!args.group_by.is_empty()).then_some(key),
            statistics,
        })
        .collect();
    match (session.global.json, args.group_by.is_empty(), rows.first()) {
        (true, true, Some(row)) => output::json(row)?,
        (true, ..) => output::json(&rows)?,
        (false, ..) => output::print(&text(mode, &counted))?,
    }
    match lost.is_empty() {
        true => Ok(code),
        false => Ok(select::complain(&lost, session)),
    }
}

fn text(mode: &str, counted: &[(GroupKey, Statistics)]) -> String {
    let mut table = output::table(&["Of", "Snapshots", "Files", "Blobs", "Size", "Uncompressed"]);
    for (key, statistics) in counted {
        let count = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
        table.add_row([
            shared(key),
            statistics.snapshots_count.to_string(),
            statistics.total_file_count.to_string(),
            count(statistics.total_blob_count),
            output::bytes(statistics.total_size),
            statistics
                .total_uncompressed_size
                .map(output::bytes)
                .unwrap_or_default(),
        ]);
    }
    format!("counted by {mode}\n{}", output::table_text(&table))
}
