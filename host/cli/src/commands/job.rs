//! What backup and restore share: settings, grants asked for, approval.

use std::io::{IsTerminal as _, Write as _};

use copal_job::Needed;
use copal_sandbox::{Finding, Grant, Severity};

use crate::args::JobArgs;
use crate::failure::Failure;

/// The settings as they were given, those from files read.
pub(crate) fn settings(args: &JobArgs) -> Result<Vec<(String, String)>, Failure> {
    let mut settings = args.set.clone();
    for (key, path) in &args.set_file {
        let value = std::fs::read_to_string(path)
            .map_err(|e| Failure::usage("config", format!("can't read the value of `{key}` from {path}: {e}")))?;
        settings.push((key.clone(), value.strip_suffix('\n').unwrap_or(&value).to_owned()));
    }
    Ok(settings)
}

/// Whether there is somebody to ask.
pub(crate) fn can_ask(args: &JobArgs, json: bool) -> bool {
    !args.yes && !json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The grants that are missing from a plan which nothing else forbids.
pub(crate) fn missing(findings: &[Finding], needed: &[Needed]) -> Vec<Grant> {
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Vec::new();
    }
    needed.iter().filter(|need| !need.given).map(|need| need.grant.clone()).collect()
}

/// Asks for each grant in turn; none where one is refused.
pub(crate) fn ask_grants(missing: Vec<Grant>) -> Result<Option<Vec<Grant>>, Failure> {
    for grant in &missing {
        if !ask(&format!("Allow the plugin to have this done: {grant} ?"))? {
            return Ok(None);
        }
    }
    Ok(Some(missing))
}

/// Asks whether to go on.
pub(crate) fn confirm() -> Result<(), Failure> {
    if ask("Go on?")? { Ok(()) } else { Err(Failure::usage("declined", "declined; nothing was changed")) }
}

fn ask(question: &str) -> Result<bool, Failure> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
