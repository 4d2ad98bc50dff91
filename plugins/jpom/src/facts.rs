//! The facts that a backup records and a restore asks for.

use copal_sdk::{Facts, Failure};
use serde::{Deserialize, Serialize};

/// Jpom's id.
pub(crate) const INSTALL_ID: &str = "installId";
/// A [`Kind`](crate::layout::Kind).
pub(crate) const LAYOUT: &str = "layout";
/// Jpom's folder within its root.
pub(crate) const BASE: &str = "base";
/// The absolute path of Jpom's folder on the host that it was saved from.
pub(crate) const LOCATION: &str = "location";
/// `jpom.db.mode`.
pub(crate) const DATABASE_MODE: &str = "databaseMode";
/// Whether the database was closed while the backup was planned.
pub(crate) const H2_CLEAN: &str = "h2Clean";
/// A [`Consistency`].
pub(crate) const CONSISTENCY: &str = "consistency";
/// Whether `db/backup` was left out.
pub(crate) const WITHOUT_DB_BACKUP: &str = "dbBackupLeftOut";
/// What has to be there after a restore, each `ROOT/PATH`.
pub(crate) const PARTS: &str = "parts";

/// Why the files don't change while they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Consistency {
    /// The plan stops Jpom.
    Quiesced,
    /// The operator says that Jpom is stopped.
    Stopped,
    /// The database was closed while planning, and the pass watches that it is when it is read.
    Closed,
}

/// The absolute path of the root on the host that it was saved from; empty where the manifest does not tell.
pub(crate) fn root_location(facts: &Facts) -> Result<String, Failure> {
    let location: String = facts.get(LOCATION)?.unwrap_or_default();
    let base: String = facts.get(BASE)?.unwrap_or_default();
    let root = location.strip_suffix(&base).unwrap_or(&location);
    Ok(root.trim_end_matches('/').to_owned())
}
