//! `copal cat`

use clap::{Args, Subcommand};

/// What lies in the repository. JSON is laid out for reading, with all its fields; packs and blobs are written as bytes.
#[derive(Debug, Subcommand)]
pub(crate) enum CatCommand {
    /// Version, id, and what decides where files are cut
    Config,
    /// The secrets that everything is encrypted with
    Masterkey(MasterkeyArgs),
    /// A key, which seals those secrets with a password
    Key(IdArgs),
    /// A snapshot
    Snapshot(IdArgs),
    /// An index: which pack holds which blobs
    Index(IdArgs),
    /// A lock: who works on the repository
    Lock(IdArgs),
    /// A directory's listing within a snapshot
    Tree(TreeArgs),
    /// A pack as it is stored: encrypted blobs
    Pack(IdArgs),
    /// A blob: a piece of a file, or a directory's listing
    Blob(IdArgs),
}

#[derive(Debug, Args)]
pub(crate) struct IdArgs {
    /// Its id, or the beginning of it; of a blob the whole
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct TreeArgs {
    /// The snapshot: its id or the beginning of it, or `latest`; and a directory in it, if not its top
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    pub(crate) tree: String,
}

#[derive(Debug, Args)]
pub(crate) struct MasterkeyArgs {
    /// Print them: whoever sees them reads and forges all that the repository holds, for ever and whatever the passwords are
    #[arg(long)]
    pub(crate) reveal: bool,
}
