//! `copal snapshots`

use std::process::ExitCode;

use copal_repository::SnapshotId;
use copal_repository::format::snapshot::Snapshot;
use serde::Serialize;

use crate::failure::INCOMPLETE;
use crate::session::Session;
use crate::{Outcome, output};

#[derive(Serialize)]
struct Row<'a> {
    id: &'a SnapshotId,
    #[serde(flatten)]
    snapshot: &'a Snapshot,
}

pub(crate) fn run(session: &Session) -> Outcome {
    let (snapshots, damaged) = session.repository()?.readable_snapshots()?;
    let code = match damaged.len() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(INCOMPLETE),
    };
    for error in damaged {
        output::complain(&format!(
            "ERROR: {}\n",
            output::printable(&error.to_string())
        ));
    }
    if session.global.json {
        let rows: Vec<_> = snapshots
            .iter()
            .map(|(id, snapshot)| Row { id, snapshot })
            .collect();
        output::json(&rows)?;
        return Ok(code);
    }
    let mut table = output::table(&["ID", "Time", "Host", "Tags", "Paths"]);
    for (id, snapshot) in &snapshots {
        table.add_row([
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
        ]);
    }
    output::print(&format!(
        "{}{} snapshots",
        output::table_text(&table),
        snapshots.len()
    ))?;
    Ok(code)
}
