//! What backup and restore share: settings, grants that are asked for, approval, the exit code.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use copal_job::{Ended, Error, Manifest, Missing, Needed, UndoFailure};
use copal_repository::format::snapshot::Snapshot;
use copal_repository::{LockMode, Repository, SnapshotId};
use copal_sandbox::Grant;
use copal_sandbox::types::{Finding, Severity};

use super::select;
use crate::args::{FilterArgs, JobArgs};
use crate::config::{Hooks, Job};
use crate::failure::{FAILED, Failure, INCOMPLETE};
use crate::session::Session;
use crate::{Outcome, output, plugins};

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
        let how = match job.kind.as_str() {
            "drill" => "was cut off or kept",
            _ => "was cut off",
        };
        tracing::warn!(
            "a {} of {} begun {begun} {how}: `copal resume` takes back what it left",
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
    missing: impl Fn(&P) -> Vec<Needed>,
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
        let mut new = missing.iter().map(|needed| &needed.grant);
        let asked = ask && !missing.is_empty() && new.all(|grant| !grants.contains(grant));
        if !asked || !allow(&missing)? {
            return Ok(planned?);
        }
        grants.extend(missing.into_iter().map(|needed| needed.grant));
    }
}

/// The grants that are missing from a plan which nothing else forbids.
pub(super) fn missing(findings: &[Finding], needed: &[Needed]) -> Vec<Needed> {
    if findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        return Vec::new();
    }
    let missing = needed.iter().filter(|need| !need.given);
    missing.cloned().collect()
}

/// Asks for each of them, with all that there is to know of it.
fn allow(missing: &[Needed]) -> Result<bool, Failure> {
    for needed in missing {
        let asked = format!("The plugin asks for:\n{}Allow it?", output::needed(needed));
        if !ask(&asked)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Asks whether to go on with `what`, which alters what is there already. Where there is nobody to ask, only `--yes` will do.
pub(super) fn agree(
    args: &JobArgs,
    what: &str,
    look: &str,
    session: &Session,
) -> Result<(), Failure> {
    if can_ask(args, session) {
        return confirm();
    }
    if args.yes {
        return Ok(());
    }
    let message =
        format!("{what} would alter what is there already, and there is no terminal to ask on");
    let advice = format!("Look at it with {look}, then add --yes.");
    Err(Failure::usage("declined", message).advise(advice))
}

/// Asks whether to go on.
pub(super) fn confirm() -> Result<(), Failure> {
    match ask("Go on?")? {
        true => Ok(()),
        false => Err(declined("nothing was changed")),
    }
}

/// That somebody said no, and what that means.
pub(super) fn declined(means: &str) -> Failure {
    Failure::usage("declined", format!("declined; {means}"))
}

pub(super) fn ask(question: &str) -> Result<bool, Failure> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Does the work, which locks the repository like this, between a job's hooks. Besides what the work gives, it gives what failed after it; where the
/// work itself fails, that is only logged.
pub(super) fn between_hooks<T>(
    hooks: &Hooks,
    job: &Job,
    (operation, mode): (&str, LockMode),
    session: &Session,
    work: impl FnOnce() -> Result<T, Failure>,
    ended: impl FnOnce(&T) -> Ended,
) -> Result<(T, Option<Failure>), Failure> {
    let hooks = copal_job::Hooks::from(hooks.clone());
    if hooks.is_empty() {
        return Ok((work()?, None));
    }
    // An interrupt must not keep the last of them from running.
    session.interrupts_end_work();
    let say = |hook: &str| {
        if !session.global.quiet && !session.global.json {
            output::complain(&format!("Running the hook {hook}\n"));
        }
    };
    // The hooks after the work may do what must be alone, whether or not it was begun.
    let leaving = session.leaving();
    let work = move || {
        let _leaving = leaving;
        work()
    };
    let around = session.hurrying(job, mode, || {
        Ok(hooks.around(&job.name, operation, &session.context, &say, work, ended))
    })?;
    let mut failed = around.hooks.into_iter();
    let first = match &around.work {
        Ok(_) => failed.next(),
        Err(_) => None,
    };
    for failure in failed {
        tracing::error!("{failure}");
    }
    Ok((around.work?, first.map(Failure::from)))
}

/// The snapshots of a job, oldest first, without those that were taken before a restore.
pub(super) fn snapshots(
    repository: &Repository,
    job: &Job,
) -> Result<Vec<(SnapshotId, Snapshot)>, Failure> {
    let mut snapshots = select::all(repository)?;
    snapshots.retain(|(_, snapshot)| {
        snapshot.tags.contains(&job.tag()) && !copal_job::is_safety(snapshot)
    });
    Ok(snapshots)
}

/// The snapshot that is named; of a job, `latest` is the job's latest, and meant where none is named.
pub(super) fn snapshot(
    repository: &Repository,
    job: Option<&Job>,
    named: Option<&str>,
    filter: &FilterArgs,
) -> Result<(SnapshotId, Snapshot), Failure> {
    match (job, named) {
        (Some(job), None | Some("latest")) => {
            let mut snapshots = snapshots(repository, job)?;
            let filter = filter.filter();
            snapshots.retain(|(_, snapshot)| filter.matches(snapshot));
            snapshots.pop().map(select::latest).ok_or_else(|| {
                let such = if filter.is_empty() { "" } else { "such " };
                let message = format!(
                    "the job `{}` has no {such}snapshot in this repository",
                    job.name
                );
                let advice = "`copal snapshots` lists what there is; name one of them.";
                Failure::usage("not-found", message).advise(advice)
            })
        }
        (_, Some(named)) => select::one(repository, named, filter),
        (None, None) => Err(no_snapshot()),
    }
}

/// Refuses a snapshot whose plugin is not the job's: whoever may write to the repository could have put it there, and it would work under the job's
/// grants. A snapshot without a plugin holds plain files.
pub(super) fn require_own_plugin(
    repository: &Repository,
    (id, snapshot): &(SnapshotId, Snapshot),
    job: Option<&Job>,
) -> Result<(), Failure> {
    let (Some(job), Some(manifest)) = (job, Manifest::read(repository, &snapshot.tree)?) else {
        return Ok(());
    };
    let found = &manifest.plugin;
    let advice = "If you know how that came about, restore without the job, or name the plugin to use by --plugin.";
    let name = plugins::full_name(&job.plugin);
    if let Some(name) = name.filter(|name| *name != found.name) {
        let message = format!(
            "snapshot {} was made by the plugin {}, and the job `{}` is for {name}",
            id.short(),
            output::printable(&found.name),
            job.name
        );
        return Err(Failure::usage("plugin-other", message).advise(advice));
    }
    match &job.digest {
        Some(pinned) if *pinned != found.digest => {
            let message = format!(
                "snapshot {} was made by another plugin than the job `{}` was written for: its SHA-256 is {}, and the job's `digest` is {pinned}",
                id.short(),
                job.name,
                output::printable(&found.digest)
            );
            Err(Failure::usage("plugin-swapped", message).advise(advice))
        }
        None if plugins::is_path(&job.plugin) => Err(plugins::unpinned(&job.name, &job.plugin)
            .advise(
                "Put the `digest` of the component that may have the job's grants into the job.",
            )),
        _ => Ok(()),
    }
}

/// Neither a snapshot nor a job is named.
pub(super) fn no_snapshot() -> Failure {
    let advice = "Give its id or `latest`, or --job NAME.";
    Failure::arguments("no snapshot is named", advice)
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
    match printed {
        Err(failure) if !failure.is_broken_pipe() => Err(failure),
        _ => Ok(ExitCode::from(code(not_undone, missing))),
    }
}

/// The exit code that tells how a job ended.
pub(super) fn code(not_undone: &[UndoFailure], missing: &[Missing]) -> u8 {
    match (not_undone, missing) {
        ([], []) => 0,
        ([], _) => INCOMPLETE,
        _ => FAILED,
    }
}
