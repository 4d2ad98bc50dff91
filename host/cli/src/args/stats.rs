//! The arguments of `copal stats`.

use clap::{Args, ValueEnum};
use copal_repository::statistics::CountMode;

use super::{FilterArgs, GroupByArg};

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Only these snapshots: their ids, the beginnings of them, or `latest`; without any, all
    #[arg(value_name = "SNAPSHOT")]
    pub(crate) snapshots: Vec<String>,
    /// What to count
    #[arg(long, value_enum, value_name = "MODE", default_value = "restore-size")]
    pub(crate) mode: ModeArg,
    /// Count those apart that do not share these
    #[arg(short, long, value_name = "WHAT", value_enum, value_delimiter = ',')]
    pub(crate) group_by: Vec<GroupByArg>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// Entries, and the bytes that all files take once they are restored
    RestoreSize,
    /// Different contents, and their bytes
    FilesByContents,
    /// Blobs for each file of its own content, and their bytes
    BlobsPerFile,
    /// Blobs, and the bytes that they take in the repository
    RawData,
}

impl From<ModeArg> for CountMode {
    fn from(said: ModeArg) -> Self {
        match said {
            ModeArg::RestoreSize => Self::RestoreSize,
            ModeArg::FilesByContents => Self::FilesByContents,
            ModeArg::BlobsPerFile => Self::BlobsPerFile,
            ModeArg::RawData => Self::RawData,
        }
    }
}
