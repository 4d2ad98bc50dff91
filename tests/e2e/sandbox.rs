//! Plugins that misbehave: each ends in its own clear error, leaves no snapshot, and what it had stopped runs again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use copal_tests::applications::Applications;
use copal_tests::{Outcome, TestEnvironment, plugins, sample, tree};

/// What a plugin may cost the host beside its own memory, of which each of its instances has 512 MiB.
const OWN_MEMORY: u64 = 300 << 20;

/// What a run may write to its standard error.
const MAX_WRITTEN: usize = 4 << 20;

trait Bounded {
    /// Fails the test where a plugin of which so many instances ran at once made the host use too much memory, or write too much.
    fn bounded(&self, instances: u64);
}

impl Bounded for Outcome {
    fn bounded(&self, instances: u64) {
        let limit = OWN_MEMORY + instances * (512 << 20);
        assert!(self.peak < limit, "{} MiB of memory", self.peak >> 20);
        assert!(
            self.stderr.len() < MAX_WRITTEN,
            "{} bytes",
            self.stderr.len()
        );
    }
}

/// Mode, stage, kind of the error, and what it says.
type Case = (&'static str, &'static str, &'static str, &'static str);

/// Backs up with the hostile plugin in these ways and sees that nothing comes of it. `stopped` says whether the application had been
/// stopped before.
fn all_fail(stopped: bool, cases: &[Case]) {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    // Three pushes of a filter at the least.
    std::fs::write(source.join("large"), sample::noise(5, 3 << 20)).unwrap();
    let hostile = plugins::guest("hostile");
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let before = tree::contents(Path::new(environment.repository()));
    for &(mode, stage, kind, says) in cases {
        let applications = Applications::install(&environment);
        let settings = format!("--set container=app --set mode={mode} --set stage={stage}");
        let program = environment
            .backup(&hostile, &source, &settings)
            .args([
                "--grant",
                "run:docker stop app",
                "--grant",
                "run:docker start app",
            ])
            .env(
                "COPAL_PLUGIN_TIMEOUT",
                if matches!(mode, "loop" | "log") {
                    "1"
                } else {
                    "60"
                },
            );
        let refusal = environment.refused(program, 1);
        refusal.is(kind).says(says);
        // A plan is made by one instance; passes run one for each worker.
        refusal.outcome.bounded(if stopped { workers } else { 1 });
        let expected: &[&str] = if stopped {
            &["docker stop app", "docker start app"]
        } else {
            &[]
        };
        assert_eq!(applications.changes(), expected, "{mode} while {stage}");
        assert!(applications.runs("app"));
        assert!(
            environment.snapshots().is_empty(),
            "{mode} while {stage} left a snapshot"
        );
    }
    if !stopped {
        assert_eq!(
            tree::contents(Path::new(environment.repository())),
            before,
            "something was written"
        );
    }
    environment.copal(["check", "--read-data"]).run().succeeds();
    let left = environment
        .copal(["resume", "--json"])
        .run()
        .succeeds()
        .json();
    assert_eq!(
        left.as_array().map(Vec::len),
        Some(0),
        "a job was left to resume: {left:#}"
    );
}

#[test]
fn a_plugin_that_misbehaves_while_planning_stops_nothing_and_writes_nothing() {
    all_fail(
        false,
        &[
            ("loop", "plan", "plugin-deadline", "plan-backup"),
            ("memory", "plan", "plugin-memory", "MiB"),
            ("panic", "plan", "plugin-trap", "as told"),
            ("recurse", "plan", "plugin-trap", "plan-backup"),
            ("fail", "plan", "plugin-failure", "told to fail"),
            ("huge", "plan", "plugin-contract", "state"),
            (
                "act",
                "plan",
                "plugin-undeclared",
                "`probe:docker stop app`",
            ),
            (
                "undeclared",
                "plan",
                "plugin-undeclared",
                "`run:touch /tmp/x`",
            ),
            ("write", "plan", "plugin-undeclared", "`write:data/planted`"),
            ("flood", "plan", "plugin-contract", "16 MiB"),
            ("name", "plan", "plugin-contract", "64 lower-case letters"),
            ("log", "plan", "plugin-deadline", "plan-backup"),
            ("message", "plan", "plugin-failure", "xxx"),
        ],
    );
}

#[test]
fn a_plugin_that_misbehaves_while_classifying_is_ended_and_the_application_thawed() {
    all_fail(
        true,
        &[
            ("loop", "classify", "plugin-deadline", "classify"),
            ("memory", "classify", "plugin-memory", "MiB"),
            ("panic", "classify", "plugin-trap", "as told"),
            ("recurse", "classify", "plugin-trap", "classify"),
            ("huge", "classify", "plugin-contract", "verdict"),
            ("panic", "start", "plugin-trap", "as told"),
            ("flood", "classify", "plugin-contract", "16 MiB"),
            ("name", "classify", "plugin-contract", "16 MiB"),
            ("log", "classify", "plugin-deadline", "classify"),
        ],
    );
}

#[test]
fn a_plugin_that_misbehaves_while_filtering_is_ended_and_the_application_thawed() {
    all_fail(
        true,
        &[
            ("loop", "push", "plugin-deadline", "push"),
            ("memory", "push", "plugin-memory", "MiB"),
            ("panic", "push", "plugin-trap", "as told"),
            ("huge", "push", "plugin-contract", "MiB"),
            ("panic", "open", "plugin-trap", "as told"),
            ("panic", "end", "plugin-trap", "as told"),
            ("panic", "finish", "plugin-trap", "as told"),
            ("fail", "finish", "plugin-failure", "told to fail"),
            ("flood", "finish", "plugin-contract", "16 MiB"),
        ],
    );
}

#[test]
fn a_filter_that_fails_with_a_gigantic_message_loses_that_file_alone_and_names_it() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    std::fs::write(source.join("large"), sample::noise(5, 3 << 20)).unwrap();
    let settings = "--set mode=message --set stage=push";
    let outcome = environment
        .backup(plugins::guest("hostile"), &source, settings)
        .arg("--json")
        .run()
        .exits(3);
    let missing = outcome.json()["missing"].clone();
    assert_eq!(missing.as_array().map(Vec::len), Some(1), "{missing:.300}");
    assert_eq!(missing[0]["path"], "data/large");
    let error = missing[0]["error"].as_str().unwrap();
    assert!(
        error.starts_with("xxx") && error.len() < 64 << 10,
        "{} bytes",
        error.len()
    );
}

#[test]
fn a_component_whose_instances_take_gigabytes_of_the_host_is_refused_before_they_do() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    // 100 × 1,000,000 globals, of 16 bytes each in the host.
    let component = plugins::with_globals(&environment, &plugins::guest("hostile"), 100, 1_000_000);
    let began = std::time::Instant::now();
    let refusal = environment.refused(environment.backup(&component, &source, ""), 1);
    refusal.is("plugin-memory").says("describe");
    refusal.outcome.bounded(0);
    assert!(began.elapsed().as_secs() < 60);
}

#[test]
fn a_probe_without_a_grant_is_not_run_and_the_grant_is_named() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    let ran = environment.path("ran");
    environment.install_program("id", &format!("#!/bin/sh\ntouch '{}'\n", ran.display()));
    let program = || environment.backup(plugins::guest("hostile"), &source, "--set mode=probe");
    environment
        .refused(program(), 1)
        .is("grants")
        .says("--grant 'probe:id --user'");
    environment
        .refused(program().args(["--grant", "run:id --user"]), 1)
        .is("grants")
        .says("--grant 'probe:id --user'");
    assert!(!ran.exists(), "the command was run without a grant");
    program()
        .args(["--grant", "probe:id --user"])
        .run()
        .succeeds();
    assert!(ran.exists());
}

#[test]
fn a_plugin_that_misbehaves_while_planning_a_restore_leaves_the_target_alone() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    environment
        .backup(plugins::guest("hostile"), &source, "")
        .run()
        .succeeds();
    let target = environment.path("target");
    for (mode, kind) in [
        ("panic", "plugin-trap"),
        ("loop", "plugin-deadline"),
        ("fail", "plugin-failure"),
    ] {
        let program = environment.restore(
            &target,
            &format!("--set stage=plan-restore --set mode={mode}"),
        );
        environment
            .refused(program.env("COPAL_PLUGIN_TIMEOUT", "1"), 1)
            .is(kind);
        assert!(!target.exists(), "{mode}");
    }
    for (stage, kind) in [("classify", "plugin-trap"), ("verify", "plugin-trap")] {
        let program =
            environment.restore(&target, &format!("--set mode=panic --set stage={stage}"));
        environment.refused(program, 1).is(kind);
    }
}

#[test]
fn a_component_that_imports_wasi_runs_and_is_granted_nothing() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    environment
        .backup(plugins::guest("wasi"), &source, "")
        .run()
        .succeeds();
    let facts = environment.manifest()["facts"].clone();
    for name in ["variables", "arguments", "directories"] {
        assert_eq!(facts[name], serde_json::json!([]), "{facts:#}");
    }
    for name in ["socket", "datagrams", "names"] {
        assert_eq!(facts[name], false, "{facts:#}");
    }
}

#[test]
fn a_component_that_misuses_wasi_is_ended_with_its_own_error() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    for (mode, kind, says) in [
        ("sleep", "plugin-deadline", "plan-backup"),
        ("clock", "plugin-deadline", "plan-backup"),
        ("print", "plugin-deadline", "plan-backup"),
        ("exit", "plugin-trap", "exit code 0"),
        ("random", "plugin-contract", "exceeds limit"),
        ("alarms", "plugin-contract", "plan-backup"),
    ] {
        let program = environment
            .backup(
                plugins::guest("wasi"),
                &source,
                &format!("--set mode={mode}"),
            )
            .env("COPAL_PLUGIN_TIMEOUT", "1")
            .env("COPAL_LOG", "plugin=trace");
        let began = std::time::Instant::now();
        let refusal = environment.refused(program, 1);
        refusal.is(kind).says(says);
        refusal.outcome.bounded(0);
        assert!(began.elapsed().as_secs() < 20, "{mode}");
    }
    assert!(environment.snapshots().is_empty());
}

/// The files in a directory and beneath it, those that can be read.
fn files(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn a_secret_reaches_the_command_that_it_is_for_and_nothing_that_is_written() {
    const WORD: &str = "correct-horse-battery";
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    std::fs::write(source.join("file"), "x").unwrap();
    let told = environment.path("programs/told");
    let seen = environment.path("seen");
    // Every way must hold the word, and the arguments must not, which any user of the machine can read.
    let script = |end: &str| {
        format!(
            r#"#!/bin/sh
word='correct-horse''-battery'
for way in "$TOLD" "$(cat)" "$(cat "$1")" "$(cat "$2")"; do [ "$way" = "$word" ] || exit 9; done
tr '\0' ' ' < /proc/self/cmdline | grep -q "$word" && exit 8
tr '\0' ' ' < /proc/$$/cmdline | grep -q "$word" && exit 8
cp -L "$1" "$2.copy" && grep -rlq "$word" "$(dirname "$2")" || exit 7
echo "told" > '{}'
echo "$word" >&2
{end}
"#,
            seen.display()
        )
    };
    let word = environment.write("word", WORD);
    let run = |arguments: &[&str], log: &str| {
        environment
            .copal(arguments)
            .arg(plugins::guest("hostile"))
            .arg(&source)
            .args(["--set", "container=app"])
            .args(["--set", &format!("told={}", told.display())])
            .args(["--set-file", &format!("secret={}", word.display())])
            .args([
                "--grant",
                "run:docker stop app",
                "--grant",
                "run:docker start app",
            ])
            .args([
                "--grant",
                &format!("run:TOLD= {} {{fd:0}} {{scratch}}/word", told.display()),
            ])
            .env("COPAL_LOG", log)
            .run()
    };
    let mut written = Vec::new();
    let mut look =
        |outcome: &Outcome| written.push(format!("{}{}", outcome.text(), outcome.stderr));
    for end in ["exit 0", "exit 3"] {
        Applications::install(&environment);
        environment.install_program("told", &script(end));
        let code = if end == "exit 0" { 0 } else { 1 };
        for format in [&["--json"][..], &[]] {
            look(&run(&[&["plan", "backup"], format].concat(), "trace").succeeds());
            std::fs::remove_file(&seen).ok();
            look(&run(&[&["backup", "--yes"], format].concat(), "trace").exits(code));
            assert!(seen.exists(), "the program was not told the word");
        }
    }
    look(
        &environment
            .copal(["manifest", "latest", "--json"])
            .run()
            .succeeds(),
    );
    look(
        &environment
            .copal(["ls", "latest", "--json"])
            .run()
            .succeeds(),
    );
    for text in &written {
        let place = text.find(WORD);
        assert_eq!(
            place,
            None,
            "{}",
            text.get(place.unwrap_or(0).saturating_sub(300)..)
                .unwrap_or_default()
        );
        assert!(!text.is_empty());
    }
    let mut found = Vec::new();
    for place in ["state", "home", "tmp", "repository"] {
        files(&environment.path(place), &mut found);
    }
    assert!(
        found
            .iter()
            .any(|path| path.starts_with(environment.repository()))
    );
    for path in found {
        let bytes = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(WORD), "{} holds the word", path.display());
    }
}

#[test]
fn a_journal_that_is_left_behind_holds_no_secret() {
    const WORD: &str = "correct-horse-battery";
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    std::fs::write(source.join("file"), "x").unwrap();
    Applications::install(&environment);
    let begun = environment.path("begun");
    environment.install_program(
        "told",
        &format!("#!/bin/sh\ntouch '{}'\nsleep 60\n", begun.display()),
    );
    let told = environment.path("programs/told");
    let word = environment.write("word", WORD);
    let running = environment
        .backup(plugins::guest("hostile"), &source, "--set container=app")
        .args(["--set", &format!("told={}", told.display())])
        .args(["--set-file", &format!("secret={}", word.display())])
        .args([
            "--grant",
            "run:docker stop app",
            "--grant",
            "run:docker start app",
        ])
        .args([
            "--grant",
            &format!("run:TOLD= {} {{fd:0}} {{scratch}}/word", told.display()),
        ])
        .start();
    while !begun.exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    running.signal(rustix::process::Signal::KILL);
    running.wait();
    let mut found = Vec::new();
    files(&environment.path("state"), &mut found);
    let journals: Vec<_> = found
        .iter()
        .filter(|path| !path.ends_with("word"))
        .collect();
    assert!(!journals.is_empty());
    for path in journals {
        let bytes = std::fs::read(path).unwrap_or_default();
        assert!(
            !String::from_utf8_lossy(&bytes).contains(WORD),
            "{} holds the word",
            path.display()
        );
    }
    environment.copal(["resume"]).run().succeeds();
    let mut left = Vec::new();
    files(&environment.path("state"), &mut left);
    assert!(
        left.iter().all(|path| !path.ends_with("word")),
        "the scratch folder was left"
    );
}

#[test]
fn a_component_that_imports_what_nobody_is_given_is_refused_by_name() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    let text = r#"(component (import "evil:host/shell@1.0.0" (instance (export "run" (func (param "line" string))))))"#;
    let component = plugins::from_text(&environment, "greedy", text);
    for program in [
        environment.backup(&component, &source, ""),
        environment.copal(["plugin", "info"]).arg(&component),
    ] {
        environment
            .refused(program, 1)
            .is("plugin-denied")
            .says("evil:host/shell");
    }
    assert!(environment.snapshots().is_empty());
}

#[test]
fn what_is_no_plugin_is_refused_with_its_own_error() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    let before = tree::contents(Path::new(environment.repository()));
    let hostile = plugins::guest("hostile");
    let empty = plugins::from_text(&environment, "empty", "(component)");
    let module = plugins::from_text(&environment, "module", "(module)");
    for (component, kind) in [
        (plugins::truncated(&environment, &hostile), "plugin-invalid"),
        (environment.write("nothing.wasm", ""), "plugin-invalid"),
        (
            environment.write("text.wasm", "no component at all"),
            "plugin-invalid",
        ),
        (module, "plugin-invalid"),
        (empty, "plugin-incompatible"),
    ] {
        environment
            .refused(environment.backup(&component, &source, ""), 1)
            .is(kind);
    }
    assert_eq!(tree::contents(Path::new(environment.repository())), before);
}
