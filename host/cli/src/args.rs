//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use copal_sandbox::Grant;
use copal_sandbox::types::Intent;
use schemars::JsonSchema;
use serde::Deserialize;

/// Backs up, restores and migrates applications through sandboxed plugins, into repositories that restic reads.
#[derive(Debug, Parser)]
#[command(name = "copal", version, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The repository: a path, or a URL with s3://, gs://, az://, http(s):// (WebDAV) or memory:
    #[arg(
        short,
        long,
        global = true,
        env = "COPAL_REPOSITORY",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(crate) repo: Option<String>,
    /// Read the repository's password from the first line of this file
    #[arg(long, global = true, env = "COPAL_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Read the repository's password from the output of this command, which is run without a shell
    #[arg(
        long,
        global = true,
        env = "COPAL_PASSWORD_COMMAND",
        value_name = "COMMAND"
    )]
    pub(crate) password_command: Option<String>,
    /// How long one call of a plugin may compute
    #[arg(
        long,
        global = true,
        env = "COPAL_PLUGIN_TIMEOUT",
        value_name = "SECONDS",
        default_value_t = 60
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) plugin_timeout: u64,
    /// Print one JSON document for machines
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print only what was asked for and what went wrong
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print what happens inside; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a repository
    Init,
    /// Back an application up
    Backup(BackupArgs),
    /// Restore or migrate an application, or clone it beside the old one
    Restore(RestoreArgs),
    /// Show what a backup or a restore would do, and change nothing
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Take back what an interrupted job left: start stopped applications again
    Resume,
    /// List the snapshots
    Snapshots,
    /// List the files of a snapshot
    Ls(LsArgs),
    /// Write one file of a snapshot to the standard output
    Dump(DumpArgs),
    /// Show what a snapshot says of itself
    Manifest(SnapshotArgs),
    /// Check that the repository is whole
    Check(CheckArgs),
    /// Find out which plugin fits a directory, and why
    Detect(DetectArgs),
    /// Look at plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Show what `copal backup` with the same arguments would do
    Backup(BackupArgs),
    /// Show what `copal restore` with the same arguments would do
    Restore(RestoreArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List the plugins that come with Copal
    List,
    /// Describe a plugin: its roots, settings and the grants that it may ask for
    Info(PluginInfoArgs),
}

/// What a plugin is told and allowed.
#[derive(Clone, Debug, Args)]
pub(crate) struct JobArgs {
    /// A setting of the plugin; `copal plugin info` lists them. Given more than once for a list
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// A setting whose value is the content of a file: for secrets
    #[arg(long, value_name = "KEY=FILE", value_parser = pair)]
    pub(crate) set_file: Vec<(String, String)>,
    /// Allow the plugin to have this done, such as 'run:docker stop jpom'
    #[arg(long, value_name = "GRANT")]
    pub(crate) grant: Vec<Grant>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct BackupArgs {
    /// The plugin: a name such as jpom or files, or the path of a component
    pub(crate) plugin: String,
    /// The directories of the application; one without a name is the plugin's first root
    #[arg(value_name = "[NAME=]PATH", required = true, value_parser = root)]
    pub(crate) roots: Vec<(Option<String>, PathBuf)>,
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Tags for the snapshot, separated by commas
    #[arg(long, value_name = "TAG", value_delimiter = ',', value_parser = tag)]
    pub(crate) tag: Vec<String>,
    /// Show the plan and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The snapshot: its id or the beginning of it, or `latest`
    pub(crate) snapshot: String,
    /// Where to; a directory without a name receives the snapshot's only root
    #[arg(long, value_name = "[NAME=]DIR", required = true, value_parser = root)]
    pub(crate) to: Vec<(Option<String>, PathBuf)>,
    /// Why: for the same place, for a new place, or beside the old one. Without it the plugin's first
    #[arg(long, value_enum)]
    pub(crate) intent: Option<IntentArg>,
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Use this plugin instead of the one inside the snapshot
    #[arg(long, value_name = "PLUGIN")]
    pub(crate) plugin: Option<String>,
    /// Show the plan and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    /// The snapshot: its id or the beginning of it, or `latest`
    pub(crate) snapshot: String,
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// The snapshot: its id or the beginning of it, or `latest`
    pub(crate) snapshot: String,
    /// Only what lies here
    pub(crate) path: Option<String>,
    /// With mode, owner, size and time
    #[arg(short, long)]
    pub(crate) long: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// The snapshot: its id or the beginning of it, or `latest`
    pub(crate) snapshot: String,
    /// The file, such as home/conf/application.yml
    pub(crate) path: String,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Read every byte of every pack as well
    #[arg(long)]
    pub(crate) read_data: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    /// The directory to look at
    pub(crate) path: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PluginInfoArgs {
    /// A name such as jpom, or the path of a component
    pub(crate) plugin: String,
}

/// Why a restore happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IntentArg {
    /// The same identity at the same place
    Recover,
    /// The same identity at a new place
    Migrate,
    /// A new identity beside the old one
    Clone,
}

impl From<IntentArg> for Intent {
    fn from(intent: IntentArg) -> Self {
        match intent {
            IntentArg::Recover => Self::Recover,
            IntentArg::Migrate => Self::Migrate,
            IntentArg::Clone => Self::Clone,
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

/// `NAME=PATH` where NAME could be a root's name, else a path.
fn root(text: &str) -> Result<(Option<String>, PathBuf), String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match text.split_once('=') {
        Some((name, path)) if name.chars().all(is_name) => match (name, path) {
            ("", _) | (_, "") => {
                Err("write NAME=PATH, or ./ before a path that has a `=`".to_owned())
            }
            (name, path) => Ok((Some(name.to_owned()), path.into())),
        },
        _ if text.is_empty() => Err("give a path".to_owned()),
        _ => Ok((None, text.into())),
    }
}

fn tag(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("a tag must not be empty".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_root_has_a_name_or_is_a_path() {
        assert_eq!(
            root("data=/srv/d").unwrap(),
            (Some("data".into()), "/srv/d".into())
        );
        assert_eq!(root("/srv/a=b").unwrap(), (None, "/srv/a=b".into()));
        assert_eq!(root("./a=b").unwrap(), (None, "./a=b".into()));
        assert!(root("").is_err() && root("=b").is_err() && root("a=").is_err());
    }

    #[test]
    fn a_setting_is_a_key_and_a_value_that_may_hold_anything() {
        assert_eq!(pair("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert_eq!(pair("a=").unwrap(), ("a".into(), String::new()));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
