//! Trying plugins out: `copal plugin check`, `copal plugin test` and `copal plugin run`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use copal_sandbox::Grant;

use super::{IntentArg, pair, root};

#[derive(Debug, Args)]
pub(crate) struct PluginCheckArgs {
    /// The path of a component, or the name of a plugin
    pub(crate) plugin: String,
}

#[derive(Debug, Args)]
pub(crate) struct PluginTestArgs {
    /// The path of a component, the name of a plugin, or the folder of a project whose component was built
    #[arg(default_value = ".")]
    pub(crate) plugin: String,
    /// The folder of the cases; for a project its own folder `cases`
    #[arg(long, value_name = "DIR")]
    pub(crate) cases: Option<PathBuf>,
    /// Only the cases of these names, and not the suite
    #[arg(long, value_name = "NAME")]
    pub(crate) case: Vec<String>,
    /// Make the golden files what the cases bring now
    #[arg(long)]
    pub(crate) update: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PluginRunArgs {
    /// The path of a component, or the name of a plugin
    pub(crate) plugin: String,
    #[command(subcommand)]
    pub(crate) call: PluginCall,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCall {
    /// Whether a directory holds the plugin's application
    Detect(DetectCall),
    /// How it would be backed up
    PlanBackup(BackupCall),
    /// How a backup of it would be restored; the directories stand for the snapshot's trees
    PlanRestore(RestoreCall),
    /// What becomes of each entry
    Classify(PassCall),
    /// What becomes of one file's content
    Filter(FilterCall),
    /// What it says of a restored application, which lies in --to; the directories stand for the snapshot's trees
    Verify(RestoreCall),
}

#[derive(Debug, Args)]
pub(crate) struct DetectCall {
    /// The directory
    #[arg(required_unless_present = "replay")]
    pub(crate) path: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackupCall {
    /// The directories of the application; one without a name is the plugin's first root
    #[arg(value_name = "[NAME=]PATH", value_parser = root, required_unless_present = "replay")]
    pub(crate) roots: Vec<(Option<String>, PathBuf)>,
    /// A setting of the plugin; `copal plugin info` lists them. Given more than once for a list
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// A setting whose value is the content of a file: for secrets
    #[arg(long, value_name = "KEY=FILE", value_parser = pair)]
    pub(crate) set_file: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreCall {
    #[command(flatten)]
    pub(crate) backup: BackupCall,
    /// Where to; without it into empty directories
    #[arg(long, value_name = "[NAME=]DIR", value_parser = root)]
    pub(crate) to: Vec<(Option<String>, PathBuf)>,
    /// A directory whose files stand for the streams of the snapshot
    #[arg(long, value_name = "DIR")]
    pub(crate) streams: Option<PathBuf>,
    /// Why: for the same place, for a new place, or beside the old one. Without it the plugin's first
    #[arg(long, value_enum)]
    pub(crate) intent: Option<IntentArg>,
}

#[derive(Debug, Args)]
pub(crate) struct PassCall {
    #[command(flatten)]
    pub(crate) restore: RestoreCall,
    /// Which way the pass runs
    #[arg(long, value_enum, default_value_t = DirectionArg::Backup)]
    pub(crate) direction: DirectionArg,
}

#[derive(Debug, Args)]
pub(crate) struct FilterCall {
    #[command(flatten)]
    pub(crate) pass: PassCall,
    /// The file, as ROOT/PATH in the spelling of the contract; or a stream, as streams/NAME
    #[arg(long, value_name = "ROOT/PATH")]
    pub(crate) path: String,
    /// Write the output to this file rather than to the standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// What the plugin sees of its host.
#[derive(Debug, Args)]
pub(crate) struct HostArgs {
    /// Let the plugin run this while it looks around, such as 'probe:docker inspect -f * app'
    #[arg(long, value_name = "GRANT")]
    pub(crate) grant: Vec<Grant>,
    /// Write down what the plugin asks its host and what it is answered. The file holds contents of the files that it reads
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub(crate) record: Option<PathBuf>,
    /// Answer from such a file, without directories and without running anything
    #[arg(long, value_name = "FILE", conflicts_with = "grant")]
    pub(crate) replay: Option<PathBuf>,
}

/// Which way a pass runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DirectionArg {
    /// Into a snapshot
    Backup,
    /// Out of a snapshot
    Restore,
}
