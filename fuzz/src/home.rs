//! Whatever an application left in its folders, handed to its plugin as the host does it.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use copal_plugin_gitlab::Gitlab;
use copal_plugin_jpom::Jpom;
use copal_plugin_liquibase::LiquibasePlugin;
use copal_plugin_metabase::Metabase;
use copal_sdk::testing::{DiskTree, MemoryTree, NOW, run_pass};
use copal_sdk::{
    BackupRequest, Command, Direction, Failure, Fragment, Intent, Output, Pass, Plugin, Probe,
    RestoreRequest, SourceContent, Tree, config,
};
use serde_json::{Value, json};

const STREAMS: &str = "streams";

/// A case of a plugin: the folders of an application.
struct Case {
    plugin: &'static str,
    name: &'static str,
    settings: &'static str,
    survives: fn(&Self, &str, &[u8]) -> Result<(), Failure>,
    roots: OnceLock<Vec<MemoryTree>>,
}

impl Case {
    const fn new<P: Plugin>(
        plugin: &'static str,
        name: &'static str,
        settings: &'static str,
    ) -> Self {
        Self {
            plugin,
            name,
            settings,
            survives: survives::<P>,
            roots: OnceLock::new(),
        }
    }

    /// Its roots, and its streams as one more.
    fn roots(&self) -> Vec<MemoryTree> {
        let read = || {
            let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
            let case = plugins.join(self.plugin).join("cases").join(self.name);
            let folders = fs::read_dir(case.join("roots")).expect("a case");
            let folders = folders.map(|folder| folder.expect("a case").path());
            let folders = folders.chain([case.join(STREAMS)]);
            let folders = folders.filter(|folder| folder.is_dir());
            folders.map(|folder| tree(&folder)).collect()
        };
        self.roots.get_or_init(read).clone()
    }
}

static CASES: [Case; 4] = [
    Case::new::<Gitlab>("gitlab", "archives", r#"{"archives":"all"}"#),
    Case::new::<Jpom>("jpom", "stopped", r#"{"stopped":true}"#),
    Case::new::<LiquibasePlugin>("liquibase", "dump", r#"{"database":"app"}"#),
    Case::new::<Metabase>("metabase", "stopped", r#"{"stopped":true}"#),
];

/// A plugin and a file's path on the first line, then what the file holds, among the folders of a case: they are backed up and restored.
pub fn home(bytes: &[u8]) -> bool {
    let Some((first, content)) = split(bytes) else {
        return false;
    };
    let Some((plugin, path)) = first.split_once(' ') else {
        return false;
    };
    let case = CASES.iter().find(|case| case.plugin == plugin);
    case.is_some_and(|case| (case.survives)(case, path, content).is_ok())
}

/// A changelog's name on the first line, and what it says.
pub fn changelog(bytes: &[u8]) -> bool {
    let Some((name, content)) = split(bytes) else {
        return false;
    };
    let changelog = MemoryTree::new("changelog")
        .file("more/one.xml", "<databaseChangeLog/>")
        .file(name, content);
    let detected = LiquibasePlugin::detect(&changelog, &Database::Migrated);
    let request = BackupRequest {
        roots: changelog.into(),
        probe: &Database::Migrated,
        config: parsed::<LiquibasePlugin>(
            &json!({"database": "app", "changelog": name}).to_string(),
        ),
        now: NOW,
    };
    detected.is_ok() && LiquibasePlugin::plan_backup(&request).is_ok()
}

/// A path within a folder and what follows its line.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let path = std::str::from_utf8(&bytes[..end]).ok()?;
    let whole = path.split('/').all(|name| !["", ".", ".."].contains(&name));
    (whole && !path.contains('\0')).then_some((path, &bytes[end + 1..]))
}

fn parsed<P: Plugin>(json: &str) -> P::Config {
    config::parse(json).expect("a configuration")
}

/// Backs up and restores the roots of a case, in which the file at `path`, ROOT/…, holds `content`.
fn survives<P: Plugin>(case: &Case, path: &str, content: &[u8]) -> Result<(), Failure> {
    let mut roots = case.roots();
    let place = path.split_once('/').and_then(|(name, path)| {
        let root = roots.iter_mut().find(|root| root.name() == name)?;
        Some((root, path))
    });
    let Some((root, path)) = place else {
        return Err(Failure::missing("fuzz.root", "the case has no such root"));
    };
    *root = root.clone().file(path, content);
    let streams = roots.iter().position(|root| root.name() == STREAMS);
    let streams = streams.map(|at| roots.remove(at));
    for root in &roots {
        P::detect(root, &Database::Empty)?;
    }
    let plan = P::plan_backup(&BackupRequest {
        roots: roots.iter().cloned().collect(),
        probe: &Database::Empty,
        config: parsed::<P>(case.settings),
        now: NOW,
    })?;
    let mut snapshot = Vec::new();
    for source in &plan.sources {
        let passed = match &source.content {
            SourceContent::Tree(name) => {
                let root = roots.iter().find(|root| root.name() == *name);
                let root = root.expect("the case has what its plan reads");
                let pass = || run_pass::<P::Pass>(root, Direction::Backup, &plan.state);
                let passed = pass()?;
                assert_eq!(pass().as_ref(), Ok(&passed), "the same in, the same out");
                passed.0
            }
            SourceContent::Command(stream) => {
                let streams = streams.as_ref().expect("the case has streams");
                filtered::<P>(streams, &stream.name, Direction::Backup, &plan.state)?
            }
        };
        snapshot.push(passed);
    }
    let streams = snapshot.iter().filter(|tree| tree.name() == STREAMS);
    let streams: Vec<String> = streams.flat_map(names).collect();
    let plan = P::plan_restore(&RestoreRequest {
        targets: roots
            .iter()
            .map(|root| MemoryTree::new(root.name()))
            .collect(),
        snapshot: snapshot.iter().cloned().collect(),
        probe: &Database::Empty,
        intent: Intent::Migrate,
        rehearsal: false,
        config: parsed::<P>(case.settings),
        now: NOW,
        facts: plan.facts.into(),
        streams: streams.clone(),
    })?;
    for tree in &snapshot {
        if tree.name() == STREAMS {
            for stream in &streams {
                filtered::<P>(tree, stream, Direction::Restore, &plan.state)?;
            }
        } else {
            run_pass::<P::Pass>(tree, Direction::Restore, &plan.state)?;
        }
    }
    Ok(())
}

fn names(tree: &MemoryTree) -> Vec<String> {
    tree.paths().into_iter().map(str::to_owned).collect()
}

/// What a plan's filter makes of a stream, in a tree of its own.
fn filtered<P: Plugin>(
    streams: &MemoryTree,
    name: &str,
    direction: Direction,
    state: &[u8],
) -> Result<MemoryTree, Failure> {
    let state = serde_json::from_slice(state).expect("what a plan has made");
    let mut pass = P::Pass::start(direction, state)?;
    let entry = streams.stat(name)?.expect("a stream");
    let mut filter = pass.open(STREAMS, &entry)?;
    let mut out = Vec::new();
    for chunk in streams.read_all(name, usize::MAX)?.chunks(1_000) {
        filter.push(chunk, &mut out)?;
    }
    filter.finish(&mut out)?;
    Ok(MemoryTree::new(STREAMS).file(name, out))
}

fn tree(folder: &Path) -> MemoryTree {
    let name = folder.file_name().expect("a name").to_string_lossy();
    let disk = DiskTree::new(name.clone(), folder).expect("a folder");
    copied(&disk, "", MemoryTree::new(name))
}

fn copied(disk: &DiskTree, path: &str, mut tree: MemoryTree) -> MemoryTree {
    for entry in disk.list(path).expect("a folder") {
        let path = entry.path.clone();
        let read = || disk.read_all(&path, usize::MAX).expect("a file");
        let content = if entry.is_file() { read() } else { Vec::new() };
        let within = entry.is_directory();
        tree = tree.node(entry, content);
        if within {
            tree = copied(disk, &path, tree);
        }
    }
    tree
}

/// Answers the questions of the plugin `liquibase` for a database, and refuses all others.
enum Database {
    Empty,
    /// With a history of Liquibase and one of Flyway.
    Migrated,
}

impl Probe for Database {
    fn run(&self, command: &Command) -> Result<Output, Failure> {
        let asked = command.stdin.iter().flatten();
        let asked: String = asked
            .map(|(Fragment::Plain(text) | Fragment::Secret(text))| text.as_str())
            .collect();
        let tables = ["databasechangelog", "flyway_schema_history"];
        let answer = match self {
            Self::Empty if asked.contains("server_version_num") => {
                json!({"version": 150_018, "objects": 0, "tables": []})
            }
            Self::Migrated if asked.contains("server_version_num") => {
                let tables = tables.map(|name| json!({"schema": "public", "name": name}));
                json!({"version": 150_018, "objects": 2, "tables": tables})
            }
            Self::Migrated if !asked.contains("OFFSET 0;") => Value::Null,
            Self::Migrated if asked.contains("orderexecuted") => {
                json!({"id": "1", "author": "ada", "filename": "db.xml"})
            }
            Self::Migrated if asked.contains("installed_rank") => {
                json!({"installed_rank": 1, "version": "1", "description": "one", "type": "SQL", "script": "V1__one.sql", "success": true})
            }
            _ => return Err(Failure::missing("fuzz.answer", "nothing answers")),
        };
        let answer = if answer.is_null() {
            String::new()
        } else {
            answer.to_string()
        };
        Ok(Output {
            code: 0,
            stdout: answer.into_bytes(),
            stderr: Vec::new(),
            truncated: false,
        })
    }
}
