//! A database that answers from what it holds, dumps of it, and snapshots of those.

use std::cell::RefCell;

use copal_plugin_liquibase::{Config, LiquibasePass, LiquibasePlugin};
use copal_sdk::testing::{MemoryTree, NOW};
use copal_sdk::{
    Action, BackupPlan, BackupRequest, Command, Direction, Entry, Fact, Failure, Finding, Fragment,
    Intent, Output, Pass, Plugin, Probe, RestorePlan, RestoreRequest, Severity, Trees,
    VerifyRequest, config,
};
use serde_json::{Value, json};

/// Answers the plugin's questions as `psql` would.
#[derive(Default)]
pub(crate) struct FakeDatabase {
    pub(crate) objects: u64,
    pub(crate) tables: Vec<(&'static str, &'static str)>,
    pub(crate) lock: Option<Value>,
    pub(crate) change_sets: Vec<Value>,
    pub(crate) migrations: Vec<Value>,
    /// What it was asked.
    pub(crate) asked: RefCell<Vec<Command>>,
}

impl FakeDatabase {
    /// One that Liquibase has made.
    pub(crate) fn of_liquibase(change_sets: &[(&str, &str, &str)]) -> Self {
        Self {
            objects: 4,
            tables: vec![
                ("public", "databasechangelog"),
                ("public", "databasechangeloglock"),
            ],
            change_sets: change_sets
                .iter()
                .map(|(file, id, author)| ran(file, id, author))
                .collect(),
            ..Self::default()
        }
    }
}

pub(crate) fn ran(file: &str, id: &str, author: &str) -> Value {
    json!({"id": id, "author": author, "filename": file, "exectype": "EXECUTED", "md5sum": "9:0", "deployment_id": null})
}

pub(crate) fn installed(
    rank: u32,
    version: Option<&str>,
    description: &str,
    success: bool,
) -> Value {
    let script = version.map_or(format!("R__{description}.sql"), |version| {
        format!("V{version}__{description}.sql")
    });
    json!({"installed_rank": rank, "version": version, "description": description, "type": "SQL", "script": script, "success": success})
}

impl Probe for FakeDatabase {
    fn run(&self, command: &Command) -> Result<Output, Failure> {
        self.asked.borrow_mut().push(command.clone());
        let sql = text(command.stdin.as_ref().expect("a query"));
        assert!(
            sql.starts_with("SET default_transaction_read_only = on;\n"),
            "{sql}"
        );
        // One page each.
        let rows = |rows: &[Value]| {
            if sql.contains("OFFSET 0;") {
                rows.to_vec()
            } else {
                Vec::new()
            }
        };
        let answer = if sql.contains("server_version_num") {
            let tables: Vec<Value> = self
                .tables
                .iter()
                .filter(|(_, name)| sql.contains(&format!("E'{name}'")))
                .map(|(schema, name)| json!({"schema": schema, "name": name}))
                .collect();
            vec![json!({"version": 150_018, "objects": self.objects, "tables": tables})]
        } else if sql.contains("lockedby") {
            self.lock.iter().cloned().collect()
        } else if sql.contains("orderexecuted") {
            rows(&self.change_sets)
        } else {
            assert!(sql.contains("installed_rank"), "{sql}");
            rows(&self.migrations)
        };
        let lines: String = answer.iter().map(|row| format!("{row}\n")).collect();
        Ok(Output {
            code: 0,
            stdout: lines.into_bytes(),
            stderr: Vec::new(),
            truncated: false,
        })
    }
}

/// A text with its placeholders as they are, and its secrets.
pub(crate) fn text(fragments: &[Fragment]) -> String {
    fragments
        .iter()
        .map(|fragment| match fragment {
            Fragment::Plain(text) => text.replace("{{", "{").replace("}}", "}"),
            Fragment::Secret(text) => format!("SECRET({text})"),
        })
        .collect()
}

/// A configuration with the database `app` on the host `db`, and more.
pub(crate) fn settings(more: Value) -> Config {
    let mut settings = json!({"database": "app", "host": "db", "changelog": "db/changelog.yaml"});
    settings
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    config::parse(&settings.to_string()).unwrap()
}

pub(crate) fn back_up(
    database: &FakeDatabase,
    more: Value,
    roots: Trees,
) -> Result<BackupPlan, Failure> {
    LiquibasePlugin::plan_backup(&BackupRequest {
        roots,
        probe: database,
        config: settings(more),
        now: NOW,
    })
}

/// A changelog of these change sets, all in `db/changelog.yaml`.
pub(crate) fn changelog(ids: &[(&str, &str)]) -> MemoryTree {
    let sets: Vec<Value> = ids
        .iter()
        .map(|(id, author)| json!({"changeSet": {"id": id, "author": author}}))
        .collect();
    MemoryTree::new("changelog").file(
        "db/changelog.yaml",
        json!({"databaseChangeLog": sets}).to_string(),
    )
}

/// The beginning and the end of every dump.
pub(crate) const BEGIN: &str = "--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n\n";
pub(crate) const END: &str = "--\n-- PostgreSQL database dump complete\n--\n\n";

/// A dump as `pg_dump` writes it, with Liquibase's tables.
pub(crate) fn dump(change_sets: &[(&str, &str, &str)], locked: bool) -> String {
    let rows: String = change_sets
        .iter()
        .enumerate()
        .map(|(order, (file, id, author))| {
            format!("{id}\t{author}\t{file}\t2024-01-01 00:00:00\t{}\tEXECUTED\t9:0\t\t\t\\N\t4.28.0\t\\N\t\\N\t42\n", order + 1)
        })
        .collect();
    let lock = if locked {
        "1\tt\t2024-01-01 00:00:00\tpod-7"
    } else {
        "1\tf\t\\N\t\\N"
    };
    format!(
        "{BEGIN}COPY public.databasechangelog (id, author, filename, dateexecuted, orderexecuted, exectype, md5sum, description, comments, tag, \
         liquibase, contexts, labels, deployment_id) FROM stdin;\n{rows}\\.\n\n\
         COPY public.databasechangeloglock (id, locked, lockgranted, lockedby) FROM stdin;\n{lock}\n\\.\n\n{END}"
    )
}

/// What a backup's filter makes of a dump.
pub(crate) fn recorded(dump: &str, more: Value) -> Result<String, Failure> {
    let database = FakeDatabase::of_liquibase(&[]);
    let plan = back_up(&database, more, Trees::default())?;
    filtered(Direction::Backup, &plan.state, dump.as_bytes(), usize::MAX)
        .map(|bytes| String::from_utf8(bytes).unwrap())
}

/// What the filter of a plan makes of bytes that come in chunks of this size.
pub(crate) fn filtered(
    direction: Direction,
    state: &[u8],
    bytes: &[u8],
    chunk: usize,
) -> Result<Vec<u8>, Failure> {
    let mut pass = LiquibasePass::start(direction, serde_json::from_slice(state).unwrap())?;
    let tree = MemoryTree::new("streams").file("database.sql", bytes);
    let entry: Entry = copal_sdk::Tree::stat(&tree, "database.sql")?.unwrap();
    let mut filter = pass.open("streams", &entry)?;
    let mut out = Vec::new();
    for chunk in bytes.chunks(chunk.max(1)) {
        filter.push(chunk, &mut out)?;
    }
    filter.finish(&mut out)?;
    Ok(out)
}

/// A snapshot of a dump.
pub(crate) fn snapshot(dump: &str) -> MemoryTree {
    let stream = recorded(dump, json!({"lock": "ignore"})).unwrap();
    MemoryTree::new("streams").file("database.sql", stream)
}

/// What a restore is planned from, with an empty database as its target.
pub(crate) struct Restore {
    pub(crate) snapshot: Trees,
    pub(crate) facts: Vec<Fact>,
    pub(crate) targets: Trees,
    pub(crate) database: FakeDatabase,
    pub(crate) rehearsal: bool,
}

impl Restore {
    pub(crate) fn of(snapshot: MemoryTree) -> Self {
        Self {
            snapshot: snapshot.into(),
            facts: Vec::new(),
            targets: Trees::default(),
            database: FakeDatabase::default(),
            rehearsal: false,
        }
    }

    pub(crate) fn changelog(mut self, changelog: MemoryTree) -> Self {
        self.targets = changelog.into();
        self
    }

    pub(crate) fn plan(self, more: Value) -> Result<RestorePlan, Failure> {
        let mut facts = self.facts;
        facts.retain(|fact| fact.name != "serverVersion");
        facts.push(Fact::new("serverVersion", 160_001));
        LiquibasePlugin::plan_restore(&RestoreRequest {
            targets: self.targets,
            snapshot: self.snapshot,
            probe: &self.database,
            intent: Intent::Migrate,
            config: settings(more),
            now: NOW,
            facts: facts.into(),
            streams: vec!["database.sql".to_owned()],
            rehearsal: self.rehearsal,
        })
    }

    pub(crate) fn verify(self, more: Value, captured: bool) -> Result<Vec<Finding>, Failure> {
        let capture = copal_sdk::Capture {
            step: "nothing-pending".to_owned(),
            output: b"0\n".to_vec(),
        };
        LiquibasePlugin::verify(&VerifyRequest {
            targets: self.targets,
            snapshot: self.snapshot,
            probe: &self.database,
            intent: Intent::Migrate,
            config: settings(more),
            facts: Vec::new().into(),
            captures: captured.then_some(capture).into_iter().collect(),
            rehearsal: self.rehearsal,
        })
    }
}

/// `SEVERITY CODE` of findings.
pub(crate) fn codes(findings: &[Finding]) -> Vec<String> {
    let shown = |finding: &Finding| {
        let severity = match finding.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        format!("{severity} {}", finding.code)
    };
    findings.iter().map(shown).collect()
}

/// The message of the finding of this code.
#[track_caller]
pub(crate) fn message<'a>(findings: &'a [Finding], code: &str) -> &'a str {
    let found = findings.iter().find(|finding| finding.code == code);
    &found
        .unwrap_or_else(|| panic!("no {code} in {findings:?}"))
        .message
}

/// The command of an action.
#[track_caller]
pub(crate) fn command(action: &Action) -> &Command {
    match action {
        Action::Run(command) => command,
        other => panic!("{other:?}"),
    }
}
