//! What operators say of plugins that others publish: whom they trust, what they install, what they allow.

use clap::{Args, Subcommand};
use copal_sandbox::Grant;

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// The release: a folder, an archive (.tar), a URL of a web server or object store, or oci://HOST/REPOSITORY:TAG (or @DIGEST)
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// Install what nobody signed
    #[arg(long)]
    pub(crate) allow_unsigned: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// The plugins; without a name all that are installed, each from where it came from
    #[arg(value_name = "PLUGIN")]
    pub(crate) names: Vec<String>,
    /// Where the release is, if elsewhere than before
    #[arg(long, value_name = "SOURCE")]
    pub(crate) from: Option<String>,
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// Install what nobody signed
    #[arg(long)]
    pub(crate) allow_unsigned: bool,
}

/// What the operator agrees to where there is nobody to ask.
#[derive(Clone, Debug, Args)]
pub(crate) struct Consent {
    /// Where a plugin may ask for something new, allow it the capabilities with this hash, as the refusal and `copal plugin verify` show it
    #[arg(long, value_name = "HASH")]
    pub(crate) approve: Option<String>,
    /// Go on only if the publisher's document has this fingerprint; a new publisher is then trusted
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) fingerprint: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PluginNameArgs {
    /// The plugin's name, such as acme/notebook
    #[arg(value_name = "PLUGIN")]
    pub(crate) name: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Trust a publisher, or take over the next version of its document
    Add(TrustAddArgs),
    /// List the publishers
    List,
    /// Show a publisher's document
    Show(PublisherNameArgs),
    /// Trust a publisher no longer, once none of its plugins is installed; what it revoked is forgotten too
    Remove(PublisherNameArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TrustAddArgs {
    /// Where the document is: a folder, a release, or a URL
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,
    /// Go on only if the document has this fingerprint, and then without asking
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) fingerprint: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PublisherNameArgs {
    /// The publisher's name
    #[arg(value_name = "PUBLISHER")]
    pub(crate) name: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantsCommand {
    /// List what plugins may have done
    List(GrantsListArgs),
    /// Allow an installed plugin something for good
    Allow(GrantsAllowArgs),
    /// Take back what was allowed
    Revoke(GrantsRevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GrantsListArgs {
    /// Only of this plugin
    #[arg(value_name = "PLUGIN")]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct GrantsAllowArgs {
    /// The plugin's name, such as acme/notebook
    #[arg(value_name = "PLUGIN")]
    pub(crate) name: String,
    /// What it may have done, such as 'run:docker stop notebook'. What the plugin does not say that it may ask for stays refused
    #[arg(required = true, value_name = "GRANT")]
    pub(crate) grants: Vec<Grant>,
}

#[derive(Debug, Args)]
pub(crate) struct GrantsRevokeArgs {
    /// The plugin's name, such as acme/notebook
    #[arg(value_name = "PLUGIN")]
    pub(crate) name: String,
    /// What it may no longer have done, as `copal grants list` shows it; without any, everything
    #[arg(value_name = "GRANT")]
    pub(crate) grants: Vec<Grant>,
}
