//! GitLabs in memory.

use copal_plugin_gitlab::{Config, Gitlab, GitlabPass};
use copal_sdk::testing::{FakeProbe, MemoryTree, NOW, run_pass};
use copal_sdk::{
    Action, BackupPlan, BackupRequest, Direction, Entry, Failure, Finding, Intent, Kind, Owner,
    Plugin, Probe, RestorePlan, RestoreRequest, Severity, Step, Trees, VerifyRequest, config,
};

/// GitLab 13.0.6's archive of one repository.
pub(crate) const OLD: &[u8] = include_bytes!(
    "../../cases/archives/roots/backups/1593450065_2020_06_29_13.0.6_gitlab_backup.tar"
);
pub(crate) const OLD_NAME: &str = "1593450065_2020_06_29_13.0.6";

/// GitLab 15.1.0's archive of the same, in the layout with pointers.
pub(crate) const NEW: &[u8] = include_bytes!(
    "../../cases/archives/roots/backups/1755221522_2025_08_15_15.1.0_gitlab_backup.tar"
);
pub(crate) const NEW_NAME: &str = "1755221522_2025_08_15_15.1.0";

/// The file of an archive.
pub(crate) fn file(name: &str) -> String {
    format!("{name}_gitlab_backup.tar")
}

/// A folder with both archives, and what should not be saved.
pub(crate) fn backups() -> MemoryTree {
    MemoryTree::new("backups")
        .file(&file(OLD_NAME), OLD)
        .file(&file(NEW_NAME), NEW)
        .file("notes.txt", "call Bob")
        .file("tmp/leftover", "x")
}

/// A folder with one archive.
pub(crate) fn one(name: &str, content: &[u8]) -> MemoryTree {
    MemoryTree::new("backups").file(&file(name), content)
}

pub(crate) fn configuration(json: &str) -> Config {
    config::parse(json).unwrap()
}

pub(crate) fn backup(
    roots: impl Into<Trees>,
    probe: &FakeProbe,
    json: &str,
) -> Result<BackupPlan, Failure> {
    Gitlab::plan_backup(&BackupRequest {
        roots: roots.into(),
        probe,
        config: configuration(json),
        now: NOW,
    })
}

/// What a backup's passes make of a tree, and what they say.
pub(crate) fn saved(tree: &MemoryTree, plan: &BackupPlan) -> (MemoryTree, Vec<Finding>) {
    run_pass::<GitlabPass>(tree, Direction::Backup, &plan.state).unwrap()
}

/// A restore in the making.
pub(crate) struct Restoring {
    pub(crate) snapshot: Vec<MemoryTree>,
    pub(crate) targets: Vec<MemoryTree>,
    pub(crate) probe: FakeProbe,
    pub(crate) json: String,
    pub(crate) intent: Intent,
    pub(crate) rehearsal: bool,
    pub(crate) facts: Vec<copal_sdk::Fact>,
}

impl Restoring {
    pub(crate) fn new(snapshot: MemoryTree, target: MemoryTree) -> Self {
        Self {
            snapshot: vec![snapshot],
            targets: vec![target],
            probe: FakeProbe::new(),
            json: "{}".to_owned(),
            intent: Intent::Migrate,
            rehearsal: false,
            facts: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, json: &str) -> Self {
        self.json = json.to_owned();
        self
    }

    pub(crate) fn asking(mut self, probe: FakeProbe) -> Self {
        self.probe = probe;
        self
    }

    pub(crate) fn facts(mut self, plan: BackupPlan) -> Self {
        self.facts = plan.facts;
        self
    }

    pub(crate) fn plan(&self) -> RestorePlan {
        self.plan_asking(&self.probe)
    }

    pub(crate) fn plan_asking(&self, probe: &dyn Probe) -> RestorePlan {
        Gitlab::plan_restore(&RestoreRequest {
            targets: self.targets.iter().cloned().collect(),
            snapshot: self.snapshot.iter().cloned().collect(),
            probe,
            intent: self.intent,
            rehearsal: self.rehearsal,
            config: configuration(&self.json),
            now: NOW,
            facts: self.facts.clone().into(),
            streams: Vec::new(),
        })
        .unwrap()
    }

    /// What the plan's passes put in place of the snapshot's first tree.
    pub(crate) fn placed(&self) -> MemoryTree {
        let (placed, _) =
            run_pass::<GitlabPass>(&self.snapshot[0], Direction::Restore, &self.plan().state)
                .unwrap();
        placed
    }

    /// What is said of `target` once the restore is done.
    pub(crate) fn verify(&self, target: MemoryTree, output: Option<&str>) -> Vec<Finding> {
        let capture = output.map(|output| copal_sdk::Capture {
            step: "restore-archive".to_owned(),
            output: output.into(),
        });
        Gitlab::verify(&VerifyRequest {
            targets: target.into(),
            snapshot: self.snapshot.iter().cloned().collect(),
            probe: &self.probe,
            intent: self.intent,
            rehearsal: self.rehearsal,
            config: configuration(&self.json),
            facts: self.facts.clone().into(),
            captures: capture.into_iter().collect(),
        })
        .unwrap()
    }
}

/// The container `gl` of an Omnibus image of this version in which all is well.
pub(crate) fn omnibus(version: &str) -> FakeProbe {
    FakeProbe::new()
        .answer(
            ["docker", "inspect", "-f", "{{{{.State.Running}}}}", "gl"],
            0,
            "true",
        )
        .answer(
            ["docker", "exec", "gl", "id", "git"],
            0,
            "uid=998(git) gid=997(git) groups=997(git)",
        )
        .answer(
            [
                "docker",
                "exec",
                "gl",
                "cat",
                "/opt/gitlab/embedded/service/gitlab-rails/VERSION",
            ],
            0,
            format!("{version}\n"),
        )
        .answer(
            ["docker", "exec", "gl", "gitlab-ctl", "status", "gitaly"],
            0,
            "run: gitaly: (pid 7) 70s",
        )
        .answer(
            [
                "docker",
                "exec",
                "gl",
                "cat",
                "/etc/gitlab/gitlab-secrets.json",
            ],
            0,
            r#"{"gitlab_rails":{"db_key_base":"hush","otp_key_base":"hush too"}}"#,
        )
        .answer(foreign(FOLDERS).split(' '), 0, "")
}

/// GitLab's folders in an Omnibus image.
pub(crate) const FOLDERS: &str = "/var/opt/gitlab/git-data/repositories /var/opt/gitlab/gitlab-rails/uploads /var/opt/gitlab/gitlab-rails/shared /var/opt/gitlab/gitlab-ci/builds";

/// Asks the container `gl` which of these folders are not git's.
pub(crate) fn foreign(folders: &str) -> String {
    format!("docker exec gl find {folders} -maxdepth 0 ! -user git")
}

pub(crate) fn node(path: &str, kind: Kind, mode: u32, uid: u32, gid: u32) -> Entry {
    Entry {
        path: path.to_owned(),
        kind,
        size: 0,
        mode,
        owner: Owner {
            uid,
            gid,
            user: "somebody".to_owned(),
            group: "somebody".to_owned(),
        },
        modified: NOW,
        link_target: None,
    }
}

pub(crate) fn errors(findings: &[Finding]) -> Vec<&str> {
    codes(findings, Severity::Error)
}

pub(crate) fn warnings(findings: &[Finding]) -> Vec<&str> {
    codes(findings, Severity::Warning)
}

fn codes(findings: &[Finding], severity: Severity) -> Vec<&str> {
    let chosen = findings
        .iter()
        .filter(|finding| finding.severity == severity);
    chosen.map(|finding| finding.code.as_str()).collect()
}

#[track_caller]
pub(crate) fn finding<'a>(findings: &'a [Finding], code: &str) -> &'a Finding {
    let found = findings.iter().find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("no {code} in {findings:#?}"))
}

/// Steps as words: commands, and what is removed.
pub(crate) fn words(steps: &[Step]) -> Vec<String> {
    steps
        .iter()
        .map(|step| match &step.action {
            Action::Run(command) => command.argv.join(" "),
            Action::Remove(location) => format!("remove {}", location.path),
            other => format!("{other:?}"),
        })
        .collect()
}

/// What takes steps back, as words.
pub(crate) fn undo(steps: &[Step]) -> Vec<String> {
    let undo = steps.iter().filter_map(|step| match &step.undo {
        Some(Action::Run(command)) => Some(command.argv.join(" ")),
        _ => None,
    });
    undo.collect()
}
