//! What was done, as a person reads it afterwards.

use copal_job::{
    BackupOutcome, MigrationOutcome, Missing, Placed, Record, RestoreOutcome, Resumed,
    RollbackOutcome, UndoFailure,
};
use copal_repository::SnapshotId;
use copal_sandbox::types::{Finding, Severity};

use super::text::{bytes, printable};

/// How many things that are missing are listed one by one; the manifest holds all.
const MISSING_LINES: usize = 100;

/// What a backup left.
pub(crate) fn backup(outcome: &BackupOutcome) -> String {
    let summary = &outcome.summary;
    let mut text = format!(
        "{} files: {} new, {} changed, {} unmodified; {} left out by the plugin\n",
        summary.files_new + summary.files_changed + summary.files_unmodified,
        summary.files_new,
        summary.files_changed,
        summary.files_unmodified,
        summary.skipped,
    );
    text += &format!(
        "{} read, {} new, {} stored\n",
        bytes(summary.total_bytes_processed),
        bytes(summary.data_added),
        bytes(summary.data_added_packed),
    );
    let state = if outcome.complete {
        "snapshot"
    } else {
        "INCOMPLETE snapshot"
    };
    text + &format!("{state} {} saved\n", outcome.snapshot.short())
}

/// What a restore left.
pub(crate) fn restore(outcome: &RestoreOutcome) -> String {
    let mut text = findings(&outcome.findings, Severity::Warning);
    let state = if outcome.complete {
        "restored"
    } else {
        "NOT COMPLETELY restored"
    };
    for target in &outcome.targets {
        text += &printable(&format!(
            "{state} {} to {}",
            target.name,
            target.path.display()
        ));
        text.push('\n');
    }
    for placed in &outcome.placed {
        text += &changes(placed);
    }
    if let Some(safety) = &outcome.safety {
        text += &taken(safety);
    }
    text + &format!("{} files, {}\n", outcome.files, bytes(outcome.bytes))
}

/// What a restore found at a target and did with it.
fn changes(placed: &Placed) -> String {
    let summary = &placed.summary;
    let counts = [
        (summary.unchanged, "unchanged"),
        (summary.mended, "with other metadata"),
        (summary.replaced.count, "replaced"),
        (summary.removed.count, "removed"),
        (summary.kept, "left as they were"),
        (
            summary.left_out,
            "entries not chosen, without what lies in folders among them",
        ),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    match counts.is_empty() {
        true => String::new(),
        false => format!("{}: {}\n", placed.root, counts.join(", ")),
    }
}

/// What a migration left.
pub(crate) fn migration(outcome: &MigrationOutcome) -> String {
    let backup = outcome.backup.as_ref().map(backup).unwrap_or_default();
    let mut text = backup + &restore(&outcome.restore);
    if outcome.backup.is_none() {
        text += &format!(
            "snapshot {} was there already\n",
            outcome.restore.snapshot.short()
        );
    }
    if let (Some(safety), None) = (&outcome.safety, &outcome.restore.safety) {
        text += &taken(safety);
    }
    text
}

fn taken(safety: &SnapshotId) -> String {
    let id = safety.short();
    format!("safety snapshot {id}: `copal rollback {id}` puts back what was there\n")
}

/// The migrations that can be gone on with.
pub(crate) fn unfinished(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        let stage = record
            .stages
            .last()
            .map_or("init", |last| last.stage.word());
        text += &printable(&format!(
            "The migration `{}` was cut off ({stage}): `copal migrate` with the same arguments and --resume goes on with it.",
            record.name
        ));
        text.push('\n');
    }
    text
}

/// What a rollback left.
pub(crate) fn rollback(outcome: &RollbackOutcome) -> String {
    let mut text = String::new();
    let state = if outcome.missing.is_empty() {
        "put back"
    } else {
        "NOT COMPLETELY put back"
    };
    for root in &outcome.targets {
        text += &printable(&format!("{state} {} at {}", root.name, root.path.display()));
        text.push('\n');
    }
    for root in &outcome.removed {
        text += &printable(&format!("removed {}", root.path.display()));
        text.push('\n');
    }
    if let Some(safety) = &outcome.safety {
        text += &format!(
            "safety snapshot {0}: `copal rollback {0}` takes the rollback back\n",
            safety.short()
        );
    }
    text + &format!("{} files, {}\n", outcome.files, bytes(outcome.bytes))
}

/// What was done for a job that had been cut off.
pub(crate) fn resumed(resumed: &Resumed) -> String {
    let job = &resumed.job;
    let mut text = format!(
        "{} of {} begun {}: ",
        job.kind,
        job.plugin,
        super::time(job.time)
    );
    let undone = resumed.steps.iter().filter(|step| step.error.is_none());
    let undone: Vec<_> = undone.map(|step| printable(&step.title)).collect();
    text += &if undone.is_empty() {
        "nothing undone".to_owned()
    } else {
        format!("undone: {}", undone.join(", "))
    };
    text + "\n"
}

/// The findings of at least this severity, the worst first.
pub(crate) fn findings(findings: &[Finding], at_least: Severity) -> String {
    let mut shown: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity >= at_least)
        .cloned()
        .collect();
    shown.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    finding_lines(&shown)
}

/// One block of lines for each finding.
pub(super) fn finding_lines(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let word = match finding.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "ERROR",
        };
        let path = finding
            .path
            .as_deref()
            .map(|path| format!(" [{path}]"))
            .unwrap_or_default();
        let line = format!("{word}: {}{path} ({})", finding.message, finding.code);
        text += &format!(
            "  {}\n",
            super::text::printable_lines(&line).replace('\n', "\n      ")
        );
        if let Some(remedy) = &finding.remedy {
            text += &format!(
                "      → {}\n",
                super::text::printable_lines(remedy).replace('\n', "\n        ")
            );
        }
    }
    text
}

/// What was not saved or restored, and what could not be taken back.
pub(crate) fn problems(missing: &[Missing], not_undone: &[UndoFailure]) -> String {
    self::missing(missing) + &self::not_undone(not_undone)
}

fn missing(missing: &[Missing]) -> String {
    let mut text = String::new();
    for missing in missing.iter().take(MISSING_LINES) {
        text += &printable(&format!("failed: {}: {}", missing.path, missing.error));
        text.push('\n');
    }
    if missing.len() > MISSING_LINES {
        text += &format!(
            "failed: {} more; --json names them\n",
            missing.len() - MISSING_LINES
        );
    }
    text
}

fn not_undone(failures: &[UndoFailure]) -> String {
    let mut text = String::new();
    for failure in failures {
        text += &printable(&format!(
            "NOT UNDONE: {}: {}",
            failure.title, failure.problem
        ));
        text.push('\n');
    }
    if !failures.is_empty() {
        text += "Run `copal resume` to try again.\n";
    }
    text
}
