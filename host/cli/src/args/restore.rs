//! The arguments of `copal restore`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use copal_repository::restorer::Overwrite;

use super::{FilterArgs, IntentArg, JobArgs, root};

#[derive(Clone, Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The snapshot: its id or the beginning of it, or `latest`. With --job it may be left out: the job's latest
    pub(crate) snapshot: Option<String>,
    /// Where to; a directory without a name receives the snapshot's only root. It goes before the job's
    // `--target` is what restic calls it.
    #[arg(long, alias = "target", value_name = "[NAME=]DIR", value_parser = root)]
    pub(crate) to: Vec<(Option<String>, PathBuf)>,
    /// Why: for the same place, for a new place, or beside the old one. Without it the plugin's first
    #[arg(long, value_enum)]
    pub(crate) intent: Option<IntentArg>,
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Use this plugin instead of the one inside the snapshot
    #[arg(long, value_name = "PLUGIN")]
    pub(crate) plugin: Option<String>,
    /// Save what the targets hold first, so that `copal rollback` can put it back
    #[arg(long)]
    pub(crate) safety: bool,
    /// Restore even with a plugin that its publisher took back
    #[arg(long)]
    pub(crate) allow_revoked: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,
    /// Show the plan, with what it would write, replace and remove, and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

/// How much of a snapshot is restored, and what becomes of what is there.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "A part of the snapshot")]
pub(crate) struct ChoiceArgs {
    /// Restore only what this matches, such as /home/conf or '*.yml': paths are those of `copal ls`. May be given more than once
    #[arg(short, long, value_name = "PATTERN")]
    pub(crate) include: Vec<OsString>,
    /// The same, with capital and small letters being the same
    #[arg(long, value_name = "PATTERN")]
    pub(crate) iinclude: Vec<OsString>,
    /// Restore only what the patterns in this file match, one on each line
    #[arg(long, value_name = "FILE")]
    pub(crate) include_file: Vec<PathBuf>,
    /// Leave out what this matches. May be given more than once
    #[arg(short, long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<OsString>,
    /// The same, with capital and small letters being the same
    #[arg(long, value_name = "PATTERN")]
    pub(crate) iexclude: Vec<OsString>,
    /// Leave out what the patterns in this file match, one on each line
    #[arg(long, value_name = "FILE")]
    pub(crate) exclude_file: Vec<PathBuf>,
    /// Remove from the targets what the snapshot does not hold, as far as it is included and not excluded
    #[arg(long)]
    pub(crate) delete: bool,
    /// What becomes of files that are there already
    #[arg(long, value_enum, value_name = "WHEN", default_value = "always")]
    pub(crate) overwrite: OverwriteArg,
}

/// What becomes of files that are there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OverwriteArg {
    /// Read them, and write those that differ
    #[default]
    Always,
    /// The same, but believe that those of the same size and time of modification are the same
    IfChanged,
    /// Write those that the snapshot has newer
    IfNewer,
    /// Leave them as they are
    Never,
}

impl From<OverwriteArg> for Overwrite {
    fn from(said: OverwriteArg) -> Self {
        match said {
            OverwriteArg::Always => Self::Always,
            OverwriteArg::IfChanged => Self::IfChanged,
            OverwriteArg::IfNewer => Self::IfNewer,
            OverwriteArg::Never => Self::Never,
        }
    }
}
