//! What can go wrong with a job, in words for people.

use std::path::{Path, PathBuf};

use copal_repository::SnapshotId;
use copal_sandbox::types::{Finding, Step};

use crate::action::ActionError;
use crate::authority::Refusal;
use crate::manifest::Missing;
use crate::plan::Needed;
use crate::process::ProcessError;
use crate::settings::SettingsError;

/// Why a job was refused or did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repository(#[from] copal_repository::Error),
    /// The plugin.
    #[error(transparent)]
    Plugin(#[from] copal_sandbox::Error),
    /// The plugin must not be used.
    #[error(transparent)]
    Unadmitted(Refusal),
    /// The plugin's configuration.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The roots or targets given do not fit.
    #[error("{0}")]
    Roots(String),
    /// What counts for lost is there.
    #[error(
        "what the snapshots lack lies in packs that no index file names; no snapshot was changed"
    )]
    Unindexed,
    /// The operator's own streams do not fit the plan.
    #[error("{0}")]
    Streams(String),
    /// What a drill asks for can't be had.
    #[error("{0}")]
    Drill(String),
    /// A command that the operator has run around the work failed.
    #[error("the hook `{hook}` failed: {source}")]
    Hook {
        /// `before`, `after`, `failed` or `finally`.
        hook: &'static str,
        /// Why it failed.
        source: ProcessError,
    },
    /// The plan has findings that forbid it.
    #[error("the plan is refused: {}", codes(.0))]
    Refused(Vec<Finding>),
    /// The plan needs grants that were not given.
    #[error("the plan needs {} that {} not given: {}", plural(.0.len(), "a grant", "grants"), plural(.0.len(), "was", "were"), list(.0))]
    Grants(Vec<Needed>),
    /// A step failed; what came before it was taken back.
    #[error("the step `{title}` failed: {source}")]
    Step {
        /// What the step does.
        title: String,
        /// Why it failed.
        source: ActionError,
    },
    /// A command that a stream is read from or fed to failed.
    #[error("the stream `{name}` failed: {source}")]
    Stream {
        /// The stream's name.
        name: String,
        /// Why it failed.
        source: ProcessError,
    },
    /// The work failed and, on top of it, steps could not be taken back.
    #[error("{work}; besides, {}; run `copal resume` to try again", undo_failures(.not_undone))]
    NotUndone {
        /// What failed first.
        work: Box<Error>,
        /// What could not be taken back.
        not_undone: Vec<UndoFailure>,
    },
    /// Another job works on the same directory.
    #[error("another job works on {} now: wait for it to end", .0.display())]
    Busy(PathBuf),
    /// Journals of jobs that were cut off can't be read.
    #[error("{}; what their jobs stopped may still be stopped: look at them, then remove them", .0.join("; "))]
    Journals(Vec<String>),
    /// What was restored is not whole.
    #[error("the restore does not verify: {}", codes(.0))]
    Verify(Vec<Finding>),
    /// An earlier migration of that name has not reached its end.
    #[error("an earlier migration `{name}` ended in the stage {stage}, before it was done")]
    Unfinished {
        /// The migration's name.
        name: String,
        /// The stage's word.
        stage: &'static str,
    },
    /// The work failed after what was there had been saved.
    #[error("{work}; `copal rollback {}` puts back what was there", .safety.short())]
    Replaced {
        /// What failed.
        work: Box<Error>,
        /// The safety snapshot.
        safety: SnapshotId,
    },
    /// An earlier job on the same directory was cut off and not taken back.
    #[error(
        "an earlier {kind} of {plugin} was cut off, and what it stopped on these directories is still to be taken back"
    )]
    Pending {
        /// What it was: a backup, a restore, …
        kind: String,
        /// Its plugin.
        plugin: String,
    },
    /// The target could not be made what it was, so the work did not go on.
    #[error(
        "the target is what it was, but not all that was stopped for it runs again, so nothing more was done"
    )]
    NotPutBack,
    /// The operator did not agree to a plan that changed.
    #[error(
        "the restore turned out other than it was shown, and was declined; nothing was restored"
    )]
    Declined,
    /// Something is missing, so the work did not go on.
    #[error("not all could be carried over, so nothing more was done: {}", lost(.0))]
    Incomplete(Vec<Missing>),
    /// What a restore would replace could not all be saved first.
    #[error("nothing was replaced, because not all of what is there could be saved first: {}", lost(.0))]
    Unsafe(Vec<Missing>),
    /// The snapshot's manifest or plugin can't be used.
    #[error("the snapshot's {what} can't be used: {problem}")]
    Snapshot {
        /// `manifest`, `plugin` or `release`.
        what: &'static str,
        /// Why.
        problem: String,
    },
    /// Copal's own files on this machine.
    #[error("can't {what} {}: {source}", path.display())]
    State {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// A step that could not be taken back.
#[derive(Clone, Debug, serde::Serialize)]
pub struct UndoFailure {
    /// What the step did.
    pub title: String,
    /// Why it could not be taken back.
    pub problem: String,
}

impl Error {
    pub(crate) fn state(
        what: &'static str,
        path: impl AsRef<Path>,
        source: std::io::Error,
    ) -> Self {
        Self::State {
            what,
            path: path.as_ref().to_owned(),
            source,
        }
    }

    pub(crate) fn step(step: &Step, source: ActionError) -> Self {
        match source {
            ActionError::Interrupted | ActionError::Process(ProcessError::Interrupted(_)) => {
                Self::interrupted()
            }
            source => Self::Step {
                title: step.title.clone(),
                source,
            },
        }
    }

    pub(crate) fn interrupted() -> Self {
        Self::Repository(copal_repository::Error::Interrupted)
    }

    /// Adds to a failure what could not be taken back after it.
    pub(crate) fn and_not_undone(self, not_undone: Vec<UndoFailure>) -> Self {
        if not_undone.is_empty() {
            self
        } else {
            Self::NotUndone {
                work: self.into(),
                not_undone,
            }
        }
    }

    /// A stable word for scripts.
    pub fn kind(&self) -> &'static str {
        use copal_repository::ErrorKind;
        match self {
            Self::Repository(error) => match error.kind() {
                ErrorKind::NoRepository => "no-repository",
                ErrorKind::AlreadyInitialized => "already-initialized",
                ErrorKind::WrongPassword => "wrong-password",
                ErrorKind::Locked => "locked",
                ErrorKind::KeyInUse => "key-in-use",
                ErrorKind::Corrupt => "corrupt",
                ErrorKind::Unsupported => "unsupported",
                ErrorKind::NotFound => "not-found",
                ErrorKind::Interrupted => "interrupted",
                _ => "storage",
            },
            Self::Plugin(error) => error.kind(),
            Self::Unadmitted(refusal) => refusal.kind,
            Self::Settings(_) => "config",
            Self::Roots(_) => "roots",
            Self::Unindexed => "unindexed",
            Self::Streams(_) => "streams",
            Self::Drill(_) => "drill",
            Self::Hook { .. } => "hook",
            Self::Refused(_) => "refused",
            Self::Grants(_) => "grants",
            Self::Step { .. } => "step",
            Self::Stream { .. } => "stream",
            Self::NotUndone { work, .. } | Self::Replaced { work, .. } => work.kind(),
            Self::Pending { .. } => "pending",
            Self::NotPutBack => "step",
            Self::Busy(_) => "busy",
            Self::Journals(_) => "journal",
            Self::Verify(_) => "verify",
            Self::Unfinished { .. } => "unfinished",
            Self::Declined => "declined",
            Self::Incomplete(_) => "incomplete",
            Self::Unsafe(_) => "unsafe",
            Self::Snapshot { .. } => "snapshot",
            Self::State { .. } => "state",
        }
    }

    /// What the operator can do about it; none where the message says it all.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Plugin(error) => error.advice().map(str::to_owned),
            Self::Unadmitted(refusal) => refusal.advice.clone(),
            Self::Refused(findings) | Self::Verify(findings) => {
                let remedies: Vec<_> = findings
                    .iter()
                    .filter_map(|finding| finding.remedy.as_deref())
                    .collect();
                (!remedies.is_empty()).then(|| remedies.join(" "))
            }
            Self::Grants(needed) => {
                let flags: Vec<_> = needed
                    .iter()
                    .map(|needed| format!("--grant {}", shell_quote(&needed.grant.to_string())))
                    .collect();
                Some(format!(
                    "If the plugin may do this, add {}.",
                    flags.join(" ")
                ))
            }
            Self::NotUndone { work, .. } | Self::Replaced { work, .. } => work.advice(),
            Self::Repository(error) if error.is_loss() => of_loss(error).map(str::to_owned),
            Self::Pending { .. } => Some("Run `copal resume` first.".to_owned()),
            Self::Unindexed => Some("Run `copal repair index` first.".to_owned()),
            Self::Unfinished { .. } => {
                Some("Add --resume to go on from there, or --restart to begin again.".to_owned())
            }
            Self::Snapshot { what: "plugin", .. } => Some(
                "--plugin takes the plugin from elsewhere: one of `copal plugin list`, or a file."
                    .to_owned(),
            ),
            Self::Settings(_) => {
                Some("`copal plugin info PLUGIN` describes the settings.".to_owned())
            }
            _ => None,
        }
    }
}

/// Quotes a word so that a POSIX shell reads it as it is.
pub fn shell_quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn codes(findings: &[Finding]) -> String {
    let lines: Vec<_> = findings
        .iter()
        .map(|finding| format!("{} ({})", finding.message, finding.code))
        .collect();
    lines.join("; ")
}

/// What to do where something of the repository is damaged or missing, if the error does not say it.
fn of_loss(error: &copal_repository::Error) -> Option<&'static str> {
    let what = match error {
        copal_repository::Error::Corrupt { what, .. } => what.as_str(),
        _ => "",
    };
    if what.starts_with("the repository at ") {
        return None;
    }
    Some(match what.split(' ').next() {
        _ if what.starts_with("the file `config` ") => {
            "Without it nothing of the repository can be read: put back the file as it was, from another copy of the repository."
        }
        Some("key") => {
            "Another key opens the repository with its own password; else only another copy of the file brings it back."
        }
        Some("lock") => {
            "If nobody works on the repository, `copal unlock --remove-all` removes it."
        }
        Some("snapshot") => "`copal forget` with its whole id gives it up.",
        _ => {
            "Something of the repository is damaged or missing: `copal check --read-data` says what that is, and what to do."
        }
    })
}

fn lost(missing: &[Missing]) -> String {
    let shown = missing.iter().take(10);
    let shown: Vec<_> = shown
        .map(|lost| format!("{}: {}", lost.path, lost.error))
        .collect();
    match missing.len().saturating_sub(shown.len()) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

fn list(needed: &[Needed]) -> String {
    needed
        .iter()
        .map(|needed| format!("`{}`", needed.grant))
        .collect::<Vec<_>>()
        .join(", ")
}

fn plural(count: usize, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

fn undo_failures(failures: &[UndoFailure]) -> String {
    let one = |failure: &UndoFailure| {
        format!(
            "`{}` could not be undone: {}",
            failure.title, failure.problem
        )
    };
    failures.iter().map(one).collect::<Vec<_>>().join("; ")
}
