//! The names of the facts that a backup records. The history itself is in the dump.

/// PostgreSQL's version as a number: 150018.
pub(crate) const SERVER_VERSION: &str = "serverVersion";
/// Where the dump is from.
pub(crate) const DATABASE: &str = "database";
/// `liquibase`, `flyway` or both.
pub(crate) const TOOLS: &str = "tools";
