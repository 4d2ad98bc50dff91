//! Writing a plugin: from an empty folder to a component that backs up and restores.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

use copal_tests::rust::{QUICK, cargo, has_target, plugin_build};
use copal_tests::{TestEnvironment, tree};

/// A new project in an environment.
fn new(environment: &TestEnvironment, name: &str, folder: &str) -> PathBuf {
    let project = environment.path(folder);
    let made = environment.copal(["plugin", "new", name]).arg(&project);
    made.run().succeeds();
    project
}

#[test]
fn a_new_plugin_passes_its_tests_and_builds_and_backs_up_as_it_is() {
    let environment = TestEnvironment::with_repository();
    let project = new(&environment, "acme/notebook", "notebook");
    let lock = fs::read(project.join("Cargo.lock")).unwrap();

    let tests = cargo(&environment, &project, "one").args(["test", "--locked", "--offline"]);
    let tests = tests.run().succeeds();
    assert!(
        tests.text().contains("test result: ok. 8 passed"),
        "{}",
        tests.text()
    );
    let formatted = cargo(&environment, &project, "one").args(["fmt", "--check"]);
    formatted.run().succeeds();
    let linted = [
        "clippy",
        "--locked",
        "--offline",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    cargo(&environment, &project, "one")
        .args(linted)
        .run()
        .succeeds();

    let built = plugin_build(&environment, &project, "one").arg("--json");
    let built = built.run().succeeds().json();
    let component = project.join("target/plugin/notebook.wasm");
    assert_eq!(built["path"], component.to_str().unwrap());
    assert_eq!(built["size"], fs::metadata(&component).unwrap().len());
    assert_eq!(built["language"], "rust");
    // The lock that came with the project is what was built.
    assert_eq!(fs::read(project.join("Cargo.lock")).unwrap(), lock);

    let tested = environment
        .copal(["plugin", "test", "--json"])
        .arg(&project);
    let tested = tested.run().succeeds().json();
    assert_eq!(tested["cases"][0]["outcome"], "passed", "{tested:#}");

    let info = environment
        .copal(["plugin", "info", "--json"])
        .arg(&component);
    let info = info.run().succeeds().json();
    assert_eq!(info["name"], "acme/notebook");
    assert_eq!(info["digest"], built["sha256"]);
    assert_eq!(info["imports"], built["imports"]);
    let imports = info["imports"].as_array().unwrap();
    let contract =
        |import: &serde_json::Value| import.as_str().unwrap().starts_with("copal:plugin/");
    assert!(imports.iter().all(contract), "{imports:?}");

    let sample = project.join("sample");
    environment.backup(&component, &sample, "").run().succeeds();
    let restored = environment.path("restored");
    environment.restore(&restored, "").run().succeeds();
    assert!(!restored.join("drafts").exists());
    fs::remove_dir_all(sample.join("drafts")).unwrap();
    assert_eq!(tree::contents(&restored), tree::contents(&sample));

    // A running application is refused, and stopped where the operator says how and allows it.
    fs::write(sample.join("lock"), "").unwrap();
    environment
        .refused(environment.backup(&component, &sample, ""), 1)
        .says("runs");
    environment.install_program("systemctl", "#!/bin/sh\necho \"$@\" >> \"$HOME/asked\"\n");
    let grants = [
        "--grant",
        "run:systemctl stop n",
        "--grant",
        "run:systemctl start n",
    ];
    let stopped = environment.backup(&component, &sample, "--set unit=n");
    stopped.args(grants).run().succeeds();
    let asked = fs::read_to_string(environment.path("home/asked")).unwrap();
    assert_eq!(asked, "stop n\nstart n\n");

    // A newer application's notes are not replaced by older ones.
    fs::write(restored.join("settings.ini"), "format = 4\n").unwrap();
    environment
        .refused(environment.restore(&restored, ""), 1)
        .says("newer than the snapshot's 3");
}

#[test]
fn two_builds_at_two_places_give_the_same_bytes() {
    let environment = TestEnvironment::new();
    let here = new(&environment, "acme/diary", "here");
    let there = new(&environment, "acme/diary", "quite/another/there");
    let built = |project: &Path, target: &str| {
        let program = plugin_build(&environment, project, target).arg("--json");
        program.run().succeeds().json()["sha256"].clone()
    };
    assert_eq!(built(&here, "one"), built(&there, "two"));
    let component = fs::read(here.join("target/plugin/diary.wasm")).unwrap();
    for place in [environment.path(""), std::env::current_dir().unwrap()] {
        let place = place.to_str().unwrap().as_bytes();
        assert!(!component.windows(place.len()).any(|window| window == place));
    }
}

#[test]
fn a_mistake_is_shown_as_the_compiler_shows_it() {
    let environment = TestEnvironment::new();
    let project = new(&environment, "acme/mistake", "mistake");
    let source = project.join("src/lib.rs");
    let right = fs::read_to_string(&source).unwrap();
    fs::write(&source, format!("{right}\nconst WRONG: u8 = \"text\";\n")).unwrap();
    let build = || {
        let quick = QUICK.map(|(name, value)| (name.to_owned(), value));
        plugin_build(&environment, &project, "one").envs(quick)
    };
    let refused = environment.refused(build(), 1);
    refused.is("compile").says("does not compile");
    let shown = &refused.outcome.stderr;
    assert!(
        shown.contains("src/lib.rs") && shown.contains("mismatched types"),
        "{shown}"
    );

    // A crate that compiles and is no plugin.
    let without = right.replace("copal_sdk::export!", "// copal_sdk::export!");
    fs::write(&source, without).unwrap();
    environment
        .refused(build(), 1)
        .is("plugin-invalid")
        .says("copal_sdk::export!");
    assert!(!project.join("target/plugin").exists());
}

#[test]
fn a_plugin_for_wasi_is_built_or_what_is_missing_is_named() {
    let environment = TestEnvironment::with_repository();
    let project = new(&environment, "acme/wasi", "wasi");
    let out = environment.path("out/wasi.wasm");
    let build = plugin_build(&environment, &project, "one");
    let build = build.args(["--target", "wasm32-wasip2", "--out"]).arg(&out);
    if !has_target("wasm32-wasip2") {
        environment
            .refused(build, 1)
            .is("toolchain")
            .says("rustup target add wasm32-wasip2");
        return;
    }
    let built = build.arg("--json").run().succeeds().json();
    let imports = built["imports"].as_array().unwrap();
    let wasi = |import: &serde_json::Value| import.as_str().unwrap().starts_with("wasi:");
    assert!(imports.iter().any(wasi), "{imports:?}");
    environment
        .backup(&out, &project.join("sample"), "")
        .run()
        .succeeds();
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let environment = TestEnvironment::new();
    let place = environment.make_directory("place");
    let new = || {
        environment
            .copal(["plugin", "new", "acme/notebook"])
            .arg(&place)
    };
    environment.write("place/mine.txt", "mine");
    environment
        .refused(new(), 1)
        .is("project-exists")
        .says(place.to_str().unwrap());
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
    fs::remove_file(place.join("mine.txt")).unwrap();
    new().run().succeeds();
    environment.refused(new(), 1).is("project-exists");
}

#[test]
fn a_bad_name_is_refused_with_the_rule_and_makes_nothing() {
    let environment = TestEnvironment::new();
    for (name, rule) in [
        ("notebook", "PUBLISHER/NAME"),
        ("acme/Note_Book", "lower-case letters, digits and `-`"),
        ("copal/notebook", "plugins that come with Copal"),
    ] {
        let new = environment.copal(["plugin", "new", name]);
        new.run().exits(2).says(rule);
    }
    assert!(!environment.path("notebook").exists());
}

#[test]
fn a_folder_without_a_project_is_refused_by_each_command() {
    let environment = TestEnvironment::new();
    let empty = environment.make_directory("empty");
    for command in ["build", "renew"] {
        environment
            .refused(environment.copal(["plugin", command]).arg(&empty), 1)
            .is("no-project")
            .says("copal plugin new");
    }
    environment.write("empty/Cargo.toml", "[workspace]\n");
    environment
        .refused(plugin_build(&environment, &empty, "one"), 1)
        .is("plugin-invalid")
        .says("no [package]");
    environment
        .refused(environment.copal(["plugin", "renew"]).arg(&empty), 1)
        .is("no-project")
        .says("no folder `copal`");
}
