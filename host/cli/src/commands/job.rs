//! What backup and restore share: settings, grants that are asked for, approval, the exit code.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use copal_job::{Error, Missing, Needed, UndoFailure};
use copal_sandbox::Grant;
use copal_sandbox::types::{Finding, Severity};

use crate::args::JobArgs;
use crate::failure::{FAILED, Failure, INCOMPLETE};
use crate::session::Session;
use crate::{Outcome, output};

/// The settings as they were given, those from files read.
pub(super) fn settings(args: &JobArgs) -> Result<Vec<(String, String)>, Failure> {
    let mut settings = args.set.clone();
    for (key, path) in &args.set_file {
        let value = std::fs::read_to_string(path).map_err(|e| {
            Failure::usage(
                "config",
                format!("can't read the value of `{key}` from {path}: {e}"),
            )
        })?;
        settings.push((
            key.clone(),
            value.strip_suffix('\n').unwrap_or(&value).to_owned(),
        ));
    }
    Ok(settings)
}

/// Says so where an earlier job was cut off: what it stopped may still be stopped.
pub(super) fn warn_of_interrupted(session: &Session) -> Result<(), Failure> {
    let (jobs, damaged) = copal_job::interrupted(&session.context)?;
    for problem in damaged {
        tracing::warn!("{problem}; `copal resume` says more");
    }
    for job in jobs {
        let begun = output::time(job.time);
        tracing::warn!(
            "a {} of {} begun {begun} was cut off: `copal resume` takes back what it left",
            job.kind,
            job.plugin
        );
    }
    Ok(())
}

/// Whether there is somebody to ask.
pub(super) fn can_ask(args: &JobArgs, session: &Session) -> bool {
    !args.yes
        && !session.global.json
        && std::io::stdin().is_terminal()
        && std::io::stderr().is_terminal()
}

/// Plans with the grants given. Where more are needed and there is somebody to ask, asks for them and plans again.
///
/// A plan may need grants to be made at all, and its probes may then show what else it needs; so this goes on until nothing is missing or
/// something is refused.
pub(super) fn plan<P>(
    given: &[Grant],
    ask: bool,
    mut planner: impl FnMut(&[Grant]) -> Result<P, Error>,
    missing: impl Fn(&P) -> Vec<Grant>,
    show: impl Fn(&P) -> Result<(), Failure>,
) -> Result<P, Failure> {
    let mut grants = given.to_vec();
    loop {
        let (planned, missing) = match planner(&grants) {
            Ok(planned) => {
                show(&planned)?;
                let missing = missing(&planned);
                (Ok(planned), missing)
            }
            Err(Error::Grants(missing)) => (Err(Error::Grants(missing.clone())), missing),
            Err(error) => return Err(error.into()),
        };
        let asked =
            ask && !missing.is_empty() && missing.iter().all(|grant| !grants.contains(grant));
        if !asked || !allow(&missing)? {
            return Ok(planned?);
        }
        grants.extend(missing);
    }
}

/// The grants that are missing from a plan which nothing else forbids.
pub(super) fn missing(findings: &[Finding], needed: &[Needed]) -> Vec<Grant> {
    if findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        return Vec::new();
    }
    needed
        .iter()
        .filter(|need| !need.given)
        .map(|need| need.grant.clone())
        .collect()
}

fn allow(grants: &[Grant]) -> Result<bool, Failure> {
    for grant in grants {
        if !ask(&format!(
            "Allow the plugin to have this done: {} ?",
            output::printable(&grant.to_string())
        ))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Asks whether to go on.
pub(super) fn confirm() -> Result<(), Failure> {
    if ask("Go on?")? {
        Ok(())
    } else {
        Err(Failure::usage("declined", "declined; nothing was changed"))
    }
}

fn ask(question: &str) -> Result<bool, Failure> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Says what went wrong, and gives the exit code that tells how a job ended, also where nobody reads what was `printed`.
pub(super) fn end(
    not_undone: &[UndoFailure],
    missing: &[Missing],
    printed: Result<(), Failure>,
    session: &Session,
) -> Outcome {
    if !session.global.json {
        output::complain(&output::problems(missing, not_undone));
    }
    let code = match (not_undone, missing) {
        ([], []) => ExitCode::SUCCESS,
        ([], _) => ExitCode::from(INCOMPLETE),
        _ => ExitCode::from(FAILED),
    };
    match printed {
        Err(failure) if !failure.is_broken_pipe() => Err(failure),
        _ => Ok(code),
    }
}
