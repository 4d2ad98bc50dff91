//! What can be said of plugins: `copal plugin …`.

use clap::{Args, Subcommand};

use super::authoring::{PluginBuildArgs, PluginNewArgs, PluginRenewArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List the plugins that come with Copal
    List,
    /// Describe a plugin: its roots, settings and the grants that it may ask for
    Info(PluginInfoArgs),
    /// Begin a plugin: a project that builds and passes its tests as it is
    New(PluginNewArgs),
    /// Bring the contract and the SDK in a project to the version of this program
    Renew(PluginRenewArgs),
    /// Build a project into a component
    Build(PluginBuildArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PluginInfoArgs {
    /// A name such as jpom, or the path of a component
    pub(crate) plugin: String,
}
