//! The arguments of the commands that look into one snapshot, or two.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::FilterArgs;

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// The snapshot: its id or the beginning of it, or `latest`
    pub(crate) snapshot: String,
    /// Only what lies directly in these directories
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    /// All that lies beneath them, too; without a path it is all in any case
    #[arg(long)]
    pub(crate) recursive: bool,
    /// With mode, owner, size and time
    #[arg(short, long)]
    pub(crate) long: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// The snapshot: its id or the beginning of it, or `latest`
    pub(crate) snapshot: String,
    /// The file or folder, such as home/conf/application.yml or home; / for all of it
    #[arg(value_name = "PATH")]
    pub(crate) entry: String,
    /// How a folder is written
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "tar")]
    pub(crate) archive: ArchiveArg,
    /// Where to; - is the standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) target: PathBuf,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// How a folder is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ArchiveArg {
    /// A tar archive of POSIX.1-2001
    Tar,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The snapshot before: its id or the beginning of it, or `latest`
    pub(crate) first: String,
    /// The snapshot after
    pub(crate) second: String,
    /// Also show what differs in owner, mode, times and the like alone
    #[arg(long)]
    pub(crate) metadata: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}
