//! The history as the dump itself holds it, recorded at the dump's end.
//!
//! A probe beside `pg_dump` may see another moment than the dump. So the filter of a backup reads the history's rows as they stream by and appends
//! them in comments, which `psql` skips; a restore reads them there without reading the dump.

use std::borrow::Cow;

use copal_sdk::sql::{Decision, Editor, Kind, Rewriter, Row, Statement};
use copal_sdk::{Failure, Filter, READ_LIMIT, Tree};
use serde::{Deserialize, Serialize};

use crate::history::{FLYWAY, Flyway, History, Installed, Liquibase, Lock, Ran, ambiguous, limit};

/// What introduces the comments.
const MARK: &str = "-- copal: ";
/// What the last line says, with the length of the line before it.
const LENGTH: &str = "bytes of history above";
/// More than the last line has.
const LAST_LINE: u64 = 80;
/// More than a history of the most rows has.
const LONGEST: u64 = 256 << 20;
/// What pg_dump writes at the end, and how much may come behind it.
const COMPLETE: &[u8] = b"-- PostgreSQL database dump complete";
const BEHIND_COMPLETE: usize = 512;

const LIQUIBASE_COLUMNS: [&str; 14] = [
    "id",
    "author",
    "filename",
    "dateexecuted",
    "orderexecuted",
    "exectype",
    "md5sum",
    "description",
    "comments",
    "tag",
    "liquibase",
    "contexts",
    "labels",
    "deployment_id",
];
const LOCK_COLUMNS: [&str; 4] = ["id", "locked", "lockgranted", "lockedby"];
const FLYWAY_COLUMNS: [&str; 10] = [
    "installed_rank",
    "version",
    "description",
    "type",
    "script",
    "checksum",
    "installed_by",
    "installed_on",
    "execution_time",
    "success",
];

/// What the filter of a backup looks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// The name of Liquibase's table.
    pub(crate) table: String,
    /// The schema, where several may hold a history.
    pub(crate) schema: Option<String>,
    /// Whether a held lock is stale.
    pub(crate) ignore_lock: bool,
}

/// Passes a dump through, and appends the history that it holds.
pub(crate) struct Recorder {
    rewriter: Option<Rewriter<Watch>>,
    tail: Vec<u8>,
}

struct Watch {
    recording: Recording,
    history: History,
    lock: Option<Option<Lock>>,
    rows: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    ChangeSets,
    Lock,
    Migrations,
}

impl Recorder {
    pub(crate) fn new(recording: Recording) -> Self {
        let watch = Watch {
            recording,
            history: History::default(),
            lock: None,
            rows: 0,
        };
        Self {
            rewriter: Some(Rewriter::new(watch)),
            tail: Vec::new(),
        }
    }
}

impl Filter for Recorder {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let keep = COMPLETE.len() + BEHIND_COMPLETE;
        if chunk.len() >= keep {
            self.tail.clear();
        }
        self.tail.extend(&chunk[chunk.len().saturating_sub(keep)..]);
        self.tail.drain(..self.tail.len().saturating_sub(keep));
        match &mut self.rewriter {
            Some(rewriter) => rewriter.push(chunk, out),
            None => Ok(()),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let Some(mut rewriter) = self.rewriter.take() else {
            return Ok(());
        };
        rewriter.finish(out)?;
        if !self
            .tail
            .windows(COMPLETE.len())
            .any(|window| window == COMPLETE)
        {
            return Err(Failure::corrupt(
                "liquibase.dump.cut",
                "the dump does not end as pg_dump's do, so its end is missing or something else wrote it",
            )
            .remedy("dump the database again with pg_dump, as one database, without leaving comments out"));
        }
        let history = rewriter.into_editor().finish()?;
        out.extend(append(&history)?);
        Ok(())
    }
}

impl Watch {
    fn part(&self, statement: &Statement) -> Option<Part> {
        if !matches!(statement.kind, Kind::Insert | Kind::Copy) {
            return None;
        }
        let recording = &self.recording;
        let schema = schema(statement);
        if recording.schema.as_ref().is_some_and(|only| only != schema) {
            return None;
        }
        let has = |column: &str| {
            statement.columns.is_empty() || statement.columns.iter().any(|name| name == column)
        };
        let name = statement.name.as_str();
        if name == recording.table && has("orderexecuted") {
            Some(Part::ChangeSets)
        } else if name.strip_suffix("lock") == Some(&recording.table) && has("lockgranted") {
            Some(Part::Lock)
        } else if FLYWAY.contains(&name) && has("installed_rank") {
            Some(Part::Migrations)
        } else {
            None
        }
    }

    fn finish(mut self) -> Result<History, Failure> {
        if self.history.is_none() {
            return Err(no_history("the dump"));
        }
        if let (Some(liquibase), Some(lock)) = (&mut self.history.liquibase, self.lock) {
            liquibase.has_lock = true;
            liquibase.lock = lock;
        }
        let held = self
            .history
            .liquibase
            .as_ref()
            .and_then(|liquibase| liquibase.lock.as_ref());
        match held {
            Some(lock) if !self.recording.ignore_lock => Err(Failure::unsupported(
                "liquibase.lock.in-dump",
                format!("a migration was running when the dump was made: the lock in it is held by {}", lock.shown()),
            )
            .remedy("back up again when the migration is over, or set `lock=ignore` if the lock is stale")),
            _ => Ok(self.history),
        }
    }
}

/// Says that there is nothing to go by.
pub(crate) fn no_history(what: &str) -> Failure {
    Failure::unsupported(
        "liquibase.history.none",
        format!("{what} holds neither a history of Liquibase nor one of Flyway"),
    )
    .remedy("set `schema` and `history_table` if the history has other names")
}

impl Editor for Watch {
    fn statement(&mut self, statement: &Statement) -> Result<Decision, Failure> {
        let name = statement.name.as_str();
        if statement.kind == Kind::Other
            && matches!(
                name,
                "begin" | "start" | "commit" | "end" | "rollback" | "abort"
            )
        {
            return Err(Failure::unsupported(
                "liquibase.dump.transaction",
                format!("the dump begins or ends transactions of its own (`{name}`), so it can't be restored in one"),
            )
            .remedy("dump the database with pg_dump"));
        }
        let Some(part) = self.part(statement) else {
            return Ok(Decision::Keep);
        };
        let schema = schema(statement);
        let known = match part {
            Part::ChangeSets => {
                let new = || Liquibase {
                    schema: schema.to_owned(),
                    table: statement.name.clone(),
                    lock: None,
                    has_lock: false,
                    change_sets: Vec::new(),
                };
                &self.history.liquibase.get_or_insert_with(new).schema
            }
            Part::Migrations => {
                let new = || Flyway {
                    schema: schema.to_owned(),
                    table: statement.name.clone(),
                    migrations: Vec::new(),
                };
                &self.history.flyway.get_or_insert_with(new).schema
            }
            Part::Lock => {
                self.lock.get_or_insert_default();
                return Ok(Decision::Rows);
            }
        };
        if known != schema {
            return Err(ambiguous(name, known, schema));
        }
        Ok(Decision::Rows)
    }

    fn row(&mut self, statement: &Statement, row: &Row<'_>) -> Result<bool, Failure> {
        self.rows += 1;
        limit(self.rows)?;
        match self.part(statement) {
            Some(Part::ChangeSets) => {
                let field = |column| field(row, statement, &LIQUIBASE_COLUMNS, column);
                let ran = Ran {
                    id: field("id").unwrap_or_default(),
                    author: field("author").unwrap_or_default(),
                    filename: field("filename").unwrap_or_default(),
                    exectype: field("exectype"),
                    md5sum: field("md5sum"),
                    deployment_id: field("deployment_id"),
                };
                if let Some(liquibase) = &mut self.history.liquibase {
                    liquibase.change_sets.push(ran);
                }
            }
            Some(Part::Lock) => {
                let field = |column| field(row, statement, &LOCK_COLUMNS, column);
                if field("locked").is_some_and(|locked| is_true(&locked)) {
                    self.lock = Some(Some(Lock {
                        by: field("lockedby"),
                        since: field("lockgranted"),
                    }));
                }
            }
            Some(Part::Migrations) => {
                let field = |column| field(row, statement, &FLYWAY_COLUMNS, column);
                let installed = Installed {
                    installed_rank: field("installed_rank")
                        .and_then(|rank| rank.parse().ok())
                        .unwrap_or_default(),
                    version: field("version"),
                    description: field("description").unwrap_or_default(),
                    kind: field("type").unwrap_or_default(),
                    script: field("script").unwrap_or_default(),
                    success: field("success").is_some_and(|success| is_true(&success)),
                };
                if let Some(flyway) = &mut self.history.flyway {
                    flyway.migrations.push(installed);
                }
            }
            None => {}
        }
        Ok(true)
    }
}

fn schema(statement: &Statement) -> &str {
    statement.schema.as_deref().unwrap_or("public")
}

/// A value by its column; where the statement names none, they stand as the tool made the table.
fn field(row: &Row<'_>, statement: &Statement, columns: &[&str], column: &str) -> Option<String> {
    if !statement.columns.is_empty() {
        return row.text(column).map(Cow::into_owned);
    }
    let at = columns.iter().position(|name| *name == column)?;
    let value = row.values().get(at)?.as_ref()?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "t" | "true" | "1")
}

/// The comments that hold a history.
pub(crate) fn append(history: &History) -> Result<Vec<u8>, Failure> {
    let mut line = format!("\n{MARK}").into_bytes();
    // JSON escapes the ends of lines, so this stays one comment.
    serde_json::to_writer(&mut line, history)
        .map_err(|error| Failure::internal("liquibase.history.write", error.to_string()))?;
    line.push(b'\n');
    let length = line.len();
    line.extend(format!("{MARK}{length} {LENGTH}\n").into_bytes());
    Ok(line)
}

/// Reads the history at the end of a stored dump.
pub(crate) fn read(tree: &dyn Tree, path: &str) -> Result<History, Failure> {
    let missing = || {
        Failure::corrupt(
            "liquibase.history.missing",
            format!("{path} does not end with the history that a backup records there"),
        )
        .remedy("restore a snapshot that this plugin made")
    };
    let size = tree.stat(path)?.ok_or_else(missing)?.size;
    let last = tree.read(path, size.saturating_sub(LAST_LINE), LAST_LINE as u32)?;
    let last = String::from_utf8_lossy(&last).into_owned();
    let line = last
        .trim_end_matches('\n')
        .rsplit('\n')
        .next()
        .unwrap_or_default();
    let length = line
        .strip_prefix(MARK)
        .and_then(|line| line.strip_suffix(LENGTH))
        .and_then(|length| length.trim().parse::<u64>().ok())
        .filter(|length| *length <= LONGEST)
        .ok_or_else(missing)?;
    let end = size
        .checked_sub(line.len() as u64 + 1)
        .ok_or_else(missing)?;
    let mut at = end.checked_sub(length).ok_or_else(missing)?;
    let mut text = Vec::new();
    while at < end {
        let most = (end - at).min(u64::from(READ_LIMIT));
        let chunk = tree.read(path, at, most as u32)?;
        if chunk.is_empty() {
            return Err(missing());
        }
        at += chunk.len() as u64;
        text.extend(chunk);
    }
    let json = text
        .trim_ascii()
        .strip_prefix(MARK.as_bytes())
        .ok_or_else(missing)?;
    serde_json::from_slice(json).map_err(|_| missing())
}
