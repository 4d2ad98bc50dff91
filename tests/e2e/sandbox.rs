//! Plugins that misbehave: each ends in its own clear error, leaves no snapshot, and what it had stopped runs again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use copal_tests::applications::Applications;
use copal_tests::{TestEnvironment, plugins, sample, tree};

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
                if mode == "loop" { "1" } else { "60" },
            );
        let refusal = environment.refused(program, 1);
        refusal.is(kind).says(says);
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
        ],
    );
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
        .says("run:id --user");
    assert!(!ran.exists(), "the command was run without a grant");
    program()
        .args(["--grant", "run:id --user"])
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
    assert_eq!(facts["socket"], false, "{facts:#}");
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
