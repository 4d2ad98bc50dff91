//! What an application database says of itself: one set of questions, asked in SQL of PostgreSQL and of H2.
//!
//! The answers are lines `copal:NAME=VALUE`. They are stored with a snapshot, asked again of a target, and asked once more after a restore.

use crate::encryption::{Check, looks_encrypted};

/// Metabase's own user, which every database has.
const INTERNAL_USER: u32 = 13_371_338;

/// The settings by which one Metabase is told from another.
pub(crate) const IDENTITY: &str = "IN ('site-uuid', 'analytics-uuid', 'premium-embedding-token')";
/// Further ones, which differ by what they are for.
pub(crate) const IDENTITY_LIKE: &str = "LIKE 'site-uuid-for-%'";

/// Which SQL is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    H2,
}

impl Dialect {
    /// The columns of the table `setting`: H2 reserves the words, and Metabase's are upper-case there.
    pub(crate) fn setting(self) -> (&'static str, &'static str) {
        match self {
            Self::Postgres => ("key", "value"),
            Self::H2 => ("\"KEY\"", "\"VALUE\""),
        }
    }

    /// That a text consists of what this pattern says.
    fn matches(self, text: &str, pattern: &str) -> String {
        match self {
            Self::Postgres => format!("{text} ~ '{pattern}'"),
            Self::H2 => format!("REGEXP_LIKE({text}, '{pattern}')"),
        }
    }

    /// The SQL that asks all questions. In H2 it has to go on where a table is missing; psql asks first whether it is there.
    pub(crate) fn inspect(self) -> String {
        let questions = self.questions();
        let ask = |(name, table, sql): &(&str, &str, String)| match self {
            Self::Postgres => format!(
                "SELECT to_regclass('{table}') IS NOT NULL AS there \\gset\n\\if :there\nSELECT 'copal:{name}=' || {sql};\n\\endif\n"
            ),
            Self::H2 => format!("SELECT 'copal:{name}=' || {sql};\n"),
        };
        questions.iter().map(ask).collect()
    }

    /// The name of each answer, the table that it needs, and what stands behind `SELECT`.
    fn questions(self) -> Vec<(&'static str, &'static str, String)> {
        let (key, value) = self.setting();
        let plain = self.matches(value, "^[A-Za-z0-9+/=_.:-]+$");
        let setting =
            |name: &str| format!("{value} FROM setting WHERE {key} = '{name}' AND {plain}");
        let count = |table: &str| format!("count(*) FROM {table}");
        let (major, now, wrapped) = match self {
            Self::Postgres => (
                "max(substring(id FROM '^v([0-9]+)[.]')::int) FROM databasechangelog",
                "extract(epoch FROM now()) * 1000",
                "encode(key_material, 'hex')",
            ),
            Self::H2 => (
                "MAX(CAST(REGEXP_REPLACE(id, '^v([0-9]+)[.].*$', '$1') AS INT)) FROM databasechangelog WHERE REGEXP_LIKE(id, '^v[0-9]+[.]')",
                "DATEDIFF('MILLISECOND', TIMESTAMP WITH TIME ZONE '1970-01-01 00:00:00+00', CURRENT_TIMESTAMP)",
                "RAWTOHEX(CAST(key_material AS VARBINARY(1000)))",
            ),
        };
        let ciphertext = self.matches("details", "^[A-Za-z0-9+/]+=*$");
        vec![
            ("changeset", "databasechangelog", major.to_owned()),
            (
                "changesets",
                "databasechangelog",
                count("databasechangelog"),
            ),
            (
                "changing",
                "databasechangeloglock",
                count("databasechangeloglock WHERE locked"),
            ),
            (
                "users",
                "core_user",
                count(&format!("core_user WHERE id <> {INTERNAL_USER}")),
            ),
            ("cards", "report_card", count("report_card")),
            ("dashboards", "report_dashboard", count("report_dashboard")),
            ("databases", "metabase_database", count("metabase_database")),
            ("sessions", "core_session", count("core_session")),
            ("site", "setting", setting("site-uuid")),
            ("check", "setting", setting("encryption-check")),
            ("readonly", "setting", setting("read-only-mode")),
            (
                "identity",
                "setting",
                count(&format!(
                    "setting WHERE {key} {IDENTITY} OR {key} {IDENTITY_LIKE}"
                )),
            ),
            (
                "details",
                "metabase_database",
                format!(
                    "details FROM metabase_database WHERE {ciphertext} ORDER BY length(details), id LIMIT 1"
                ),
            ),
            (
                "wrapped",
                "data_encryption_key",
                format!("{wrapped} FROM data_encryption_key ORDER BY id DESC LIMIT 1"),
            ),
            (
                "nodes",
                "qrtz_scheduler_state",
                count("qrtz_scheduler_state"),
            ),
            (
                "alive",
                "qrtz_scheduler_state",
                count(&format!(
                    "qrtz_scheduler_state WHERE last_checkin_time > {now} - 60000"
                )),
            ),
            ("fired", "qrtz_fired_triggers", count("qrtz_fired_triggers")),
            (
                "unpaused",
                "qrtz_triggers",
                count("qrtz_triggers WHERE trigger_state NOT IN ('PAUSED', 'PAUSED_BLOCKED')"),
            ),
            (
                "paused",
                "qrtz_triggers",
                count("qrtz_triggers WHERE trigger_state IN ('PAUSED', 'PAUSED_BLOCKED')"),
            ),
            (
                "migrating",
                "cloud_migration",
                count("cloud_migration WHERE state NOT IN ('done', 'error', 'cancelled')"),
            ),
            ("quiesced", "copal_quiesce", count("copal_quiesce")),
        ]
    }
}

/// The answers; a question without one was about a table or row that is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inspection {
    /// The highest major version of an applied change.
    pub(crate) changeset: Option<u32>,
    pub(crate) changesets: Option<u64>,
    /// Locks of Metabase's own schema migration that are held.
    pub(crate) changing: u64,
    /// People, Metabase's own user not counted; none where there is no table of users.
    pub(crate) users: Option<u64>,
    pub(crate) cards: Option<u64>,
    pub(crate) dashboards: Option<u64>,
    pub(crate) databases: Option<u64>,
    pub(crate) sessions: u64,
    /// `site-uuid`.
    pub(crate) site: Option<String>,
    pub(crate) read_only: Option<String>,
    /// How many settings tell this Metabase from others.
    pub(crate) identity: u64,
    /// Nodes that the scheduler knows of.
    pub(crate) nodes: u64,
    /// Those that were heard of within the last minute.
    pub(crate) alive: u64,
    pub(crate) fired: u64,
    pub(crate) unpaused: u64,
    pub(crate) paused: u64,
    /// Cloud migrations that have not come to an end.
    pub(crate) migrating: u64,
    /// Whether a backup has paused this database and not yet let it go on.
    pub(crate) quiesced: bool,
    encryption_check: Option<String>,
    details: Option<String>,
    wrapped: Option<String>,
}

impl Inspection {
    /// Reads the answers; none where the text holds none that only Metabase's database gives.
    pub(crate) fn parse(output: &[u8]) -> Option<Self> {
        let output = String::from_utf8_lossy(output);
        let mut inspection = Self::default();
        for line in output.lines() {
            let line = line.strip_prefix("--> ").unwrap_or(line);
            let Some((name, value)) = line
                .strip_prefix("copal:")
                .and_then(|answer| answer.split_once('='))
            else {
                continue;
            };
            inspection.take(name, value.trim());
        }
        inspection.changesets.is_some().then_some(inspection)
    }

    fn take(&mut self, name: &str, value: &str) {
        let number = value.parse::<u64>().ok();
        let text = Some(value.to_owned());
        match name {
            "changeset" => self.changeset = value.parse().ok(),
            "changesets" => self.changesets = number,
            "changing" => self.changing = number.unwrap_or(0),
            "users" => self.users = number,
            "cards" => self.cards = number,
            "dashboards" => self.dashboards = number,
            "databases" => self.databases = number,
            "sessions" => self.sessions = number.unwrap_or(0),
            "site" => self.site = text,
            "check" => self.encryption_check = text,
            "readonly" => self.read_only = text,
            "identity" => self.identity = number.unwrap_or(0),
            "details" => self.details = text,
            "wrapped" => self.wrapped = text,
            "nodes" => self.nodes = number.unwrap_or(0),
            "alive" => self.alive = number.unwrap_or(0),
            "fired" => self.fired = number.unwrap_or(0),
            "unpaused" => self.unpaused = number.unwrap_or(0),
            "paused" => self.paused = number.unwrap_or(0),
            "migrating" => self.migrating = number.unwrap_or(0),
            "quiesced" => self.quiesced = true,
            _ => {}
        }
    }

    /// Something that the database's encryption key opens; none where nothing is encrypted.
    pub(crate) fn key_check(&self) -> Option<Check> {
        match self.encryption_check.as_deref() {
            Some("unencrypted") => None,
            // Newer versions encrypt the sentinel with a key that is itself encrypted.
            Some(_) if self.wrapped.is_some() => self.wrapped.clone().map(Check::Wrapped),
            Some(value) => Some(Check::Value(value.to_owned())),
            None => self
                .details
                .clone()
                .filter(|details| looks_encrypted(details))
                .map(Check::Value),
        }
    }

    /// What a person would count.
    pub(crate) fn contents(&self) -> [(&'static str, Option<u64>); 4] {
        [
            ("users", self.users),
            ("cards", self.cards),
            ("dashboards", self.dashboards),
            ("databases", self.databases),
        ]
    }
}
