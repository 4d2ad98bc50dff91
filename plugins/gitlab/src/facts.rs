//! The facts that a backup records and a restore asks for.

/// How the data volume is laid out: `omnibus` or `sameersbn`.
pub(crate) const LAYOUT: &str = "layout";
/// The version that the data volume was last used by.
pub(crate) const VERSION: &str = "version";
/// The numbers of the source's user git.
pub(crate) const GIT: &str = "git";
/// Check values of the secrets, by their names.
pub(crate) const SECRETS: &str = "secrets";
