//! `copal backup` and `copal plan backup`

use std::path::PathBuf;
use std::process::ExitCode;

use copal_job::{BackupJob, BackupOutcome, Ended, PlannedBackup};
use copal_repository::{LockMode, Repository, SnapshotId};
use copal_sandbox::Plugin;
use serde::Serialize;
use serde_json::{Value, json};

use super::{job, retention};
use crate::args::{self, BackupAll, BackupArgs};
use crate::config::Job;
use crate::failure::{FAILED, Failure, INTERRUPTED};
use crate::output::Console;
use crate::session::{Entered, Session};
use crate::{Outcome, output};

/// What a backup left.
#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    outcome: BackupOutcome,
    /// The job's snapshots that its retention let go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    forgotten: Vec<SnapshotId>,
    /// What failed when the snapshot was there already.
    #[serde(skip)]
    afterwards: Option<Failure>,
}

pub(crate) fn plan(backup: &BackupAll, session: &Session) -> Outcome {
    let args = &backup.args;
    if backup.all {
        return all(session, "plan", |job| {
            let planned = make(&request(args, Some(job), session)?, false, session)?;
            Ok(Turn {
                document: serde_json::to_value(&planned)?,
                failure: planned.approve().err().map(Failure::from),
                ..Turn::default()
            })
        });
    }
    let asked = request(args, session.job()?.as_ref(), session)?;
    let planned = make(&asked, false, session)?;
    if session.global.json {
        output::json(&planned)?;
    }
    planned.approve()?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn run(backup: &BackupAll, session: &Session) -> Outcome {
    let args = &backup.args;
    if args.dry_run {
        return plan(backup, session);
    }
    job::warn_of_interrupted(session)?;
    if backup.all {
        return all(session, "outcome", |job| {
            let done = perform(args, Some(job), session)?;
            let outcome = &done.outcome;
            Ok(Turn {
                document: serde_json::to_value(&done)?,
                text: text(&done),
                problems: output::problems(&outcome.missing, &outcome.not_undone),
                code: job::code(&outcome.not_undone, &outcome.missing),
                failure: done.afterwards,
            })
        });
    }
    let done = perform(args, session.job()?.as_ref(), session)?;
    let printed = match session.global.json {
        true => output::json(&done),
        false => output::print(&text(&done)),
    };
    let outcome = &done.outcome;
    let ended = job::end(&outcome.not_undone, &outcome.missing, printed, session);
    match done.afterwards {
        Some(failure) => Err(failure),
        None => ended,
    }
}

/// What came of one of all jobs.
#[derive(Default)]
struct Turn {
    document: Value,
    /// For people, as are the problems.
    text: String,
    problems: String,
    /// The exit code where there is no failure.
    code: u8,
    failure: Option<Failure>,
}

/// Takes every job in turn. One that fails does not keep the others from theirs; an interrupt does. `what` names the documents.
fn all(session: &Session, what: &str, turn: impl Fn(&Job) -> Result<Turn, Failure>) -> Outcome {
    if session.global.job.is_some() {
        return Err(Failure::arguments("give one of --job and --all", ""));
    }
    let config = session.config()?;
    let mut documents = Vec::new();
    let mut codes = Vec::new();
    for name in config.names()? {
        if !session.global.json && !session.global.quiet {
            output::print(&format!("\nJob {name}"))?;
        }
        let done = config.job(&name).and_then(|job| turn(&job));
        let done = done.unwrap_or_else(|failure| Turn {
            failure: Some(failure),
            ..Turn::default()
        });
        codes.push(match done.failure {
            Some(_) => FAILED,
            None => done.code,
        });
        if session.global.json {
            let error = done.failure.as_ref().map(output::failure_document);
            documents.push(json!({"job": name, what: done.document, "error": error}));
        } else {
            if !done.text.is_empty() {
                output::print(&done.text)?;
            }
            output::complain(&done.problems);
            if let Some(failure) = &done.failure {
                output::failure(failure, false);
            }
        }
        if session.interrupted() {
            codes = vec![INTERRUPTED];
            break;
        }
    }
    if session.global.json {
        output::json(&documents)?;
    }
    // 1 says more than 3: failed rather than incomplete.
    let code = match codes.contains(&FAILED) {
        true => FAILED,
        false => codes.into_iter().max().unwrap_or_default(),
    };
    Ok(ExitCode::from(code))
}

fn text(done: &Done) -> String {
    let forgotten = match done.forgotten.len() {
        0 => String::new(),
        count => format!("{count} snapshots forgotten\n"),
    };
    output::backup(&done.outcome) + &forgotten
}

/// Backs up between the job's hooks, then lets go what its retention does not keep.
fn perform(args: &BackupArgs, job: Option<&Job>, session: &Session) -> Result<Done, Failure> {
    let work = || -> Result<(BackupOutcome, Repository), Failure> {
        let asked = request(args, job, session)?;
        let Entered {
            repository,
            lock: _lock,
            ..
        } = session.enter(job, LockMode::Write)?;
        let ask = job::can_ask(&args.job, session);
        let planned = make(&asked, ask, session)?;
        let acts = !planned.plan.quiesce.is_empty();
        let approved = planned.approve()?;
        if acts && ask {
            job::confirm()?;
        }
        session.interrupts_end_work();
        let console = Console::new(session.global.quiet || session.global.json);
        let outcome = approved.run(&repository, &session.context, &console)?;
        drop(console);
        Ok((outcome, repository))
    };
    let ((outcome, repository), hooks) = match job {
        None => (work()?, None),
        Some(job) => {
            let ended = |(outcome, _): &(BackupOutcome, Repository)| Ended {
                complete: outcome.complete && outcome.not_undone.is_empty(),
                snapshot: Some(outcome.snapshot.to_string()),
            };
            let operation = ("backup", LockMode::Write);
            job::between_hooks(&job.hooks, job, operation, session, work, ended)?
        }
    };
    // It may have to wait, so it comes when nothing is stopped any more.
    let kept = match job {
        Some(job) if outcome.complete => retention::apply(job, &repository, session),
        _ => Ok(Vec::new()),
    };
    let (forgotten, failed) = match kept {
        Ok(forgotten) => (forgotten, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    Ok(Done {
        outcome,
        forgotten,
        afterwards: hooks.or(failed),
    })
}

fn make(asked: &BackupJob, ask: bool, session: &Session) -> Result<PlannedBackup, Failure> {
    job::plan(
        &asked.grants.iter().cloned().collect::<Vec<_>>(),
        ask,
        |grants| {
            let job = BackupJob {
                grants: grants.iter().cloned().collect(),
                ..asked.clone()
            };
            job.plan(&session.context)
        },
        |planned| job::missing(&planned.plan.findings, &planned.grants),
        |planned| output::plan(|| output::backup_plan(planned), session),
    )
}

/// What the arguments ask for, on top of what the job says.
pub(super) fn request(
    args: &BackupArgs,
    job: Option<&Job>,
    session: &Session,
) -> Result<BackupJob, Failure> {
    let engine = session.engine()?;
    let words = job::settings(&args.job)?;
    let given = &args.job.grant;
    let Some(job) = job else {
        let advice = "Give PLUGIN and a PATH, or --job NAME.";
        let plugin = args.first.as_deref();
        let plugin = plugin.ok_or_else(|| Failure::arguments("no plugin is named", advice))?;
        return Ok(BackupJob {
            plugin: session.plugin(&engine, plugin)?,
            roots: args.roots.clone(),
            settings: words.into(),
            streams: Vec::new(),
            grants: given.iter().cloned().collect(),
            tags: args.tag.clone(),
        });
    };
    let plugin = session.plugin_of(&engine, job)?;
    // The job names the plugin, so what stands in its place is a root.
    let first = args.first.as_deref().map(args::root).transpose();
    let first = first.map_err(|problem| Failure::arguments(problem, ""))?;
    let said = first
        .into_iter()
        .chain(args.roots.iter().cloned())
        .collect();
    let tags = std::iter::once(job.tag()).chain(job.tags.iter().chain(&args.tag).cloned());
    Ok(BackupJob {
        roots: roots(job, said, &plugin)?,
        settings: job.settings()?.and_words(words),
        streams: job.own_streams()?,
        grants: job.grants.iter().chain(given).cloned().collect(),
        tags: tags.collect(),
        plugin,
    })
}

/// The job's roots, with those of the command line in place of the ones that have the same name.
fn roots(
    job: &Job,
    said: Vec<(Option<String>, PathBuf)>,
    plugin: &Plugin,
) -> Result<Vec<(Option<String>, PathBuf)>, Failure> {
    let first = plugin
        .describe()?
        .roots
        .first()
        .map(|spec| spec.name.clone());
    let said: Vec<_> = said
        .into_iter()
        .map(|(name, path)| (name.or_else(|| first.clone()), path))
        .collect();
    let mut roots = job.sources();
    roots.retain(|(name, _)| said.iter().all(|(other, _)| name != other));
    roots.extend(said);
    Ok(roots)
}
