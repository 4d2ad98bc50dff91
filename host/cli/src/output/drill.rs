//! What a drill proved, as a person reads it on a terminal.

use std::path::PathBuf;

use copal_job::{Evidence, Purpose, Verdict};
use copal_sandbox::types::Severity;

use super::report::findings;
use super::text::{printable, time};
use super::{table, table_text};

/// How many entries that were not restored exactly are listed; the evidence holds all.
const MISSING_LINES: usize = 20;

/// The evidence, and where it lies.
pub(crate) fn drill(evidence: &Evidence, files: &[PathBuf]) -> String {
    let verdict = match evidence.verdict {
        Verdict::Passed => "passed",
        Verdict::Incomplete => "INCOMPLETE",
        Verdict::Failed => "FAILED",
    };
    let snapshot = &evidence.snapshot;
    let mut text = format!(
        "drill of {}: {verdict}\nsnapshot {} of {} from {}\n",
        printable(&evidence.job),
        snapshot.id.short(),
        time(snapshot.time),
        printable(&snapshot.hostname),
    );
    text += &findings(&evidence.findings, Severity::Warning);
    let missing = evidence.missing.iter().take(MISSING_LINES);
    for missing in missing {
        text += &format!(
            "  not exactly restored: {}\n",
            printable(&format!("{}: {}", missing.path, missing.error))
        );
    }
    if evidence.missing.len() > MISSING_LINES {
        text += &format!("  and {} more\n", evidence.missing.len() - MISSING_LINES);
    }
    for sentence in &evidence.proven {
        text += &format!("  {}\n", printable(sentence));
    }
    for problem in &evidence.problems {
        text += &format!("  FAILED: {}\n", printable(problem));
    }
    let mut phases = table(&["PURPOSE", "SECONDS", "PART"]);
    for phase in &evidence.phases {
        let purpose = match phase.purpose {
            Purpose::Prepare => "prepare",
            Purpose::Recover => "recover",
            Purpose::Compare => "compare",
            Purpose::Remove => "remove",
        };
        let seconds = format!("{:.1}", phase.seconds);
        phases.add_row([purpose, &seconds, &printable(&phase.title)]);
    }
    text += &format!("\n{}\n", table_text(&phases));
    if let Some(seconds) = evidence.recovery_seconds {
        text += &format!("a recovery takes {seconds:.1} s\n");
    }
    for kept in &evidence.kept {
        text += &format!(
            "kept {}: `copal resume` removes it\n",
            printable(&kept.display().to_string())
        );
    }
    for file in files {
        text += &format!("evidence: {}\n", printable(&file.display().to_string()));
    }
    text
}
