//! What can be said on the command line.

mod authoring;
mod cat;
mod conformance;
mod copy;
mod find;
mod key;
mod look;
mod mount;
mod plugin;
mod release;
mod restore;
mod select;
mod stats;
mod storage;
mod trust;
mod upkeep;

use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};
use copal_repository::checker::ReadData;
use copal_sandbox::Grant;
use copal_sandbox::types::Intent;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::authoring::{PluginBuildArgs, PluginNewArgs, PluginRenewArgs};
pub(crate) use self::cat::{CatCommand, IdArgs, MasterkeyArgs, TreeArgs};
pub(crate) use self::conformance::{
    BackupCall, DetectCall, DirectionArg, FilterCall, HostArgs, PassCall, PluginCall,
    PluginCheckArgs, PluginRunArgs, PluginTestArgs, RestoreCall,
};
pub(crate) use self::copy::{CopyArgs, InitArgs, SourceArgs};
pub(crate) use self::find::FindArgs;
pub(crate) use self::key::{KeyAddArgs, KeyCommand, KeyRemoveArgs};
pub(crate) use self::look::{ArchiveArg, DiffArgs, DumpArgs, LsArgs};
pub(crate) use self::mount::MountArgs;
pub(crate) use self::plugin::{PluginCommand, PluginInfoArgs};
pub(crate) use self::release::{
    ExportArgs, KeyPassword, KeygenArgs, PackArgs, PublisherArgs, SignArgs, VerifyArgs,
};
pub(crate) use self::restore::{ChoiceArgs, RestoreArgs};
pub(crate) use self::select::{FilterArgs, GroupByArg, SnapshotsArgs};
pub(crate) use self::stats::StatsArgs;
pub(crate) use self::storage::{Limits, StorageArgs};
pub(crate) use self::trust::{
    Consent, GrantsAllowArgs, GrantsCommand, GrantsListArgs, GrantsRevokeArgs, InstallArgs,
    PluginNameArgs, PublisherNameArgs, TrustAddArgs, TrustCommand, UpdateArgs,
};
pub(crate) use self::upkeep::{
    ForgetArgs, PruneArgs, PruningArgs, RepairCommand, RepairIndexArgs, RepairPacksArgs,
    RepairSnapshotsArgs, RewriteArgs, TagArgs, UnlockArgs,
};

/// Says with an unknown `--exclude` of a command that has nothing like it, which is mostly a backup, which setting does the same.
pub(crate) fn advised(mut error: clap::Error) -> clap::Error {
    let excludes = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => option.contains("exclude"),
        _ => false,
    };
    let is_unknown = error.kind() == ErrorKind::UnknownArgument;
    if excludes && is_unknown && error.get(ContextKind::SuggestedArg).is_none() {
        let advice = "what a backup leaves out is a setting of the plugin, such as '--set exclude=PATTERN' or '--set-file exclude=FILE' of 'files'";
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![advice.into()]),
        );
    }
    error
}

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
    /// The repository: a path, or a URL with s3://, b2://, gs://, az://, sftp://, http(s):// (WebDAV) or memory:
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
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    /// Where another program's lock is in the way, wait so long for it to go: seconds, or as 5m or 1h30m
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    pub(crate) retry_lock: Option<Duration>,
    /// The file of the jobs; without it copal.toml here, in ~/.config/copal or in /etc/copal
    #[arg(long, global = true, env = "COPAL_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The job of copal.toml that this is about: its repository and, for the work itself, all that it says
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) job: Option<String>,
    #[arg(skip)]
    pub(crate) said: Said,
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

/// What was said on the command line rather than in the environment: it goes before a job's own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    pub(crate) repository: bool,
    pub(crate) password: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a repository
    Init(InitArgs),
    /// Back an application up
    Backup(BackupAll),
    /// Restore or migrate an application, or clone it beside the old one
    Restore(RestoreArgs),
    /// Bring an application to another place: back up here and restore there, as one piece of work
    Migrate(MigrateArgs),
    /// Make a place what it was before a restore, from the safety snapshot that was taken then
    Rollback(RollbackArgs),
    /// Show what a backup, a restore or a migration would do, and change nothing
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Rehearse a restore in a scratch place, compare and verify it, remove it, and write down what was proven and how long it took
    Drill(DrillArgs),
    /// Take back what an interrupted job left: start stopped applications again
    Resume,
    /// List the snapshots
    Snapshots(SnapshotsArgs),
    /// List the files of a snapshot
    Ls(LsArgs),
    /// Find files in snapshots by their names and times, or the files that blobs belong to
    Find(FindArgs),
    /// Show what two snapshots differ in
    Diff(DiffArgs),
    /// Count what snapshots hold
    Stats(StatsArgs),
    /// Write a file of a snapshot as it is, or a folder as a tar archive
    Dump(DumpArgs),
    /// Show the snapshots as a read-only file system until it is interrupted
    Mount(MountArgs),
    /// Show what a snapshot says of itself
    Manifest(SnapshotArgs),
    /// Check that the repository is whole
    Check(CheckArgs),
    /// Copy snapshots from another repository into this one
    Copy(CopyArgs),
    /// List, add and remove keys, and change passwords
    #[command(subcommand)]
    Key(KeyCommand),
    /// Print what lies in the repository
    #[command(subcommand)]
    Cat(CatCommand),
    /// Remove snapshots: those that no rule keeps, or those that are named
    Forget(ForgetArgs),
    /// Remove what no snapshot needs
    Prune(PruneArgs),
    /// Make the best of a damaged repository
    #[command(subcommand)]
    Repair(RepairCommand),
    /// Make snapshots without some of their files out of others
    Rewrite(RewriteArgs),
    /// Change the tags of snapshots
    Tag(TagArgs),
    /// Remove the locks of programs that no longer run
    Unlock(UnlockArgs),
    /// Find out which plugin fits a directory, and why
    Detect(DetectArgs),
    /// Write, use, install and publish plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Say whose plugins may be installed
    #[command(subcommand)]
    Trust(TrustCommand),
    /// See and change what plugins may have done for good
    #[command(subcommand)]
    Grants(GrantsCommand),
    /// Look at copal.toml
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Name every mistake, with line and column
    Check,
    /// Print the file's JSON Schema, for editors
    Schema,
    /// Print what a job comes to, without secrets
    Show,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Show what `copal backup` with the same arguments would do
    Backup(BackupAll),
    /// Show what `copal restore` with the same arguments would do
    Restore(RestoreArgs),
    /// Show what `copal migrate` with the same arguments would do
    Migrate(MigrateArgs),
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

#[derive(Debug, Args)]
pub(crate) struct BackupAll {
    #[command(flatten)]
    pub(crate) args: BackupArgs,
    /// Every job of copal.toml, one after the other
    #[arg(long, conflicts_with_all = ["first", "roots", "set", "set_file", "grant"])]
    pub(crate) all: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct BackupArgs {
    /// The plugin: a name such as jpom or files, or the path of a component. With --job the job says it, and all arguments are directories
    #[arg(value_name = "PLUGIN")]
    pub(crate) first: Option<String>,
    /// The directories of the application; one without a name is the plugin's first root. They go before the job's
    #[arg(value_name = "[NAME=]PATH", value_parser = root)]
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
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) from: BackupArgs,
    /// Where to; it goes before the job's
    #[arg(long, value_name = "[NAME=]DIR", value_parser = root)]
    pub(crate) to: Vec<(Option<String>, PathBuf)>,
    /// A setting of the plugin at the new place; those of --set hold at the old one alone
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) to_set: Vec<(String, String)>,
    /// A setting at the new place whose value is the content of a file: for secrets
    #[arg(long, value_name = "KEY=FILE", value_parser = pair)]
    pub(crate) to_set_file: Vec<(String, String)>,
    /// Why: for a new place (the default), for the same place, or beside the old one
    #[arg(long, value_enum)]
    pub(crate) intent: Option<IntentArg>,
    /// Go on with a migration that was cut off, failed or was cancelled
    #[arg(long, conflicts_with = "restart")]
    pub(crate) resume: bool,
    /// Begin again, whatever an earlier migration left undone; its snapshots stay
    #[arg(long)]
    pub(crate) restart: bool,
    /// Finish with a plugin that its publisher took back after the source was read
    #[arg(long, requires = "resume")]
    pub(crate) allow_revoked: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The safety snapshot: its id or the beginning of it; without it the newest of this machine, or of the job's targets
    pub(crate) snapshot: Option<String>,
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Show the plan and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DrillArgs {
    /// The job of copal.toml, with its section `drill`; goes before --job
    #[arg(value_name = "JOB")]
    pub(crate) name: Option<String>,
    /// The snapshot: its id or the beginning of it, or `latest`. Of a job it may be left out: the job's latest
    #[arg(long, value_name = "SNAPSHOT")]
    pub(crate) snapshot: Option<String>,
    /// Where the evidence is written to: JOB-TIME.json and, for people, JOB-TIME.html
    #[arg(long, value_name = "DIR")]
    pub(crate) evidence: Option<PathBuf>,
    /// Why: for the same place, for a new place, or beside the old one. Without it the plugin's first
    #[arg(long, value_enum)]
    pub(crate) intent: Option<IntentArg>,
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Use this plugin instead of the one inside the snapshot
    #[arg(long, value_name = "PLUGIN")]
    pub(crate) plugin: Option<String>,
    /// Rehearse even with a plugin that its publisher took back
    #[arg(long)]
    pub(crate) allow_revoked: bool,
    /// Leave the scratch place for a look; `copal resume` removes it
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    /// The snapshot: its id or the beginning of it, or `latest`
    pub(crate) snapshot: String,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Read every byte of every pack as well
    #[arg(long)]
    pub(crate) read_data: bool,
    /// Read a part of the packs: the second of five as 2/5, some of them at random as 10% or 500M
    #[arg(long, value_name = "PART", conflicts_with = "read_data")]
    pub(crate) read_data_subset: Option<ReadData>,
}

#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    /// The directory to look at
    pub(crate) path: PathBuf,
}

/// Why a restore happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "Intent")]
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
pub(crate) fn root(text: &str) -> Result<(Option<String>, PathBuf), String> {
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

/// Seconds, or with units.
fn duration(text: &str) -> Result<Duration, String> {
    let whole = || text.parse().ok().map(Duration::from_secs);
    let with_units = || text.parse::<SignedDuration>().ok()?.try_into().ok();
    whole()
        .or_else(with_units)
        .ok_or_else(|| format!("`{text}` is not a duration, such as 90, 5m or 1h30m"))
}

/// A tag that is not one of those by which Copal tells its own snapshots apart.
pub(crate) fn tag(text: &str) -> Result<String, String> {
    let own = copal_job::is_own_tag(text.trim());
    if text.trim().is_empty() || text.contains(',') {
        Err(format!("`{text}` is not a tag: a text without commas"))
    } else if own {
        let all = "`safety`, `incomplete`, and what begins with `job:` or `plugin:`";
        Err(format!("the tag `{text}` is for Copal alone, as are {all}"))
    } else {
        Ok(text.trim().to_owned())
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

    #[test]
    fn a_duration_is_seconds_or_has_units() {
        for (text, seconds) in [("0", 0), ("90", 90), ("5m", 300), ("1h30m", 5_400)] {
            assert_eq!(duration(text).unwrap(), Duration::from_secs(seconds));
        }
        for wrong in ["", "-5", "-5m", "5 parsecs", "m"] {
            assert!(duration(wrong).unwrap_err().contains(wrong));
        }
    }

    #[test]
    fn the_tags_by_which_copal_knows_its_snapshots_are_not_given_by_hand() {
        for own in ["safety", "incomplete", "job:site", "plugin:copal/files"] {
            assert!(tag(own).unwrap_err().contains(own));
            assert!(tag(&format!(" {own}")).is_err());
        }
        for free in ["nightly", "safety-first", "of the job: all"] {
            assert_eq!(tag(free).unwrap(), free);
        }
        assert_eq!(tag(" nightly ").unwrap(), "nightly");
        assert!(tag(" ").is_err() && tag("a,b").is_err());
    }
}
