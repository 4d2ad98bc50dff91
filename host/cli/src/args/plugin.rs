//! What can be said of plugins: `copal plugin …`.

use clap::{Args, Subcommand};

use super::authoring::{PluginBuildArgs, PluginNewArgs, PluginRenewArgs};
use super::release::{ExportArgs, KeygenArgs, PackArgs, PublisherArgs, SignArgs, VerifyArgs};
use super::trust::{InstallArgs, PluginNameArgs, UpdateArgs};
use super::{PluginCheckArgs, PluginRunArgs, PluginTestArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Make a key pair to sign releases with, as minisign does
    Keygen(KeygenArgs),
    /// Write a publisher's document, or the next version of it
    Publisher(PublisherArgs),
    /// Make a release of a component
    Pack(PackArgs),
    /// Sign a release's statement or a publisher's document
    Sign(SignArgs),
    /// Check that a release is whole and signed, and show what it may ask for
    Verify(VerifyArgs),
    /// Bring an installed plugin or a release to another place
    Export(ExportArgs),
    /// Install a release
    Install(InstallArgs),
    /// Install the releases that have come since
    Update(UpdateArgs),
    /// Remove an installed plugin
    Remove(PluginNameArgs),
    /// List the plugins that come with Copal, and those installed
    List,
    /// Describe a plugin: its roots, settings and the grants that it may ask for
    Info(PluginInfoArgs),
    /// Look at a component: what it is made for, what it imports and may ask for, and whether it describes itself well
    Check(PluginCheckArgs),
    /// Hold a plugin to the contract: check it, run the conformance suite, and run its author's cases
    Test(PluginTestArgs),
    /// Try one function of a plugin on a directory; nothing is changed
    Run(PluginRunArgs),
    /// Begin a plugin: a project that builds and passes its tests as it is, in Python and JavaScript once their compiler is installed
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
