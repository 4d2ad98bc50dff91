//! What vendors say: keys, publisher documents, releases.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Where the keys are written to: FILE.key, which is secret, and FILE.pub
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Leave the secret key without a password
    #[arg(long, conflicts_with = "key_password_file")]
    pub(crate) no_password: bool,
    #[command(flatten)]
    pub(crate) password: KeyPassword,
}

/// Where the password of a secret key comes from.
#[derive(Clone, Debug, Args)]
pub(crate) struct KeyPassword {
    /// Read the secret key's password from the first line of this file; without it, it is asked for
    #[arg(long, env = "COPAL_KEY_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) key_password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// What is signed: release.json or publisher.json. The signature lies beside it as FILE.minisig; a further key's as FILE.1.minisig
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The secret key, of `copal plugin keygen` or minisign
    #[arg(short, long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    #[command(flatten)]
    pub(crate) password: KeyPassword,
}

#[derive(Debug, Args)]
pub(crate) struct PackArgs {
    /// The component, as `copal plugin build` makes it
    #[arg(value_name = "COMPONENT")]
    pub(crate) component: PathBuf,
    /// The folder of the release, made where absent
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: PathBuf,
    /// The publisher's document; its signatures and older versions are taken from beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) publisher: Option<PathBuf>,
    /// The licence of the plugin, as SPDX spells it
    #[arg(long, value_name = "SPDX")]
    pub(crate) license: Option<String>,
    /// Where the plugin's source is
    #[arg(long, value_name = "URL")]
    pub(crate) source: Option<String>,
    /// The oldest Copal that the plugin works with; without it, this one
    #[arg(long, value_name = "VERSION")]
    pub(crate) minimum_host: Option<String>,
    /// Sign the statement with this secret key; can be given more than once
    #[arg(short, long, value_name = "FILE")]
    pub(crate) key: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) password: KeyPassword,
    /// Replace another release that lies there
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The release: a folder, an archive (.tar) or a URL
    #[arg(value_name = "RELEASE")]
    pub(crate) release: String,
}

#[derive(Debug, Args)]
pub(crate) struct PublisherArgs {
    /// The document, such as publisher.json. Where it is there already, the next version of it is made
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The publisher's name, the part before the `/` in the names of its plugins
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// A public key that speaks for the publisher; can be given more than once. Without it those of the version before
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Vec<PathBuf>,
    /// How many of the keys must sign; 1, or what the version before says
    #[arg(long, value_name = "NUMBER")]
    pub(crate) threshold: Option<u32>,
    /// How long the document holds, counted from now
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) valid_days: u32,
    /// Take back a public key: nothing that it signed counts any more
    #[arg(long, value_name = "FILE")]
    pub(crate) revoke_key: Vec<PathBuf>,
    /// Take back the release of this SHA-256, or of this folder or archive
    #[arg(long, value_name = "RELEASE", requires = "reason")]
    pub(crate) revoke_release: Vec<String>,
    /// Why the releases are taken back, for operators to read
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// An installed plugin, or a release: a folder, an archive or a URL
    #[arg(value_name = "PLUGIN")]
    pub(crate) what: String,
    /// A folder, an archive (.tar), the URL of an object store, or oci://HOST/REPOSITORY:TAG
    #[arg(value_name = "DESTINATION")]
    pub(crate) destination: String,
    /// Replace another release that lies there
    #[arg(long)]
    pub(crate) replace: bool,
}
