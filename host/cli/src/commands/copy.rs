//! `copal copy`

use std::process::ExitCode;

use copal_repository::copy::{Copied, CopyOptions, CopyOutcome, CopyReport, copy};
use copal_repository::format::snapshot::Snapshot;
use copal_repository::{LockMode, ReadableSnapshots, SnapshotId};
use serde_json::json;

use super::select;
use crate::args::CopyArgs;
use crate::failure::{Failure, INCOMPLETE};
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

type Chosen = (SnapshotId, Snapshot);

pub(crate) fn run(args: &CopyArgs, session: &Session) -> Outcome {
    let source = session.source(&args.source)?;
    let target = session.repository()?;
    if source.id() == target.id() && source.location() == target.location() {
        let message = format!("{} can't be copied to itself", source.location());
        let advice =
            "Name the repository to copy to with -r, and the one to copy from with --from-repo.";
        return Err(Failure::arguments(message, advice));
    }
    let _source_lock = session.lock(&source, LockMode::Read)?;
    let lock = session.lock_to_change(&target, args.dry_run, false)?;
    let ReadableSnapshots {
        snapshots: chosen,
        damaged,
    } = select::several(&source, &args.snapshots, &args.filter)?;
    let unreadable: Vec<_> = damaged.iter().map(ToString::to_string).collect();
    session.interrupts_end_work();
    let options = CopyOptions {
        dry_run: args.dry_run,
        cancel: session.context.cancel.clone(),
    };
    let console = Console::new(session.global.quiet || session.global.json).counting("blobs");
    let report = copy(&source, &target, chosen.clone(), &lock, &options, &console)?;
    drop(console);
    let is_damaged = |outcome: &CopyOutcome| matches!(outcome.copied, Copied::Damaged { .. });
    let code = select::complain(&damaged, session);
    let code = match report.snapshots.iter().any(is_damaged) {
        true => ExitCode::from(INCOMPLETE),
        false => code,
    };
    if session.global.json {
        output::json(&json!({
            "source": source.location(),
            "target": target.location(),
            "dry_run": args.dry_run,
            "report": report,
            "unreadable": unreadable,
        }))?;
    } else {
        output::print(&text(&report, &chosen, args.dry_run))?;
    }
    Ok(code)
}

fn text(report: &CopyReport, chosen: &[Chosen], dry_run: bool) -> String {
    let mut table = output::table(&["", "Snapshot", "Copy", "Time", "Host", "Paths"]);
    let mut count = [0; 3];
    let mut reasons = String::new();
    for (outcome, (id, snapshot)) in report.snapshots.iter().zip(chosen) {
        let (word, copy, kind) = match &outcome.copied {
            Copied::Copied { target } => ("copied", target.short(), 0),
            Copied::Planned => ("to copy", String::new(), 0),
            Copied::Present { target } => ("present", target.short(), 1),
            Copied::Damaged { reason } => {
                let reason = output::printable(reason);
                reasons += &format!("ERROR: snapshot {} was not copied: {reason}\n", id.short());
                ("DAMAGED", String::new(), 2)
            }
        };
        count[kind] += 1;
        table.add_row([
            word.to_owned(),
            id.short(),
            copy,
            output::stored_time(snapshot.time),
            output::printable(&snapshot.hostname),
            output::printable(&snapshot.paths.join(", ")),
        ]);
    }
    let [copied, present, damaged] = count;
    let added = &report.added;
    let blobs = added.data_blobs + added.tree_blobs;
    let (copies, adds) = match dry_run {
        true => ("to copy", "to add"),
        false => ("copied", "added"),
    };
    let damage = match damaged {
        0 => String::new(),
        damaged => format!(", {damaged} damaged"),
    };
    let hint = match report.same_chunks || copied == 0 {
        true => "",
        false => {
            "hint: the two repositories cut files at different places, so what is copied shares no data with what is backed up here; \
             `copal init --copy-chunker-params` makes one that cuts as another\n"
        }
    };
    format!(
        "{}{reasons}{hint}{copied} snapshots {copies}, {present} were there{damage}; {adds} are {blobs} blobs with {} ({} stored)",
        output::table_text(&table),
        output::bytes(added.bytes),
        output::bytes(added.packed_bytes),
    )
}
