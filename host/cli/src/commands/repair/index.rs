//! `copal repair index`

use std::process::ExitCode;

use copal_repository::repair::{IndexRepair, IndexRepairOptions, repair_index};

use super::DO_IT;
use crate::args::RepairIndexArgs;
use crate::failure::INCOMPLETE;
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

pub(super) fn run(args: &RepairIndexArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let lock = session.lock_to_change(&repository, args.dry_run, true)?;
    let options = IndexRepairOptions {
        read_all_packs: args.read_all_packs,
        dry_run: args.dry_run,
        cancel: session.context.cancel.clone(),
    };
    session.interrupts_end_work();
    let console = Console::new(session.global.quiet || session.global.json).counting("packs");
    let report = repair_index(&repository, &options, &lock, &console)?;
    drop(console);
    if session.global.json {
        output::json(&report)?;
    } else {
        output::print(&text(&report))?;
    }
    Ok(
        match report.missing.is_empty() && report.damaged.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(INCOMPLETE),
        },
    )
}

fn text(report: &IndexRepair) -> String {
    let mut lines = Vec::new();
    for problem in &report.unreadable {
        lines.push(format!("{problem}: replaced"));
    }
    for id in &report.missing {
        lines.push(format!("pack {id} is missing: no longer in the index"));
    }
    for id in &report.added {
        lines.push(format!("pack {id} is in the index now"));
    }
    for id in &report.corrected {
        lines.push(format!("pack {id} is described rightly now"));
    }
    let damaged: Vec<_> = report.damaged.iter().collect();
    for pack in &damaged {
        lines.push(match pack.indexed {
            true => format!("{}: what the index says of it stays", pack.problem),
            false => format!("{}: not in the index", pack.problem),
        });
    }
    lines.push(match (report.is_fine(), report.dry_run) {
        (true, _) => format!("the index was right ({} headers were read)", report.read),
        (false, true) => "nothing was changed".to_owned(),
        (false, false) => "the index was repaired".to_owned(),
    });
    let indexed = damaged.iter().filter(|pack| pack.indexed);
    let indexed: Vec<_> = indexed.map(|pack| pack.id.to_string()).collect();
    if !indexed.is_empty() {
        lines.push(format!(
            "`copal repair packs {}` saves what can be read of the damaged packs",
            indexed.join(" ")
        ));
    }
    if !report.missing.is_empty() {
        let first = if report.dry_run { DO_IT } else { "" };
        lines.push(format!(
            "the missing packs held {} blobs: {first}back up again, which may bring back some; then `copal repair snapshots --dry-run` tells what snapshots lack",
            report.missing_blobs
        ));
    }
    output::printable_lines(&lines.join("\n"))
}
