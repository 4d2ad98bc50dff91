//! The facts that a backup records for people and for a restore.

/// `postgres` or `h2`: what the application database was.
pub(crate) const DATABASE: &str = "database";
/// Why nothing changed while the data was read: a [`Consistency`](crate::backup::Consistency).
pub(crate) const CONSISTENCY: &str = "consistency";
/// The release of the Metabase that ran, where it could be asked.
pub(crate) const VERSION: &str = "metabaseVersion";
/// The highest major version of a change in the database.
pub(crate) const CHANGESET: &str = "changeset";
/// Whether a restored Metabase needs the encryption key.
pub(crate) const ENCRYPTED: &str = "encrypted";
/// What that key opens.
pub(crate) const KEY_CHECK: &str = "encryptionKeyCheck";
/// The database's path in the root `data`.
pub(crate) const H2_PATH: &str = "h2Path";
/// `site-uuid`: which Metabase it is.
pub(crate) const SITE: &str = "siteUuid";
