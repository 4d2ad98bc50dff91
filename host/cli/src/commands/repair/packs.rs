//! `copal repair packs`

use std::process::ExitCode;

use copal_repository::repair::{PackRepair, PackRepairOptions, repair_packs};

use super::DO_IT;
use crate::args::RepairPacksArgs;
use crate::failure::INCOMPLETE;
use crate::output::Console;
use crate::session::Session;
use crate::{Outcome, output};

pub(super) fn run(args: &RepairPacksArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let lock = session.lock_to_change(&repository, args.dry_run, true)?;
    let options = PackRepairOptions {
        copies: args.copies.clone(),
        dry_run: args.dry_run,
        cancel: session.context.cancel.clone(),
    };
    session.interrupts_end_work();
    let console = Console::new(session.global.quiet || session.global.json).counting("packs");
    let report = repair_packs(&repository, &args.packs, &options, &lock, &console)?;
    drop(console);
    if session.global.json {
        output::json(&report)?;
    } else {
        output::print(&text(&report))?;
    }
    Ok(match report.lost.iter().all(|blob| blob.elsewhere) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(INCOMPLETE),
    })
}

fn text(report: &PackRepair) -> String {
    let mut lines = Vec::new();
    for id in &report.missing {
        lines.push(format!("pack {id} is missing"));
    }
    for blob in &report.lost {
        lines.push(match blob.elsewhere {
            true => format!("{} blob {}: another pack holds it too", blob.kind, blob.id),
            false => format!("LOST: {} blob {}: {}", blob.kind, blob.id, blob.problem),
        });
    }
    for copy in &report.copies {
        lines.push(format!("a copy of the damaged pack is {}", copy.display()));
    }
    let lost = report.lost.iter().filter(|blob| !blob.elsewhere).count();
    let (saved, removed) = (report.saved, report.removed.len());
    lines.push(match report.dry_run {
        true => format!("{saved} blobs can be saved, and {lost} are lost; nothing was changed"),
        false => format!("{saved} blobs were saved, {lost} are lost, {removed} packs were removed"),
    });
    if lost > 0 {
        let first = if report.dry_run { DO_IT } else { "" };
        lines.push(format!(
            "{first}back up again, which may bring back what is lost; then `copal repair snapshots --dry-run` tells what snapshots lack"
        ));
    }
    output::printable_lines(&lines.join("\n"))
}
