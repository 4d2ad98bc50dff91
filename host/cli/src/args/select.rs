//! Arguments that say which snapshots are meant.

use clap::Args;
use copal_repository::select::SnapshotFilter;

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
            let tags = tags.split(',').filter(|tag| !tag.is_empty());
            tags.map(str::to_owned).collect()
        };
        SnapshotFilter {
            hosts: self.host.clone(),
            tags: self.tag.iter().map(list).collect(),
            paths: self.path.clone(),
        }
    }
}
