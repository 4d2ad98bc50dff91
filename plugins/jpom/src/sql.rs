//! The SQL that gives a restored database its place and identity.
//!
//! Statements are guarded: one that needs a table or column which this version of Jpom does not have is left out when the script
//! runs (`CLUSTER_INFO` came with 2.11; `BACKUP_INFO` exists in H2 databases alone). Names are unquoted, as in Jpom's
//! own statements, so that they fit whatever case the database folds them to.

use crate::install_json::is_id;

/// What [`Report::parse`] looks for in front of a row in the output of `org.h2.tools.RunScript -showResults`.
const ROW: &str = "--> ";
const CLUSTERS: &str = "clusters:";
const WORKSPACES: &str = "workspaces:";

const CLUSTER_ID: Column = ("CLUSTER_INFO", "ID");
const HEARTBEAT: Column = ("CLUSTER_INFO", "LASTHEARTBEAT");
const URL: Column = ("CLUSTER_INFO", "URL");
const WORKSPACE: Column = ("WORKSPACE", "CLUSTERINFOID");
const BACKUP: Column = ("BACKUP_INFO", "FILEPATH");

/// A table and one of its columns.
type Column = (&'static str, &'static str);

/// One statement and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    reason: &'static str,
    needs: Vec<Column>,
    sql: String,
}

/// What Jpom keeps of its own SQL backups in a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backups<'a> {
    /// They lie beneath this folder now, the base as Jpom sees it.
    At(&'a str),
    /// They were left out of the snapshot.
    LeftOut,
    /// Jpom sees them where it always did.
    Unmoved,
}

/// Jpom's own rule for a cluster that may be deleted: no heartbeat since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abandoned {
    /// Milliseconds since 1970; a heartbeat at or before counts as none.
    pub(crate) since: i64,
}

/// Statements in the order in which they run, in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Script(Vec<Statement>);

impl Script {
    /// The same identity at a new place.
    pub(crate) fn migrate(id: &str, backups: Backups<'_>, abandoned: Abandoned) -> Self {
        let mut script = Self::default();
        script.add(
            "The old address leads to the old host",
            &[CLUSTER_ID, URL],
            format!(
                "UPDATE CLUSTER_INFO SET url = NULL WHERE id = {}",
                literal(id)
            ),
        );
        script.remove_abandoned(id, abandoned);
        script.move_backups(backups);
        script
    }

    /// A new identity in a copy of the old database.
    ///
    /// The old cluster's row becomes the clone's, because it holds its name and groups; were the old row kept, Jpom would log a
    /// conflict of `clusterId` at every heartbeat and bind no workspace to the new one.
    pub(crate) fn clone(old: &str, new: &str, backups: Backups<'_>, abandoned: Abandoned) -> Self {
        let (old_id, new_id) = (literal(old), literal(new));
        let mut script = Self::default();
        script.add(
            "This copy's own cluster takes the new id",
            &[CLUSTER_ID, URL, HEARTBEAT],
            format!(
                "UPDATE CLUSTER_INFO SET id = {new_id}, url = NULL, lastHeartbeat = NULL WHERE id = {old_id} \
                 AND NOT EXISTS (SELECT 1 FROM CLUSTER_INFO WHERE id = {new_id})"
            ),
        );
        script.add(
            "Where the new id had a row already, the old one goes",
            &[CLUSTER_ID],
            format!("DELETE FROM CLUSTER_INFO WHERE id = {old_id}"),
        );
        script.add(
            "Every workspace belongs to the new id",
            &[WORKSPACE],
            format!("UPDATE WORKSPACE SET clusterInfoId = {new_id}"),
        );
        script.remove_abandoned(new, abandoned);
        script.move_backups(backups);
        script
    }

    fn add(&mut self, reason: &'static str, needs: &[Column], sql: String) {
        self.0.push(Statement {
            reason,
            needs: needs.to_vec(),
            sql,
        });
    }

    /// Jpom's user interface deletes a cluster that is neither online nor bound to a workspace.
    fn remove_abandoned(&mut self, id: &str, abandoned: Abandoned) {
        self.add(
            "Clusters without a workspace and a recent heartbeat are abandoned",
            &[CLUSTER_ID, HEARTBEAT, WORKSPACE],
            format!(
                "DELETE FROM CLUSTER_INFO WHERE id <> {} AND (lastHeartbeat IS NULL OR lastHeartbeat <= {}) \
                 AND id NOT IN (SELECT clusterInfoId FROM WORKSPACE WHERE clusterInfoId IS NOT NULL)",
                literal(id),
                abandoned.since
            ),
        );
    }

    /// `BACKUP_INFO.filePath` is absolute, and Jpom deletes the file there when a backup grows old: left alone, a
    /// copy on the same host would delete the backups of the original.
    fn move_backups(&mut self, backups: Backups<'_>) {
        const OURS: &str = "filePath LIKE '%/db/backup/%'";
        match backups {
            Backups::At(base) => self.add(
                "Jpom's own backups lie elsewhere now",
                &[BACKUP],
                format!(
                    "UPDATE BACKUP_INFO SET filePath = {} || REGEXP_REPLACE(filePath, '^.*/db/backup/', '') WHERE {OURS}",
                    literal(&format!("{}/db/backup/", base.trim_end_matches('/')))
                ),
            ),
            Backups::LeftOut => self.add(
                "Jpom's own backups were left out of the snapshot",
                &[BACKUP],
                format!("DELETE FROM BACKUP_INFO WHERE {OURS}"),
            ),
            Backups::Unmoved => {}
        }
    }

    /// The script for `org.h2.tools.RunScript`: all or nothing, and at its end what [`Report::parse`] reads. An
    /// empty script changes nothing, so it may run on a read-only database.
    pub(crate) fn for_h2(&self) -> String {
        let mut text = String::from("SET AUTOCOMMIT FALSE;\n");
        for Statement { reason, needs, sql } in &self.0 {
            text.push_str(&format!("-- {reason}.\n{}", guarded(needs, sql)));
        }
        text.push_str("COMMIT;\n-- What the database says now.\n");
        text.push_str(&guarded(
            &[CLUSTER_ID],
            "SET @clusters = (SELECT LISTAGG(id, ' ') WITHIN GROUP (ORDER BY id) FROM CLUSTER_INFO)",
        ));
        text.push_str(&guarded(
            &[WORKSPACE],
            "SET @workspaces = (SELECT LISTAGG(clusterInfoId, ' ') WITHIN GROUP (ORDER BY id) FROM WORKSPACE)",
        ));
        text.push_str(&format!(
            "SELECT '{CLUSTERS} ' || COALESCE(@clusters, '');\nSELECT '{WORKSPACES} ' || COALESCE(@workspaces, '');\n"
        ));
        text
    }
}

/// What a person runs on MySQL, MariaDB or PostgreSQL, to give the cluster `original` the identity `id`; the two are the same where it
/// keeps its own.
///
/// It says the same in all three, and deletes nothing: where a row has the new id already, the first statement fails instead. `BACKUP_INFO`
/// is H2's alone.
pub(crate) fn by_hand(original: &str, id: &str) -> String {
    let (old, new) = (literal(original), literal(id));
    let identity = if original == id {
        format!("UPDATE CLUSTER_INFO SET url = NULL WHERE id = {old};\n")
    } else {
        format!(
            "UPDATE CLUSTER_INFO SET id = {new}, url = NULL, lastHeartbeat = NULL WHERE id = {old};\n\
             UPDATE WORKSPACE SET clusterInfoId = {new};\n"
        )
    };
    format!("START TRANSACTION;\n{identity}COMMIT;\n")
}

/// A statement that runs where all the columns exist. H2 has no conditional statement, but executes a text that a
/// query chose.
fn guarded(needs: &[Column], sql: &str) -> String {
    let columns: Vec<String> = needs
        .iter()
        .map(|(table, column)| format!("('{table}', '{column}')"))
        .collect();
    format!(
        "EXECUTE IMMEDIATE (SELECT CASE WHEN COUNT(*) = {} THEN {}\n  ELSE 'SET @absent = 1' END\n  FROM INFORMATION_SCHEMA.COLUMNS \
         WHERE TABLE_SCHEMA = SCHEMA() AND (UPPER(TABLE_NAME), UPPER(COLUMN_NAME)) IN ({}));\n",
        columns.len(),
        literal(sql),
        columns.join(", ")
    )
}

/// A text as a literal of H2, in ASCII alone, because a script's encoding is the reader's guess.
fn literal(text: &str) -> String {
    let printable = |c: char| matches!(c, ' '..='~');
    if text.chars().all(printable) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut quoted = String::from("U&'");
    for letter in text.chars() {
        match letter {
            '\'' => quoted.push_str("''"),
            '\\' => quoted.push_str("\\\\"),
            letter if printable(letter) => quoted.push(letter),
            letter => quoted.push_str(&format!("\\+{:06x}", u32::from(letter))),
        }
    }
    quoted + "'"
}

/// What the script's last lines say of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// The ids in `CLUSTER_INFO`.
    pub(crate) clusters: Vec<String>,
    /// The ids that workspaces are bound to, one for each bound workspace.
    pub(crate) workspaces: Vec<String>,
}

impl Report {
    /// Reads the output of the script; none where it does not hold both lines.
    pub(crate) fn parse(output: &[u8]) -> Option<Self> {
        let output = String::from_utf8_lossy(output);
        let ids = |label: &str| -> Option<Vec<String>> {
            let rows = output.lines().filter_map(|line| line.strip_prefix(ROW));
            let row = rows.filter_map(|row| row.strip_prefix(label)).next_back()?;
            Some(
                row.split_whitespace()
                    .filter(|id| is_id(id))
                    .map(str::to_owned)
                    .collect(),
            )
        };
        Some(Self {
            clusters: ids(CLUSTERS)?,
            workspaces: ids(WORKSPACES)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn literals_are_quoted_and_ascii() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\b"), "'a\\b'");
        assert_eq!(literal("默\\'\n"), "U&'\\+009ed8\\\\''\\+00000a'");
    }

    #[test]
    fn a_report_is_read_from_the_last_rows() {
        let output = b"SELECT 'clusters: ' || COALESCE(@clusters, '');\n--> clusters: a b\n;\nx\n--> workspaces: a a it's\n;";
        let report = Report::parse(output).unwrap();
        assert_eq!(report.clusters, ["a", "b"]);
        assert_eq!(report.workspaces, ["a", "a"]);
        assert_eq!(Report::parse(b"--> clusters: a\n"), None);
    }

    proptest! {
        #[test]
        fn a_literal_never_ends_early(text in "\\PC{0,40}|['\\\\]{0,9}") {
            let quoted = literal(&text);
            prop_assert!(quoted.is_ascii());
            let inner = quoted.strip_prefix("U&").unwrap_or(&quoted);
            let inner = inner.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap();
            prop_assert!(!inner.replace("''", "").contains('\''));
        }

        #[test]
        fn hostile_output_never_panics(output in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Report::parse(&output);
        }
    }
}
