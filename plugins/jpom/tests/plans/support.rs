//! Jpoms in memory, and plans as text.

use copal_plugin_jpom::{Config, Jpom};
use copal_sdk::h2;
use copal_sdk::testing::{FakeProbe, MemoryTree, NOW};
use copal_sdk::{
    Action, BackupPlan, BackupRequest, Base, Fact, Failure, Finding, Fragment, Intent, Location,
    PlacementContent, Plugin, Probe, RestorePlan, RestoreRequest, SourceContent, Step, Trees,
    Window, config,
};

/// The id of every Jpom in memory.
pub(crate) const ID: &str = "91c653b3e17c4021b486416e33d014c8";
/// The id of a Jpom that was installed elsewhere.
pub(crate) const OTHER: &str = "5f0e4c2d9b8a47c6a1d3e2f4b5c6d7e8";

pub(crate) const APPLICATION_YML: &str = "jpom:\n  path:\n  db:\n    mode: H2\n    user-pwd: hunter2\n  cluster:\n    \
    id: default\n    heart-second: 30\n  user:\n    token-jwt-key: also-a-secret\n";

/// The beginning of a database's file, with a right checksum.
pub(crate) fn database(format: u32, clean: bool) -> Vec<u8> {
    let clean = if clean { "clean:1," } else { "" };
    let entries = format!(
        "H:2,block:3,blockSize:1000,chunk:2,{clean}created:1a1fba5307a,format:{format},version:2"
    );
    let header = format!(
        "{entries},fletcher:{:x}\n",
        h2::fletcher32(entries.as_bytes())
    );
    let mut block = header.into_bytes();
    block.resize(h2::HEADER_LENGTH / 2, b' ');
    [block.clone(), block, vec![7; 4096]].concat()
}

pub(crate) fn install(id: &str) -> String {
    format!(r#"{{"installId":"{id}","installTime":"2023-12-24 10:00:00","desc":"x"}}"#)
}

/// A Jpom in the Docker layout whose database is closed.
pub(crate) fn docker() -> MemoryTree {
    MemoryTree::new("home")
        .file("conf/application.yml", APPLICATION_YML)
        .file("data/db/Server.mv.db", database(2, true))
        .file("data/data/INSTALL.json", install(ID))
}

/// What a Jpom gathers besides.
pub(crate) fn used(jpom: MemoryTree) -> MemoryTree {
    jpom.file("data/db/Server.trace.db", "trace")
        .file("data/db/Server.lock.db", "lock")
        .file("data/db/backup/20231224000000.sql", "SELECT 1")
        .file("data/db/recover_backup/1/Server.mv.db", "old")
        .file("data/db/execute.init.sql.log", "sha1\n")
        .file("data/data/build/web/result/app.jar", "a build")
        .file("data/data/build/api/result/app.jar", "a build")
        .file("data/data/sshkey/id_rsa", "a key")
        .file("data/data/certificate/x.pem", "a key")
        .file("data/data/docker/tls-cert/x/key.pem", "a key")
        .file("data/data/script/deploy.sh", "echo")
        .file("data/data/temp/upload", "x")
        .file("data/data/script_run_cache/1.sh", "x")
        .file("data/data/remote_version.json", "{}")
        .file("lib/server-2.11.12.jar", "jar")
        .file("logs/server.log", "x")
}

/// A Jpom in the plain layout whose database is closed.
pub(crate) fn plain() -> MemoryTree {
    MemoryTree::new("home")
        .file("conf/application.yml", APPLICATION_YML)
        .file("db/Server.mv.db", database(2, true))
        .file("data/INSTALL.json", install(ID))
}

pub(crate) fn configuration(json: &str) -> Config {
    config::parse(json).unwrap()
}

pub(crate) fn plan_backup(
    roots: impl Into<Trees>,
    json: &str,
    probe: &dyn Probe,
) -> Result<BackupPlan, Failure> {
    Jpom::plan_backup(&BackupRequest {
        roots: roots.into(),
        probe,
        config: configuration(json),
        now: NOW,
    })
}

/// A backup's plan where nothing may be probed.
pub(crate) fn backup(root: MemoryTree, json: &str) -> BackupPlan {
    plan_backup(root, json, &FakeProbe::new()).unwrap()
}

/// What a restore is asked.
pub(crate) struct Restoring {
    pub(crate) snapshot: Trees,
    pub(crate) target: Trees,
    pub(crate) facts: Vec<Fact>,
    pub(crate) intent: Intent,
    pub(crate) json: String,
    pub(crate) streams: Vec<String>,
    pub(crate) probe: FakeProbe,
    pub(crate) rehearsal: bool,
}

impl Restoring {
    /// A restore of a backup of `jpom` into an empty folder.
    pub(crate) fn of(jpom: &MemoryTree, intent: Intent) -> Self {
        Self {
            facts: backup(jpom.clone(), r#"{"stopped":true}"#).facts,
            snapshot: jpom.clone().into(),
            target: MemoryTree::new("home").into(),
            intent,
            json: "{}".to_owned(),
            streams: Vec::new(),
            probe: FakeProbe::new(),
            rehearsal: false,
        }
    }

    pub(crate) fn into(mut self, target: MemoryTree) -> Self {
        self.target = target.into();
        self
    }

    pub(crate) fn with(mut self, json: &str) -> Self {
        self.json = json.to_owned();
        self
    }

    pub(crate) fn plan(self) -> RestorePlan {
        Jpom::plan_restore(&RestoreRequest {
            targets: self.target,
            snapshot: self.snapshot,
            probe: &self.probe,
            intent: self.intent,
            rehearsal: self.rehearsal,
            config: configuration(&self.json),
            now: NOW,
            facts: self.facts.into(),
            streams: self.streams,
        })
        .unwrap()
    }
}

/// The codes of the findings that refuse.
pub(crate) fn errors(findings: &[Finding]) -> Vec<&str> {
    codes(findings, copal_sdk::Severity::Error)
}

pub(crate) fn warnings(findings: &[Finding]) -> Vec<&str> {
    codes(findings, copal_sdk::Severity::Warning)
}

fn codes(findings: &[Finding], severity: copal_sdk::Severity) -> Vec<&str> {
    let chosen = findings
        .iter()
        .filter(|finding| finding.severity == severity);
    chosen.map(|finding| finding.code.as_str()).collect()
}

pub(crate) fn finding<'a>(findings: &'a [Finding], code: &str) -> &'a Finding {
    let found = findings.iter().find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("no {code} in {findings:#?}"))
}

/// A backup's plan as a person would read it.
pub(crate) fn show_backup(plan: &BackupPlan) -> String {
    let mut text = show_findings(&plan.findings);
    text.push_str("FACTS\n");
    for Fact { name, value } in &plan.facts {
        text.push_str(&format!("  {name} = {value}\n"));
    }
    text.push_str("QUIESCE\n");
    plan.quiesce
        .iter()
        .for_each(|step| text.push_str(&show_step(step)));
    text.push_str("SOURCES\n");
    for source in &plan.sources {
        let window = match source.window {
            Window::Quiesced => "quiesced",
            Window::Live => "live",
        };
        text.push_str(&match &source.content {
            SourceContent::Tree(root) => format!("  {window}: the tree {root}\n"),
            SourceContent::Command(stream) => {
                format!(
                    "  {window}: the stream {}: {}\n",
                    stream.name,
                    stream.command.argv.join(" ")
                )
            }
        });
    }
    text + "STATE\n  " + &String::from_utf8_lossy(&plan.state) + "\n"
}

/// A restore's plan as a person would read it.
pub(crate) fn show_restore(plan: &RestorePlan) -> String {
    let mut text = show_findings(&plan.findings);
    text.push_str("BEFORE\n");
    plan.before
        .iter()
        .for_each(|step| text.push_str(&show_step(step)));
    text.push_str("PLACEMENTS\n");
    for placement in &plan.placements {
        text.push_str(&match &placement.content {
            PlacementContent::Tree(root) => format!("  the tree {root}\n"),
            PlacementContent::Feed(feed) => format!("  the stream {}\n", feed.name),
        });
    }
    text.push_str("AFTER\n");
    plan.after
        .iter()
        .for_each(|step| text.push_str(&show_step(step)));
    text + "STATE\n  " + &String::from_utf8_lossy(&plan.state) + "\n"
}

fn show_findings(findings: &[Finding]) -> String {
    let mut text = String::from("FINDINGS\n");
    for finding in findings {
        let path = finding
            .path
            .as_deref()
            .map(|path| format!(" [{path}]"))
            .unwrap_or_default();
        text.push_str(&format!(
            "  {:?} {}{path}: {}\n",
            finding.severity, finding.code, finding.message
        ));
        for line in finding.remedy.iter().flat_map(|remedy| remedy.lines()) {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

fn show_step(step: &Step) -> String {
    let mut text = format!(
        "  {}: {}\n    {}\n",
        step.id,
        step.title,
        show_action(&step.action)
    );
    if let Some(undo) = &step.undo {
        text.push_str(&format!("    undo: {}\n", show_action(undo)));
    }
    if step.capture {
        text.push_str("    captured\n");
    }
    text
}

fn show_action(action: &Action) -> String {
    match action {
        Action::Run(command) => format!("run {}", command.argv.join(" ")),
        Action::Write(write) => {
            let content: String = write.content.iter().map(show_fragment).collect();
            let content = content.replace('\n', "\n      ");
            format!(
                "write {}:\n      {}",
                show_location(&write.to),
                content.trim_end()
            )
        }
        Action::Copy(copy) => format!(
            "copy {} to {}",
            show_location(&copy.from),
            show_location(&copy.to)
        ),
        Action::Remove(place) => format!("remove {}", show_location(place)),
        other => format!("{other:?}"),
    }
}

fn show_fragment(fragment: &Fragment) -> &str {
    match fragment {
        Fragment::Plain(text) => text,
        Fragment::Secret(_) => "***",
    }
}

fn show_location(location: &Location) -> String {
    let base = match &location.base {
        Base::Root(root) => root,
        Base::Scratch => "{scratch}",
    };
    format!("{base}/{}", location.path)
}
