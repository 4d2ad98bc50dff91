//! The arguments of `copal mount`.

use std::path::PathBuf;

use clap::Args;

use super::FilterArgs;

#[derive(Debug, Args)]
pub(crate) struct MountArgs {
    /// An empty directory
    pub(crate) mountpoint: PathBuf,
    /// Let other users look too, each at what the permissions of the files allow; for all but root it must be allowed in /etc/fuse.conf
    #[arg(long)]
    pub(crate) allow_other: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}
