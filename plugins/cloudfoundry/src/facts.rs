//! The facts that a backup records and a restore asks for.

use serde::{Deserialize, Serialize};

/// The shared domains, the first one made first.
pub(crate) const DOMAINS: &str = "domains";
/// The system domain, where the operator named it.
pub(crate) const SYSTEM_DOMAIN: &str = "systemDomain";
/// Whether there are values that `db_encryption_key` encrypts.
pub(crate) const ENCRYPTED: &str = "encrypted";
/// A [`KeyCheck`], where the operator gave the key.
pub(crate) const KEY_CHECK: &str = "keyCheck";
/// The id of UAA's administrator.
pub(crate) const ADMIN: &str = "admin";
/// The newest migration of each database's schema.
pub(crate) const MIGRATIONS: &str = "migrations";
/// The version of the server of each database.
pub(crate) const SERVERS: &str = "servers";
/// The [`Survey`](crate::survey::Survey) of each database without its rows, for a migration that is planned before there is a snapshot.
pub(crate) const SURVEYS: &str = "surveys";
/// Whether nothing was written while the databases were read.
pub(crate) const QUIESCED: &str = "quiesced";
/// The absolute path of the blobstore on the host that it was saved from.
pub(crate) const BLOBSTORE: &str = "blobstore";
/// The blobstore's buckets.
pub(crate) const BUCKETS: &str = "buckets";

/// A value that proves `db_encryption_key` and from which it can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyCheck {
    pub(crate) salt: String,
    pub(crate) value: String,
}
