//! What can be said of plugins: `copal plugin …`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List the plugins that come with Copal
    List,
    /// Describe a plugin: its roots, settings and the grants that it may ask for
    Info(PluginInfoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PluginInfoArgs {
    /// A name such as jpom, or the path of a component
    pub(crate) plugin: String,
}
