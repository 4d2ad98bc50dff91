//! The names of the facts that a backup records.

/// PostgreSQL's version as a number: 150018.
pub(crate) const SERVER_VERSION: &str = "serverVersion";
/// Where the dump is from.
pub(crate) const DATABASE: &str = "database";
/// `liquibase`, `flyway` or both.
pub(crate) const TOOLS: &str = "tools";
/// The history as it was when the backup was planned, if it is short. That of the dump itself is at the dump's end; this one tells what a migration
/// would do before there is a dump.
pub(crate) const HISTORY: &str = "history";

/// How many entries of a history become a fact.
pub(crate) const SHORT: usize = 5_000;
