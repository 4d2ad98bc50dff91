//! Arguments that say which snapshots are meant.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use copal_repository::select::{GroupBy, SnapshotFilter};

/// Which snapshots are meant; where one is named `latest`, of which it is the latest.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which snapshots")]
pub(crate) struct FilterArgs {
    /// Only those of this machine. Given more than once, of any of them
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Vec<String>,
    /// Only those with this tag, or with all of these; '' for those without any. Given more than once, with any of them
    #[arg(long, value_name = "TAG[,TAG…]")]
    pub(crate) tag: Vec<String>,
    /// Only those of which this path was backed up. Given more than once, all of them
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Vec<String>,
}

impl FilterArgs {
    /// What the repository is asked for.
    pub(crate) fn filter(&self) -> SnapshotFilter {
        let list = |tags: &String| {
            let tags = tags.split(',').map(str::trim);
            let tags = tags.filter(|tag| !tag.is_empty());
            tags.map(str::to_owned).collect()
        };
        SnapshotFilter {
            hosts: self.host.clone(),
            tags: self.tag.iter().map(list).collect(),
            paths: self.path.iter().map(|path| as_it_is_kept(path)).collect(),
        }
    }
}

/// A path as snapshots name it: absolute, and without a slash at its end. One of Windows, as restic keeps it, stays.
fn as_it_is_kept(path: &str) -> String {
    if path.contains(['\\', ':']) {
        return path.to_owned();
    }
    let absolute = std::path::absolute(path).map(|path| path.components().collect::<PathBuf>());
    let text = absolute
        .ok()
        .and_then(|path| path.into_os_string().into_string().ok());
    text.unwrap_or_else(|| path.to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct SnapshotsArgs {
    /// Only these: their ids, the beginnings of them, or `latest`
    #[arg(value_name = "SNAPSHOT")]
    pub(crate) snapshots: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Only that many of the newest for each machine and its paths
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) latest: Option<u32>,
    /// Leave the paths out
    #[arg(short, long)]
    pub(crate) compact: bool,
    /// List those together that share these
    #[arg(short, long, value_name = "WHAT", value_enum, value_delimiter = ',')]
    pub(crate) group_by: Vec<GroupByArg>,
}

/// What snapshots of one group share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupByArg {
    /// The machine
    Host,
    /// The paths
    Paths,
    /// The tags
    Tags,
    /// The plugin
    Plugin,
}

impl From<GroupByArg> for GroupBy {
    fn from(said: GroupByArg) -> Self {
        match said {
            GroupByArg::Host => Self::Host,
            GroupByArg::Paths => Self::Paths,
            GroupByArg::Tags => Self::Tags,
            GroupByArg::Plugin => Self::TagsWith("plugin:"),
        }
    }
}
