//! A plugin that breaks one rule of the contract. Which one, the file `mode` in the first of its roots says; what it breaks by describing itself, a
//! block of its bytes says, which the test writes over. It does without the SDK, which keeps some of the rules by itself.

#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, unused_imports, reason = "only a component has exports")
)]

use std::hint::black_box;

use bindings::copal::plugin::plan::{
    Action, BackupPlan, Base, Fact, Location, Placement, PlacementContent, RestorePlan, Source,
    SourceContent, Step, Window, WriteFile,
};
use bindings::copal::plugin::process;
use bindings::copal::plugin::tree::Tree;
use bindings::copal::plugin::types::{
    Command, Failure, FailureKind, Finding, Intent, Kind, Severity,
};
use bindings::exports::copal::plugin::app::{
    Application, BackupRequest, Capability, Description, Detection, RestoreRequest, RootSpec,
    VerifyRequest,
};

mod bindings {
    #![allow(
        unsafe_code,
        missing_docs,
        unreachable_pub,
        clippy::all,
        reason = "generated"
    )]
    wit_bindgen::generate!({ path: "../../../wit", generate_all });
}

mod pass;

/// The mark that the block begins with.
const MARK: &str = "@fickle-describe@";

/// The mark, and a word filled up with blanks.
static BLOCK: [u8; 64] = {
    let mut block = [b' '; 64];
    let mark = MARK.as_bytes();
    let mut i = 0;
    while i < mark.len() {
        block[i] = mark[i];
        i += 1;
    }
    block
};

/// The roots.
const DATA: &str = "data";
const BESIDE: &str = "beside";

struct Fickle;

#[cfg(target_arch = "wasm32")]
mod exports {
    #![allow(unsafe_code, reason = "generated")]
    use crate::Fickle;

    crate::bindings::export!(Fickle with_types_in crate::bindings);
}

/// What the first tree says that the plugin does wrong; nothing where it says nothing.
fn mode(trees: &[&Tree]) -> String {
    let first = trees.iter().find(|tree| tree.name() == DATA);
    let said = first.and_then(|tree| tree.read("mode", 0, 64).ok());
    String::from_utf8(said.unwrap_or_default())
        .map(|mode| mode.trim().to_owned())
        .unwrap_or_default()
}

fn failure(kind: FailureKind, code: &str, message: &str) -> Failure {
    Failure {
        kind,
        code: code.to_owned(),
        message: message.to_owned(),
        remedy: None,
    }
}

fn finding(severity: Severity, code: &str, path: Option<&str>) -> Finding {
    Finding {
        severity,
        code: code.to_owned(),
        message: "As told.".to_owned(),
        remedy: None,
        path: path.map(str::to_owned),
    }
}

/// Takes an empty object, and whatever the mode lets pass.
fn check_config(config: &str, mode: &str) -> Result<(), Failure> {
    let fits = match serde_json::from_str(config) {
        Ok(serde_json::Value::Object(settings)) => settings.is_empty() || mode == "keys",
        _ => mode == "shape",
    };
    let told = || {
        failure(
            FailureKind::InvalidConfig,
            "fickle.config",
            "it takes no settings",
        )
    };
    fits.then_some(()).ok_or_else(told)
}

fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        environment: Vec::new(),
        stdin: None,
        descriptors: Vec::new(),
        timeout: 60,
    }
}

fn step(id: &str, action: Action) -> Step {
    Step {
        id: id.to_owned(),
        title: "Do it".to_owned(),
        action,
        undo: None,
        capture: false,
    }
}

impl bindings::exports::copal::plugin::app::Guest for Fickle {
    fn describe() -> Description {
        let block: &[u8] = black_box(&BLOCK);
        let word = String::from_utf8_lossy(block).into_owned();
        let word = word.trim_start_matches(MARK).trim();
        assert!(word != "answers", "as told");
        let root = |name: &str, conflicts: &[&str]| RootSpec {
            name: name.to_owned(),
            description: "Any directory.".to_owned(),
            conflicts: conflicts.iter().map(|&name| name.to_owned()).collect(),
        };
        let capability = |grant: &str, reason: &str| Capability {
            grant: grant.to_owned(),
            reason: reason.to_owned(),
        };
        let mut description = Description {
            name: "tests/fickle".to_owned(),
            version: "0.1.0".to_owned(),
            summary: "Breaks one rule.".to_owned(),
            roots: vec![root(DATA, &[]), root(BESIDE, &[])],
            any_roots: false,
            config_schema: r#"{"type":"object","additionalProperties":false}"#.to_owned(),
            capabilities: vec![capability("probe:id --user", "To see who it is")],
            applications: vec![Application {
                name: "Any".to_owned(),
                versions: "all".to_owned(),
            }],
            intents: vec![Intent::Recover, Intent::Migrate, Intent::Clone],
        };
        match word {
            "texts" => description.summary = "In two\nlines.".to_owned(),
            "roots" => description.roots.push(root("other", &["nobody"])),
            "capabilities" => description
                .capabilities
                .push(capability("probe:id --user", "To see it again")),
            "intents" => description.intents.push(Intent::Recover),
            "config-schema" => description.config_schema = r#"{"type":"object"}"#.to_owned(),
            _ => {}
        }
        description
    }

    fn detect(root: Tree) -> Result<Option<Detection>, Failure> {
        let mode = mode(&[&root]);
        assert!(mode != "detect", "as told");
        // Who refuses it does not matter, as long as it was asked for.
        drop(process::run(&command(&["id", "--user"])));
        if mode == "detect-probe" {
            drop(process::run(&command(&["id", "--group"])));
        }
        Ok(Some(Detection {
            application: "Any".to_owned(),
            version: None,
            root: if mode == "detect-root" {
                "elsewhere"
            } else {
                DATA
            }
            .to_owned(),
            confidence: 1,
            because: Vec::new(),
        }))
    }

    fn plan_backup(roots: Vec<Tree>, request: BackupRequest) -> Result<BackupPlan, Failure> {
        let mode = mode(&roots.iter().collect::<Vec<_>>());
        assert!(mode != "backup", "as told");
        check_config(&request.config, &mode)?;
        let mut plan = BackupPlan {
            findings: vec![finding(Severity::Info, "fickle.told", Some(DATA))],
            facts: vec![Fact {
                name: "mode".to_owned(),
                value: serde_json::Value::from(mode.as_str()).to_string(),
            }],
            quiesce: Vec::new(),
            sources: Vec::new(),
            state: mode.clone().into_bytes(),
        };
        for root in &roots {
            plan.sources.push(Source {
                name: root.name(),
                after: Vec::new(),
                window: Window::Live,
                content: SourceContent::Tree(root.name()),
            });
        }
        match mode.as_str() {
            "backup-declared" => plan
                .quiesce
                .push(step("touch", Action::Run(command(&["touch", "x"])))),
            "backup-code" => plan
                .findings
                .push(finding(Severity::Info, "Not a code", None)),
            "backup-path" => {
                let wrong = finding(Severity::Info, "fickle.told", Some("/etc/passwd"));
                plan.findings.push(wrong);
            }
            _ => {}
        }
        Ok(plan)
    }

    fn plan_restore(
        targets: Vec<Tree>,
        snapshot: Vec<Tree>,
        request: RestoreRequest,
    ) -> Result<RestorePlan, Failure> {
        let mode = mode(&snapshot.iter().collect::<Vec<_>>());
        assert!(mode != "restore", "as told");
        check_config(&request.config, &mode)?;
        let placement = |tree: &Tree| Placement {
            name: tree.name(),
            after: Vec::new(),
            content: PlacementContent::Tree(tree.name()),
        };
        let mut plan = RestorePlan {
            findings: Vec::new(),
            safeguards: Vec::new(),
            before: Vec::new(),
            placements: snapshot.iter().map(placement).collect(),
            after: Vec::new(),
            state: mode.clone().into_bytes(),
        };
        match mode.as_str() {
            "restore-declared" => plan
                .after
                .push(step("touch", Action::Run(command(&["touch", "x"])))),
            "restore-beside" if targets.iter().any(|tree| tree.name() == BESIDE) => {
                let write = WriteFile {
                    to: Location {
                        base: Base::Root(BESIDE.to_owned()),
                        path: "planted".to_owned(),
                    },
                    content: Vec::new(),
                    mode: None,
                };
                plan.after.push(step("plant", Action::Write(write)));
            }
            "intents-refused" if request.intent == Intent::Clone => {
                plan.findings
                    .push(finding(Severity::Error, "fickle.clone", None))
            }
            "intents-failed" if request.intent == Intent::Clone => {
                return Err(failure(FailureKind::Unsupported, "fickle.clone", "as told"));
            }
            _ => {}
        }
        Ok(plan)
    }

    fn verify(
        _targets: Vec<Tree>,
        snapshot: Vec<Tree>,
        request: VerifyRequest,
    ) -> Result<Vec<Finding>, Failure> {
        let mode = mode(&snapshot.iter().collect::<Vec<_>>());
        assert!(mode != "verify", "as told");
        check_config(&request.config, &mode)?;
        if mode == "verify-mute" {
            return Err(failure(FailureKind::Corrupt, "fickle.mute", ""));
        }
        Ok(Vec::new())
    }
}

/// Whether the content of an entry goes through a filter.
fn is_filtered(kind: Kind, path: &str) -> bool {
    kind == Kind::File && path.ends_with(".txt")
}
