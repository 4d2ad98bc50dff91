//! `copal repair snapshots`

use std::process::ExitCode;

use copal_job::{RepairedSnapshot, SnapshotRepairOptions, repair_snapshots};
use copal_repository::ReadableSnapshots;
use serde_json::json;

use super::super::select;
use crate::args::RepairSnapshotsArgs;
use crate::failure::INCOMPLETE;
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

/// How many losses of a snapshot are listed one by one; with `--json` all are.
const LINES: usize = 100;

pub(super) fn run(args: &RepairSnapshotsArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let lock = session.lock_to_change(&repository, args.dry_run, args.forget)?;
    let ReadableSnapshots { snapshots, damaged } =
        select::several(&repository, &args.snapshots, &args.filter)?;
    let unreadable: Vec<_> = damaged.iter().map(ToString::to_string).collect();
    let looked = snapshots.len() + unreadable.len();
    let options = SnapshotRepairOptions {
        forget: args.forget,
        dry_run: args.dry_run,
    };
    let console = Console::new(session.global.quiet || session.global.json);
    let state = &session.context.state;
    let repaired = repair_snapshots(&repository, snapshots, options, &lock, state, &console)?;
    drop(console);
    if session.global.json {
        output::json(&json!({"snapshots": repaired, "unreadable": unreadable}))?;
    } else {
        for error in &unreadable {
            let error = output::printable(error);
            output::complain(&format!(
                "ERROR: {error}; `copal forget` with its whole id gives it up\n"
            ));
        }
        output::print(&text(&repaired, looked, args))?;
    }
    Ok(match repaired.is_empty() && unreadable.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(INCOMPLETE),
    })
}

fn text(repaired: &[RepairedSnapshot], looked: usize, args: &RepairSnapshotsArgs) -> String {
    let mut lines = Vec::new();
    for snapshot in repaired {
        let id = snapshot.snapshot.short();
        lines.push(match (&snapshot.replaced_by, &snapshot.problem) {
            (Some(new), _) => format!(
                "snapshot {id} is damaged; without what is lost it is {}",
                new.short()
            ),
            (None, Some(problem)) => {
                format!("snapshot {id} is damaged, and nothing could be made out of it: {problem}")
            }
            (None, None) => format!("snapshot {id} is damaged"),
        });
        let lost = snapshot.lost.iter().take(LINES);
        lines.extend(lost.map(|lost| format!("  LOST: {}: {}", lost.path, lost.error)));
        if let Some(more) = snapshot.lost.len().checked_sub(LINES + 1) {
            lines.push(format!("  LOST: {} more", more + 1));
        }
        let means = snapshot.consequences.iter();
        lines.extend(means.map(|means| format!("  {means}")));
    }
    let left = repaired.iter().any(|snapshot| match args.forget {
        true => snapshot.replaced_by.is_none(),
        false => true,
    });
    lines.push(match (repaired.len(), args.dry_run, left) {
        (0, ..) => format!(
            "{looked} snapshots: nothing is lost, as far as the index says; what packs hold was not read: `copal check --read-data` does that"
        ),
        (count, true, _) => format!(
            "{count} of {looked} snapshots are damaged; nothing was changed. Before anything is given up, back up again: what is still there is stored anew"
        ),
        (count, false, false) => format!("{count} of {looked} snapshots were damaged"),
        (count, false, true) => format!(
            "{count} of {looked} snapshots were damaged; until those that are left are forgotten, with --forget or by `copal forget`, nothing can be \
             pruned"
        ),
    });
    output::printable_lines(&lines.join("\n"))
}
