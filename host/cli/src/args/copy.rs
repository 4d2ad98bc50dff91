//! `copal init` and `copal copy`: what is said of another repository.

use std::path::PathBuf;

use clap::Args;

use super::FilterArgs;

/// The repository that something is taken from.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// The repository to take from, spelled as --repo
    #[arg(
        long,
        env = SourceArgs::VARIABLE,
        value_name = "URL",
        hide_env_values = true
    )]
    pub(crate) from_repo: Option<String>,
    /// The same as the repository of a job of copal.toml, with its password and its credentials
    #[arg(long, value_name = "JOB", conflicts_with = "from_repo")]
    pub(crate) from_job: Option<String>,
    /// Read that repository's password from the first line of this file
    #[arg(long, env = "COPAL_FROM_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) from_password_file: Option<PathBuf>,
    /// Read that repository's password from the output of this command, which is run without a shell
    #[arg(long, env = "COPAL_FROM_PASSWORD_COMMAND", value_name = "COMMAND")]
    pub(crate) from_password_command: Option<String>,
}

impl SourceArgs {
    const VARIABLE: &str = "COPAL_FROM_REPOSITORY";

    /// Whether it was named for this command, rather than in the environment for whichever needs it.
    pub(crate) fn is_said(&self) -> bool {
        let said = self.from_repo.is_some() && self.from_repo != std::env::var(Self::VARIABLE).ok();
        said || self.from_job.is_some()
    }
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Cut files at the same places as the repository of --from-repo, so that what is copied from there shares its data with later backups
    #[arg(long)]
    pub(crate) copy_chunker_params: bool,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// The snapshots: their ids or the beginnings of them, or `latest`; without any, all that fit
    #[arg(value_name = "SNAPSHOT")]
    pub(crate) snapshots: Vec<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Find out what would be copied, and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}
