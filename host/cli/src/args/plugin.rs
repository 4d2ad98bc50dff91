//! What can be said of plugins: `copal plugin …`.

use clap::{Args, Subcommand};

use super::{PluginCheckArgs, PluginRunArgs, PluginTestArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List the plugins that come with Copal
    List,
    /// Describe a plugin: its roots, settings and the grants that it may ask for
    Info(PluginInfoArgs),
    /// Look at a component: what it is made for, what it imports and may ask for, and whether it describes itself well
    Check(PluginCheckArgs),
    /// Hold a plugin to the contract: check it, run the conformance suite, and run its author's cases
    Test(PluginTestArgs),
    /// Try one function of a plugin on a directory; nothing is changed
    Run(PluginRunArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PluginInfoArgs {
    /// A name such as jpom, or the path of a component
    pub(crate) plugin: String,
}
