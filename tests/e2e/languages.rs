//! The examples in Python and JavaScript: components that import WASI, are granted nothing of it, and do their work.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use copal_tests::applications::Applications;
use copal_tests::{Outcome, Program, TestEnvironment, plugins, tree};
use serde_json::Value;

/// An example, and what is particular about its sample.
#[derive(Debug, Clone, Copy)]
struct Example {
    name: &'static str,
    application: &'static str,
    version: &'static str,
    /// What no backup of the sample holds.
    left_out: &'static [&'static str],
    /// The file that tells the version, and what stands in it for another.
    version_file: &'static str,
    newer: (&'static str, &'static str),
    /// The file with the identity.
    identity: &'static str,
}

const HOME_ASSISTANT: Example = Example {
    name: "home-assistant",
    application: "Home Assistant",
    version: "2025.11.2",
    left_out: &[".ha_run.lock", "home-assistant.log", "tts"],
    version_file: ".HA_VERSION",
    newer: ("2025.11.2", "2025.11.1"),
    identity: ".storage/core.uuid",
};

const NODE_RED: Example = Example {
    name: "node-red",
    application: "Node-RED",
    version: "4.1.0",
    left_out: &[".sessions.json", "node_modules"],
    version_file: ".config.nodes.json",
    newer: ("4.1.0", "4.0.9"),
    identity: ".config.runtime.json",
};

const EXAMPLES: [Example; 2] = [HOME_ASSISTANT, NODE_RED];

/// A world with a copy of the example's sample.
struct Scene {
    environment: TestEnvironment,
    example: Example,
    component: PathBuf,
    sample: PathBuf,
}

impl Scene {
    /// None where the example could not be built.
    fn new(example: Example) -> Option<Self> {
        let component = plugins::example(example.name)?;
        let environment = TestEnvironment::with_repository();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../examples")
            .join(example.name)
            .join("sample");
        let sample = environment.path("sample");
        copy(&sources, &sample);
        Some(Self {
            environment,
            example,
            component,
            sample,
        })
    }

    fn backup(&self, further: &str) -> Program {
        self.environment
            .backup(&self.component, &self.sample, further)
    }

    /// Backs the sample up, with nothing running.
    fn saved(example: Example) -> Option<Self> {
        let scene = Self::new(example)?;
        scene.backup("--set stopped=true").run().succeeds();
        Some(scene)
    }

    /// Whether the sample holds this path and a snapshot does not.
    fn is_left_out(&self, path: &Path) -> bool {
        self.example
            .left_out
            .iter()
            .any(|left| path.starts_with(left))
    }

    fn text(&self, path: impl AsRef<Path>) -> String {
        std::fs::read_to_string(self.environment.path(path)).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The codes of the findings in a plan, each with its severity.
fn findings(outcome: &Outcome) -> Vec<(String, String)> {
    let plan = outcome.json();
    let all = plan["plan"]["findings"]
        .as_array()
        .unwrap_or_else(|| panic!("no findings in {plan:#}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.iter()
        .map(|finding| (text(&finding["code"]), text(&finding["severity"])))
        .collect()
}

fn has(outcome: &Outcome, code: &str, severity: &str) -> bool {
    findings(outcome)
        .iter()
        .any(|(found, how)| found == code && how == severity)
}

#[test]
fn each_says_what_it_is_and_imports_nothing_but_the_contract_and_wasi() {
    for example in EXAMPLES {
        let Some(scene) = Scene::new(example) else {
            return;
        };
        let told = scene
            .environment
            .copal(["plugin", "info", "--json"])
            .arg(&scene.component)
            .run()
            .succeeds()
            .json();
        assert_eq!(told["name"], format!("example/{}", example.name));
        assert_eq!(told["applications"][0]["name"], example.application);
        let imports = told["imports"].as_array().unwrap();
        assert!(
            imports
                .iter()
                .any(|import| import.as_str().unwrap().starts_with("wasi:")),
            "{told:#}"
        );
    }
}

#[test]
fn each_plans_for_its_own_application_alone() {
    for example in EXAMPLES {
        let Some(scene) = Scene::new(example) else {
            return;
        };
        let plan = scene
            .environment
            .copal(["plan", "backup", "--json", "--set", "stopped=true"])
            .arg(&scene.component)
            .arg(&scene.sample)
            .run()
            .succeeds();
        let plan = plan.json();
        let version = plan["plan"]["facts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|fact| fact["name"] == "version");
        assert_eq!(
            version.unwrap()["value"],
            format!("\"{}\"", example.version)
        );
        let empty = scene.environment.make_directory("empty");
        scene
            .environment
            .refused(scene.environment.backup(&scene.component, &empty, ""), 1)
            .is("plugin-failure")
            .says("neither");
    }
}

#[test]
fn what_the_application_makes_anew_is_left_out_and_all_else_comes_back() {
    for example in EXAMPLES {
        let Some(scene) = Scene::saved(example) else {
            return;
        };
        let target = scene.environment.path("restored");
        scene.environment.restore(&target, "").run().succeeds();
        for left in example.left_out {
            assert!(scene.sample.join(left).exists(), "{left} is in no sample");
        }
        tree::assert_same_but(&scene.sample, &target, |path| scene.is_left_out(path));
    }
}

#[test]
fn a_clone_gets_an_identity_of_its_own_and_nothing_else_changes() {
    for example in EXAMPLES {
        let Some(scene) = Scene::saved(example) else {
            return;
        };
        let target = scene.environment.path("restored");
        let restored = scene.environment.restore(&target, "--intent clone").run();
        restored.succeeds();
        tree::assert_same_but(&scene.sample, &target, |path| {
            scene.is_left_out(path) || path == Path::new(example.identity)
        });
        let before = scene.text(Path::new("sample").join(example.identity));
        let after = scene.text(Path::new("restored").join(example.identity));
        assert_ne!(before, after);
        // The filter writes as the application does, so nothing but the identity differs.
        assert_eq!(before.len(), after.len(), "{before}\n{after}");

        // Over the clone the original can't be recovered.
        let plan = scene
            .environment
            .copal([
                "plan",
                "restore",
                "latest",
                "--json",
                "--set",
                "stopped=true",
                "--to",
            ])
            .arg(&target)
            .run();
        let code = format!("{}.identity.differs", example.name);
        assert!(has(&plan, &code, "error"), "{:?}", findings(&plan));
    }
}

#[test]
fn a_target_that_is_older_than_the_snapshot_is_refused_before_a_byte_is_written() {
    for example in EXAMPLES {
        let Some(scene) = Scene::saved(example) else {
            return;
        };
        let (new, old) = example.newer;
        let version = scene.text(Path::new("sample").join(example.version_file));
        let target = scene.environment.path("restored");
        scene.environment.write(
            &format!("restored/{}", example.version_file),
            version.replace(new, old),
        );
        let before = tree::contents(&target);
        let refusal = scene
            .environment
            .refused(scene.environment.restore(&target, "--set stopped=true"), 1);
        refusal.says(old);
        assert_eq!(tree::contents(&target), before);
    }
}

#[test]
fn a_running_container_is_stopped_for_the_backup_and_started_again() {
    for example in EXAMPLES {
        let Some(scene) = Scene::new(example) else {
            return;
        };
        let applications = Applications::install(&scene.environment);
        let ungranted = scene
            .environment
            .refused(scene.backup("--set container=app"), 1);
        ungranted.is("grants").says("docker stop");
        assert!(applications.changes().is_empty());

        let stop = match example.name {
            "home-assistant" => "docker stop -t 240 app",
            _ => "docker stop app",
        };
        let granted = scene.backup("--set container=app").args([
            "--grant",
            "probe:docker inspect -f {{.State.Running}} app",
            "--grant",
            &format!("run:{stop}"),
            "--grant",
            "run:docker start app",
        ]);
        granted.run().succeeds();
        assert_eq!(applications.changes(), [stop, "docker start app"]);
        assert!(applications.runs("app"));
    }
}

#[test]
fn an_open_database_of_home_assistant_is_not_saved() {
    let Some(scene) = Scene::new(HOME_ASSISTANT) else {
        return;
    };
    let journal = scene.sample.join("home-assistant_v2.db-wal");
    std::fs::write(&journal, "what the database lacks").unwrap();
    scene
        .environment
        .refused(scene.backup(""), 1)
        .says("home-assistant_v2.db-wal");
    // Without the history it is not read.
    scene.backup("--set history=false").run().succeeds();
    let target = scene.environment.path("restored");
    scene.environment.restore(&target, "").run().succeeds();
    assert!(!target.join("home-assistant_v2.db").exists());
    // Whoever stopped it gets the journal saved with the database.
    scene.backup("--set stopped=true").run().succeeds();
    scene
        .environment
        .restore(&target, "--set stopped=true")
        .run()
        .succeeds();
    assert!(target.join("home-assistant_v2.db-wal").exists());
}

#[test]
fn credentials_of_node_red_are_not_parted_from_their_secret() {
    let Some(scene) = Scene::saved(NODE_RED) else {
        return;
    };
    let settings = scene.text("sample/settings.js");
    let another = settings.replace("not a secret, this is a sample", "another");
    assert_ne!(settings, another);
    scene.environment.write("restored/settings.js", &another);
    let target = scene.environment.path("restored");
    let restore = |further: &str| {
        scene
            .environment
            .restore(&target, &format!("--set stopped=true {further}"))
    };
    for further in ["", "--set settings=target"] {
        scene
            .environment
            .refused(restore(further), 1)
            .says("secret");
    }
    assert_eq!(scene.text("restored/settings.js"), another);
    restore("--set settings=snapshot").run().succeeds();
    assert_eq!(scene.text("restored/settings.js"), settings);

    // No fact, plan or manifest tells the secret.
    let manifest = scene.environment.manifest().to_string();
    assert!(manifest.contains("\"check\""), "{manifest}");
    assert!(!manifest.contains("not a secret, this is a sample"));
}

#[test]
fn a_target_that_keeps_its_settings_gets_all_else() {
    let Some(scene) = Scene::saved(NODE_RED) else {
        return;
    };
    let own = scene.text("sample/settings.js").replace("1880", "1990");
    scene.environment.write("restored/settings.js", &own);
    let target = scene.environment.path("restored");
    scene
        .environment
        .restore(&target, "--set stopped=true --set settings=target")
        .run()
        .succeeds();
    assert_eq!(scene.text("restored/settings.js"), own);
    assert!(target.join("flows.json").exists());
}

/// The folder in which `cargo xtask examples` built an example, with the tools that it needs; none where they could not be had.
fn tools(example: Example) -> Option<PathBuf> {
    plugins::example(example.name)?;
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/examples");
    Some(target.join(example.name).canonicalize().unwrap())
}

#[test]
fn a_new_project_builds_passes_its_tests_and_saves_and_restores() {
    let (Some(python), Some(javascript)) = (tools(HOME_ASSISTANT), tools(NODE_RED)) else {
        return;
    };
    for language in ["python", "javascript"] {
        let environment = TestEnvironment::with_repository();
        environment
            .copal(["plugin", "new", "acme/notes", "--lang", language])
            .run()
            .succeeds();
        let project = environment.path("notes");
        let build = || environment.copal(["plugin", "build"]).current_dir(&project);
        let in_project = |program: &str, arguments: &[&str]| {
            let program = environment.program(program).args(arguments);
            program.current_dir(&project).run().succeeds();
        };
        // Without the tools it says how to get them.
        environment
            .refused(build().env("PATH", "/usr/bin:/bin"), 1)
            .is("toolchain")
            .says("install");
        let built = if language == "python" {
            let program = python.join(".venv/bin/componentize-py");
            build().env("COPAL_COMPONENTIZE_PY", program)
        } else {
            let modules = javascript.join("node_modules");
            std::os::unix::fs::symlink(modules, project.join("node_modules")).unwrap();
            build()
        };
        let built = built.arg("--json").within(Duration::from_secs(600));
        let built = built.run().succeeds();
        let component = PathBuf::from(built.json()["path"].as_str().unwrap());
        assert_eq!(component, project.join("target/plugin/notes.wasm"));
        match language {
            "python" => in_project("python3", &["-m", "unittest"]),
            _ => in_project("npm", &["test"]),
        }

        let tested = environment.copal(["plugin", "test"]).arg(&project);
        tested.within(Duration::from_secs(600)).run().succeeds();

        let sample = project.join("sample");
        environment.backup(&component, &sample, "").run().succeeds();
        let target = environment.path("restored");
        environment.restore(&target, "").run().succeeds();
        tree::assert_same_but(&sample, &target, |path| path.starts_with("drafts"));
        std::fs::write(sample.join("lock"), "4711").unwrap();
        environment
            .refused(environment.backup(&component, &sample, ""), 1)
            .says("runs");
    }
}

/// A call's deadline is for the plugin's own work: what the compiler takes the first time is not counted, or nobody could use a component of this
/// size on a busy machine.
#[test]
fn compiling_a_large_component_does_not_count_against_a_call() {
    let Some(scene) = Scene::new(HOME_ASSISTANT) else {
        return;
    };
    let cache = scene.environment.make_directory("cache");
    std::fs::set_permissions(&cache, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    scene
        .environment
        .copal(["plugin", "info"])
        .arg(&scene.component)
        .env("COPAL_CACHE_DIR", &cache)
        .env("COPAL_PLUGIN_TIMEOUT", "5")
        .run()
        .succeeds();
}
