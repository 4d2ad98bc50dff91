//! `copal copy`

use std::process::ExitCode;

use copal_repository::copy::{Copied, CopyOptions, CopyOutcome, CopyReport, copy};
use copal_repository::format::snapshot::Snapshot;
use copal_repository::{LockMode, Repository, SnapshotId};
use serde_json::json;

use crate::args::CopyArgs;
use crate::failure::{Failure, INCOMPLETE};
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

type Chosen = (SnapshotId, Snapshot);

pub(crate) fn run(args: &CopyArgs, session: &Session) -> Outcome {
    let source = session.source(&args.source)?;
    let target = session.repository()?;
    let mode = match args.dry_run {
        true => LockMode::Read,
        false => LockMode::Write,
    };
    let _source_lock = source.lock(LockMode::Read)?;
    let lock = target.lock(mode)?;
    let (chosen, unreadable) = choose(&source, args)?;
    session.interrupts_end_work()?;
    let options = CopyOptions {
        dry_run: args.dry_run,
        cancel: session.context.cancel.clone(),
    };
    let console = Console::new(session.global.quiet || session.global.json).counting("blobs");
    let report = copy(&source, &target, chosen.clone(), &lock, &options, &console)?;
    drop(console);
    let is_damaged = |outcome: &CopyOutcome| matches!(outcome.copied, Copied::Damaged { .. });
    let code = match unreadable.is_empty() && !report.snapshots.iter().any(is_damaged) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(INCOMPLETE),
    };
    for error in &unreadable {
        output::complain(&format!("ERROR: {}\n", output::printable(error)));
    }
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

/// The snapshots that are named, or all that fit; and what is wrong with those that can't be read.
fn choose(source: &Repository, args: &CopyArgs) -> Result<(Vec<Chosen>, Vec<String>), Failure> {
    let filter = args.filter.filter();
    let readable = source.readable_snapshots()?;
    let unreadable = readable.damaged.iter();
    let mut unreadable: Vec<_> = unreadable.map(ToString::to_string).collect();
    let mut all = readable.snapshots;
    all.retain(|(_, snapshot)| filter.matches(snapshot));
    if args.snapshots.is_empty() {
        return Ok((all, unreadable));
    }
    let mut chosen: Vec<Chosen> = Vec::new();
    for text in &args.snapshots {
        let found = match (text.as_str(), all.last()) {
            ("latest", Some(latest)) => latest.clone(),
            ("latest", None) => {
                let message = "no snapshot of the repository to copy from fits";
                return Err(Failure::usage("not-found", message));
            }
            _ => source.snapshot(text)?,
        };
        if chosen.iter().all(|(id, _)| *id != found.0) {
            chosen.push(found);
        }
    }
    // One that can't be read may be the latest; those that were not named are of no concern.
    if args.snapshots.iter().all(|text| text != "latest") {
        unreadable.clear();
    }
    Ok((chosen, unreadable))
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
