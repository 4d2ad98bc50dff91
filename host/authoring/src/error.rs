//! Why a plugin could not be started or built.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::{Language, Target};

/// Why a plugin could not be started or built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text that no plugin can be called.
    #[error("`{given}` can't be a plugin's name: {rule}")]
    Name {
        /// What was given.
        given: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A language that there is no template for.
    #[error("there is no language `{0}`: {known} are known", known = Language::known())]
    Language(String),
    /// A target that plugins are not compiled for.
    #[error("there is no target `{0}`: {known} are known", known = Target::known())]
    Target(String),
    /// An option that another language has.
    #[error("`{option}` is for plugins in {has}, and this one is written in {is}")]
    NotForLanguage {
        /// The option.
        option: &'static str,
        /// The language that has it.
        has: Language,
        /// The project's language.
        is: Language,
    },
    /// A place for a new project that holds something.
    #[error("{} is there already and is not an empty folder", .0.display())]
    Exists(PathBuf),
    /// A folder without a plugin's project.
    #[error("{} is no plugin's project: there is no {files} in it", .0.display(), files = Language::manifests())]
    NotAProject(PathBuf),
    /// A project that does not bring its own copy of the SDK.
    #[error("{} has no folder `copal` with the contract and the SDK in it", .0.display())]
    NoCopy(PathBuf),
    /// A file or folder that could not be read or written.
    #[error("can't {action} {}: {source}", path.display())]
    File {
        /// What was tried: `read`, `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A program that can't be started or waited for.
    #[error("can't run `{command}`: {source}")]
    Run {
        /// The command line.
        command: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A program that failed.
    #[error("`{command}` failed with {status}{}", said(.stderr))]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to its standard error, where that was not passed on.
        stderr: String,
    },
    /// A program that ran out of time.
    #[error("`{command}` was ended: not done after {} s", limit.as_secs())]
    Ended {
        /// The command line.
        command: String,
        /// How long it was given.
        limit: Duration,
    },
    /// Something that has to be installed first.
    #[error("there is no {what}")]
    Missing {
        /// What is not there.
        what: String,
        /// How to get it.
        advice: String,
    },
    /// A project that does not compile.
    #[error("{} does not compile: `{command}` failed with {status} and says why above", project.display())]
    Compile {
        /// The project's folder.
        project: PathBuf,
        /// The command line.
        command: String,
        /// How the compiler ended.
        status: ExitStatus,
    },
    /// Something that was built and is no plugin.
    #[error("what {} builds is no plugin: {reason}", project.display())]
    NotAPlugin {
        /// The project's folder, or the file.
        project: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What its author can do about it.
        advice: &'static str,
    },
}

fn said(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        said => format!(": {said}"),
    }
}

impl Error {
    /// The error of a file or folder.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    /// A stable word for scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Name { .. } => "plugin-name",
            Self::Language(_) | Self::Target(_) | Self::NotForLanguage { .. } => "arguments",
            Self::Exists(_) => "project-exists",
            Self::NotAProject(_) | Self::NoCopy(_) => "no-project",
            Self::File { .. } => "file",
            Self::Run { .. } | Self::Failed { .. } | Self::Ended { .. } => "program",
            Self::Missing { .. } => "toolchain",
            Self::Compile { .. } => "compile",
            Self::NotAPlugin { .. } => "plugin-invalid",
        }
    }

    /// What the reader can do about it.
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Name { .. } => "Write PUBLISHER/NAME, such as acme/notebook.".to_owned(),
            Self::NotForLanguage { option, .. } => format!("Leave `{option}` out."),
            Self::Exists(_) => {
                "Name another folder after the plugin's name, or move this one away.".to_owned()
            }
            Self::NotAProject(_) => {
                "Name the project's folder, or begin one with `copal plugin new PUBLISHER/NAME`."
                    .to_owned()
            }
            Self::NoCopy(_) => {
                "Only a project that `copal plugin new` began has one; elsewhere the manifest says which SDK is used."
                    .to_owned()
            }
            Self::Missing { advice, .. } => advice.clone(),
            Self::NotAPlugin { advice, .. } => (*advice).to_owned(),
            Self::Language(_)
            | Self::Target(_)
            | Self::File { .. }
            | Self::Run { .. }
            | Self::Failed { .. }
            | Self::Ended { .. }
            | Self::Compile { .. } => return None,
        })
    }
}
