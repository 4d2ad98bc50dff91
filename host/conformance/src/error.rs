//! What can go wrong while a plugin is tried out.

use std::io;
use std::path::PathBuf;

use copal_sandbox::types::Failure;

/// Why a plugin could not be tried out, or what it did wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plugin failed, trapped or broke the contract.
    #[error(transparent)]
    Plugin(#[from] copal_sandbox::Error),
    /// The plugin failed where it should not.
    #[error("`{call}` failed with `{}`: {}", failure.code, failure.message)]
    Failed {
        /// The function of the contract, or the pass of a backup or a restore.
        call: &'static str,
        /// What it answered.
        failure: Failure,
    },
    /// The plugin gave two entries of a directory the same name.
    #[error(
        "the plugin's `pass.classify` broke the contract: two entries are to be named `{path}`"
    )]
    Clash {
        /// The path that both would have.
        path: String,
    },
    /// A tree can't be looked through.
    #[error("can't look through the tree: {0}")]
    Tree(#[from] Failure),
    /// A file can't be read or written.
    #[error("can't {what} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file that the plugin was to be tried with does not serve for that.
    #[error("`{path}`: {problem}")]
    Unfit {
        /// The file, as ROOT/PATH.
        path: String,
        /// Why not.
        problem: String,
    },
    /// The folder of a case is not as it must be.
    #[error("the case {case}: {problem}")]
    Case {
        /// Its name.
        case: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A recording can't be used.
    #[error("the recording can't be used: {0}")]
    Recording(String),
    /// A replay was asked something that was not recorded.
    #[error("the recording holds no answer to {call}{}", at_limit(*.truncated))]
    NotRecorded {
        /// What was asked, in words.
        call: String,
        /// Whether the recording reached its limit.
        truncated: bool,
    },
}

fn at_limit(truncated: bool) -> &'static str {
    match truncated {
        true => ", which was cut at its limit of 64 MiB",
        false => "",
    }
}

impl Error {
    /// What became of a file that was to be read or written: a verb, and where it lies.
    pub fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }

    /// A stable word for scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Plugin(error) => error.kind(),
            Self::Failed { .. } => "plugin-failure",
            Self::Clash { .. } => "plugin-contract",
            Self::Tree(_) => "tree",
            Self::File { .. } => "file",
            Self::Unfit { .. } => "unfit",
            Self::Case { .. } => "case",
            Self::Recording(_) => "recording",
            Self::NotRecorded { .. } => "not-recorded",
        }
    }

    /// What the plugin's author can do about it; none where the message says it all.
    pub fn author_advice(&self) -> Option<String> {
        match self {
            Self::Plugin(copal_sandbox::Error::Guest(failure))
            | Self::Failed { failure, .. }
            | Self::Tree(failure) => failure.remedy.clone(),
            Self::Plugin(error) => error.author_advice().map(str::to_owned),
            Self::NotRecorded { .. } => Some(
                "The plugin, its settings or the command differ from those of the recording. Replay it as it was recorded, or record again."
                    .to_owned(),
            ),
            Self::Recording(_)
            | Self::File { .. }
            | Self::Unfit { .. }
            | Self::Case { .. }
            | Self::Clash { .. } => None,
        }
    }
}

/// What a plugin's error says in one line, for reports: with the function of the contract and, where the plugin itself failed, its code.
pub(crate) fn told(error: &Error) -> String {
    match error {
        Error::Plugin(copal_sandbox::Error::Guest(failure)) => {
            format!("it failed with `{}`: {}", failure.code, failure.message)
        }
        error => error.to_string(),
    }
}
