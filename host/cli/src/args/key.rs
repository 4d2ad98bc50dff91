//! `copal key`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List the keys, and mark the one that opened the repository
    List,
    /// Add a key with a password of its own
    Add(KeyAddArgs),
    /// Remove a key, but not the one that opened the repository
    Remove(KeyRemoveArgs),
    /// Change the password of the key that opened the repository
    Passwd(KeyAddArgs),
}

#[derive(Debug, Args)]
pub(crate) struct KeyAddArgs {
    /// Read the new password from the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) new_password_file: Option<PathBuf>,
    /// Read the new password from the output of this command, which is run without a shell
    #[arg(long, value_name = "COMMAND")]
    pub(crate) new_password_command: Option<String>,
    /// Whose key it is; without it yours, or for `passwd` what the key has said until now
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Of which machine; without it this one, or for `passwd` what the key has said until now
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Read the new password, and change nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeyRemoveArgs {
    /// The key: its id or the beginning of it
    #[arg(value_name = "KEY")]
    pub(crate) id: String,
    /// Find the key, and change nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}
