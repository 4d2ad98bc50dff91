//! Why a command failed, with the exit code that scripts know from restic.

use std::io;

use copal_job::{ActionError, Error as JobError};
use copal_repository::{Error as RepositoryError, ErrorKind};

/// Exit code: the work failed or was refused.
pub(crate) const FAILED: u8 = 1;
/// Exit code: something was not saved or not restored; the output names it.
pub(crate) const INCOMPLETE: u8 = 3;
const WRONG_USAGE: u8 = 2;
const NO_REPOSITORY: u8 = 10;
const LOCKED: u8 = 11;
const WRONG_PASSWORD: u8 = 12;
/// Exit code: the operator ended it.
pub(crate) const INTERRUPTED: u8 = 130;

/// The kind of a failure that the command line is to blame for.
const ARGUMENTS: &str = "arguments";

/// A failure of a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A job.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The arguments or the surroundings, with what to do about it.
    #[error("{message}")]
    Usage {
        kind: &'static str,
        message: String,
        advice: Option<String>,
    },
    /// The output can't be written.
    #[error("can't write the output: {0}")]
    Output(#[from] io::Error),
}

impl From<RepositoryError> for Failure {
    fn from(error: RepositoryError) -> Self {
        Self::Job(error.into())
    }
}

impl From<copal_mount::Error> for Failure {
    fn from(error: copal_mount::Error) -> Self {
        match error {
            copal_mount::Error::Repository(error) => error.into(),
            error => Self::Usage {
                kind: error.kind(),
                message: error.to_string(),
                advice: error.advice(),
            },
        }
    }
}

impl From<copal_sandbox::Error> for Failure {
    fn from(error: copal_sandbox::Error) -> Self {
        Self::Job(error.into())
    }
}

/// Errors that know their kind and their advice.
macro_rules! advised {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Usage {
                    kind: error.kind(),
                    message: error.to_string(),
                    advice: error.advice(),
                }
            }
        }
    )*};
}

advised!(
    copal_authoring::Error,
    copal_registry::Error,
    copal_trust::Refusal
);

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}

impl Failure {
    /// Arguments that do not belong together.
    pub(crate) fn arguments(message: impl Into<String>, advice: &str) -> Self {
        Self::Usage {
            kind: ARGUMENTS,
            message: message.into(),
            advice: (!advice.is_empty()).then(|| advice.to_owned()),
        }
    }

    pub(crate) fn usage(kind: &'static str, message: impl Into<String>) -> Self {
        Self::Usage {
            kind,
            message: message.into(),
            advice: None,
        }
    }

    pub(crate) fn advise(self, advice: impl Into<String>) -> Self {
        match self {
            Self::Usage { kind, message, .. } => Self::Usage {
                kind,
                message,
                advice: Some(advice.into()),
            },
            other => other,
        }
    }

    /// Whether nobody reads the output any more.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The failure of a command that wrote data of the repository to the standard output.
    pub(crate) fn of_output(error: RepositoryError) -> Self {
        match error {
            RepositoryError::Io { source, .. } => Self::Output(source),
            error => error.into(),
        }
    }

    /// A stable word for scripts.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Job(error) => error.kind(),
            Self::Usage { kind, .. } => kind,
            Self::Output(_) => "output",
        }
    }

    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Self::Job(error) => error.advice(),
            Self::Usage { advice, .. } => advice.clone(),
            Self::Output(_) => None,
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Job(error) => job_code(error),
            Self::Usage {
                kind: ARGUMENTS, ..
            } => WRONG_USAGE,
            Self::Usage { .. } | Self::Output(_) => FAILED,
        }
    }
}

fn job_code(error: &JobError) -> u8 {
    match error {
        JobError::Repository(error) => match error.kind() {
            ErrorKind::NoRepository => NO_REPOSITORY,
            ErrorKind::Locked => LOCKED,
            ErrorKind::WrongPassword => WRONG_PASSWORD,
            ErrorKind::Interrupted => INTERRUPTED,
            _ => FAILED,
        },
        JobError::Step {
            source: ActionError::Interrupted,
            ..
        } => INTERRUPTED,
        JobError::NotUndone { work, .. } | JobError::Replaced { work, .. } => job_code(work),
        _ => FAILED,
    }
}
