//! The SQL that changes an application database: pausing it for a backup, letting it go on, and what a restored one needs.

use copal_sdk::Intent;

use crate::inspection::{Dialect, IDENTITY, IDENTITY_LIKE};

/// The table in which a paused database remembers what it was like. It travels with a dump, so that a restore can let the copy go on as well.
const RECORD: &str = "copal_quiesce";

/// The name under which Quartz remembers that every trigger is paused, so that it pauses those too that Metabase makes when it starts.
const ALL_GROUPS: &str = "_$_ALL_GROUPS_PAUSED_$_";

/// Tells every node that settings changed; they look at this row.
const TOUCH: &str =
    "INSERT INTO setting (key, value) VALUES ('settings-last-updated', CURRENT_TIMESTAMP::text)
  ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value;";

/// What a paused database needs to go on as it was before, also where a node has since finished a job. Does nothing to a database that is not paused.
pub(crate) fn thaw() -> String {
    format!(
        "DO $copal$
BEGIN
  IF to_regclass('{RECORD}') IS NULL THEN RETURN; END IF;
  PERFORM FROM qrtz_locks WHERE lock_name = 'TRIGGER_ACCESS' FOR UPDATE;
  UPDATE qrtz_triggers t SET trigger_state = CASE t.trigger_state WHEN 'PAUSED_BLOCKED' THEN 'BLOCKED' ELSE 'WAITING' END
    FROM {RECORD} r WHERE r.kind = 'trigger' AND t.sched_name = r.scheduler AND t.trigger_group = r.trigger_group
    AND t.trigger_name = r.name AND t.trigger_state IN ('PAUSED', 'PAUSED_BLOCKED');
  DELETE FROM setting WHERE key = 'read-only-mode';
  INSERT INTO setting (key, value) SELECT name, value FROM {RECORD} WHERE kind = 'setting';
  {TOUCH}
  DROP TABLE {RECORD};
END $copal$;
"
    )
}

/// Turns the read-only mode on and pauses the scheduler's triggers, as Quartz itself pauses them, and remembers what it changed. What an earlier
/// backup left paused is let go on first, so that its memory is not lost.
pub(crate) fn quiesce() -> String {
    format!(
        "{}
SET LOCAL lock_timeout = '60s';
SELECT FROM qrtz_locks WHERE lock_name = 'TRIGGER_ACCESS' FOR UPDATE;
CREATE TABLE {RECORD} (kind text NOT NULL, scheduler text, trigger_group text, name text NOT NULL, value text);
INSERT INTO {RECORD} SELECT 'trigger', sched_name, trigger_group, trigger_name, trigger_state
  FROM qrtz_triggers WHERE trigger_state IN ('WAITING', 'ACQUIRED', 'BLOCKED');
INSERT INTO {RECORD} SELECT 'setting', NULL, NULL, key, value FROM setting WHERE key = 'read-only-mode';
UPDATE qrtz_triggers SET trigger_state = CASE trigger_state WHEN 'BLOCKED' THEN 'PAUSED_BLOCKED' ELSE 'PAUSED' END
  WHERE trigger_state IN ('WAITING', 'ACQUIRED', 'BLOCKED');
INSERT INTO setting (key, value) VALUES ('read-only-mode', 'true') ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value;
{TOUCH}
",
        thaw()
    )
}

/// Fails where somebody has turned the read-only mode off meanwhile. (In an encrypted database Metabase encrypts the value when it sets it itself.)
pub(crate) const ASSERT_READ_ONLY: &str = "DO $copal$
BEGIN
  IF NOT EXISTS (SELECT FROM setting WHERE key = 'read-only-mode' AND value <> 'false') THEN
    RAISE EXCEPTION 'the read-only mode was turned off while Metabase dumped its database, so the dump may contradict itself';
  END IF;
END $copal$;
";

/// What a restored database needs before Metabase starts on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fixups<'a> {
    pub(crate) intent: Intent,
    /// The new `site-url`.
    pub(crate) site_url: Option<&'a str>,
}

impl Fixups<'_> {
    /// Each statement with the table that it needs and why it is run.
    fn statements(&self, dialect: Dialect) -> Vec<(&'static str, &'static str, String)> {
        let (key, value) = dialect.setting();
        let delete = |table: &str| format!("DELETE FROM {table}");
        let forget = |which: &str| format!("DELETE FROM setting WHERE {key} {which}");
        let state = |from: &str, to: &str| {
            format!("UPDATE qrtz_triggers SET trigger_state = '{to}' WHERE trigger_state {from}")
        };
        let mut statements = vec![
            ("Nobody is logged in", "core_session", delete("core_session")),
            ("No node runs", "qrtz_scheduler_state", delete("qrtz_scheduler_state")),
            ("No job runs", "qrtz_fired_triggers", delete("qrtz_fired_triggers")),
            ("No node holds a lock", "qrtz_locks", delete("qrtz_locks")),
            (
                "What a node was about to do waits",
                "qrtz_triggers",
                state("IN ('ACQUIRED', 'BLOCKED')", "WAITING"),
            ),
            (
                "What was paused behind a job is only paused",
                "qrtz_triggers",
                state("= 'PAUSED_BLOCKED'", "PAUSED"),
            ),
            (
                "No migration of the schema runs",
                "databasechangeloglock",
                "UPDATE databasechangeloglock SET locked = FALSE, lockgranted = NULL, lockedby = NULL".to_owned(),
            ),
            ("It can be written to", "setting", forget("= 'read-only-mode'")),
            (
                "A migration to Metabase Cloud that was under way goes no further",
                "cloud_migration",
                "UPDATE cloud_migration SET state = 'cancelled' WHERE state NOT IN ('done', 'error', 'cancelled')".to_owned(),
            ),
        ];
        if self.intent == Intent::Clone {
            statements.extend([
                ("It is another Metabase", "setting", forget(IDENTITY)),
                ("For every purpose", "setting", forget(IDENTITY_LIKE)),
                ("It sends nothing in the original's place", "qrtz_triggers", state("<> 'PAUSED'", "PAUSED")),
                (
                    "Nor by what it schedules when it starts",
                    "qrtz_paused_trigger_grps",
                    format!(
                        "INSERT INTO qrtz_paused_trigger_grps (sched_name, trigger_group) SELECT DISTINCT sched_name, '{ALL_GROUPS}' FROM qrtz_triggers \
                         WHERE sched_name NOT IN (SELECT sched_name FROM qrtz_paused_trigger_grps WHERE trigger_group = '{ALL_GROUPS}')"
                    ),
                ),
            ]);
        }
        // A clone without an address of its own learns it from whoever opens it first.
        if self.site_url.is_some() || self.intent == Intent::Clone {
            statements.push(("It has another address", "setting", forget("= 'site-url'")));
        }
        if let Some(url) = self.site_url {
            let url = quote(url);
            statements.push((
                "Which is this",
                "setting",
                format!("INSERT INTO setting ({key}, {value}) VALUES ('site-url', {url})"),
            ));
        }
        statements
    }

    /// For psql, behind a dump in the same transaction.
    pub(crate) fn for_postgres(&self) -> String {
        let mut sql = format!("\nRESET search_path;\n{}DO $copal$\nBEGIN\n", thaw());
        for (reason, table, statement) in self.statements(Dialect::Postgres) {
            sql.push_str(&format!(
                "  -- {reason}.\n  IF to_regclass('{table}') IS NOT NULL THEN {statement}; END IF;\n"
            ));
        }
        sql.push_str(&format!("  {TOUCH}\nEND $copal$;\n"));
        sql
    }

    /// For `org.h2.tools.RunScript`: all or nothing. H2 has no conditional statement, but executes a text that a query chose.
    pub(crate) fn for_h2(&self) -> String {
        let mut sql = String::from("SET AUTOCOMMIT FALSE;\n");
        for (reason, table, statement) in self.statements(Dialect::H2) {
            sql.push_str(&format!(
                "-- {reason}.\nEXECUTE IMMEDIATE (SELECT CASE WHEN COUNT(*) > 0 THEN {} ELSE 'SET @absent = 1' END\n  \
                 FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = SCHEMA() AND TABLE_NAME = '{}');\n",
                quote(&statement),
                table.to_ascii_uppercase()
            ));
        }
        sql + "COMMIT;\n"
    }
}

/// What lets a clone's scheduler work, once its owner wants it to.
pub(crate) fn resume_clone() -> String {
    format!(
        "DELETE FROM qrtz_paused_trigger_grps WHERE trigger_group = '{ALL_GROUPS}'; \
         UPDATE qrtz_triggers SET trigger_state = 'WAITING' WHERE trigger_state = 'PAUSED';"
    )
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
