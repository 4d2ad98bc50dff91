//! The conformance suite: the plugins and the examples keep the contract, a guest that breaks each of its rules is found out, and what a plugin is asked by
//! hand can be recorded and replayed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use copal_tests::applications::Applications;
use copal_tests::{Outcome, Program, TestEnvironment, plugins};
use serde_json::Value;

/// How long a suite may take: a component in Python is asked some thousand times.
const LONG: Duration = Duration::from_secs(900);

fn sources(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn test(environment: &TestEnvironment, component: &Path, cases: &Path) -> Program {
    let program = environment.copal(["plugin", "test", "--json"]);
    let program = program.arg(component).arg("--cases").arg(cases);
    program.within(LONG)
}

/// The names of the checks that came out like this.
fn named(tested: &Value, outcome: &str) -> BTreeSet<String> {
    let checks = tested["checks"].as_array().unwrap().iter();
    let chosen = checks.filter(|check| check["outcome"] == outcome);
    chosen
        .map(|check| check["name"].as_str().unwrap().to_owned())
        .collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Fails the test unless the plugin passes with its cases, and nothing but `skipped` could not be looked at.
#[track_caller]
fn passes(component: &Path, cases: &Path, skipped: &[&str]) {
    let environment = TestEnvironment::new();
    let outcome = test(&environment, component, cases).run();
    let tested = outcome.json();
    assert_eq!(named(&tested, "failed"), names(&[]), "{tested:#}");
    for case in tested["cases"].as_array().unwrap() {
        assert_eq!(case["outcome"], "passed", "{case:#}");
    }
    assert_ne!(tested["cases"], serde_json::json!([]));
    assert_eq!(named(&tested, "skipped"), names(skipped), "{tested:#}");
    outcome.succeeds();
}

fn plugin_passes(name: &str, skipped: &[&str]) {
    let cases = sources("plugins").join(name).join("cases");
    passes(&plugins::first_party(name), &cases, skipped);
}

fn example_passes(name: &str, skipped: &[&str]) {
    if let Some(component) = plugins::example(name) {
        let cases = sources("examples").join(name).join("cases");
        passes(&component, &cases, skipped);
    }
}

/// The rules that a plugin shows nothing of which filters nothing.
const FILTERS: [&str; 4] = [
    "filter.chunks",
    "filter.members",
    "filter.stable",
    "filter.survives",
];

/// The rule that a plugin shows nothing of which runs no command while it detects and verifies.
const NO_PROBES: [&str; 1] = ["process.declared"];

/// The rules that a plugin shows nothing of which saves streams alone.
const VERDICTS: [&str; 6] = [
    "classify.batches",
    "classify.names",
    "classify.stable",
    "classify.survives",
    "classify.total",
    "pass.finish",
];

/// What a plugin shows nothing of whose cases are not restored: `tests/e2e/cloudfoundry.rs` does that, into real databases.
const RESTORES: [&str; 2] = ["plan-restore.declared", "plan-restore.intents"];

#[test]
fn cloudfoundry_keeps_the_contract() {
    let skipped = [&NO_PROBES, &FILTERS[..], &RESTORES].concat();
    plugin_passes("cloudfoundry", &skipped);
}

#[test]
fn files_keeps_the_contract() {
    plugin_passes("files", &[&NO_PROBES, &FILTERS[..]].concat());
}

#[test]
fn gitlab_keeps_the_contract() {
    plugin_passes("gitlab", &NO_PROBES);
}

#[test]
fn jpom_keeps_the_contract() {
    plugin_passes("jpom", &NO_PROBES);
}

#[test]
fn liquibase_keeps_the_contract() {
    plugin_passes("liquibase", &VERDICTS);
}

#[test]
fn metabase_keeps_the_contract() {
    plugin_passes("metabase", &NO_PROBES);
}

#[test]
fn the_example_in_python_keeps_the_contract() {
    example_passes("home-assistant", &NO_PROBES);
}

#[test]
fn the_example_in_javascript_keeps_the_contract() {
    example_passes("node-red", &NO_PROBES);
}

/// What the guest `fickle` does wrong in a file `mode`, and the rules that it breaks by that.
const MODES: [(&str, &[&str]); 25] = [
    ("keys", &["config.unknown-key"]),
    ("shape", &["config.not-an-object"]),
    ("detect", &["detect.survives"]),
    ("detect-root", &["detect.root"]),
    ("detect-probe", &["process.declared"]),
    ("backup", &["plan-backup.survives"]),
    ("backup-declared", &["plan-backup.declared"]),
    ("backup-code", &["findings.form"]),
    ("backup-path", &["findings.form"]),
    ("restore", &["plan-restore.survives"]),
    ("restore-declared", &["plan-restore.declared"]),
    ("restore-beside", &["plan-restore.declared"]),
    ("intents-refused", &["plan-restore.intents"]),
    ("intents-failed", &["plan-restore.intents"]),
    ("verify", &["verify.survives"]),
    ("verify-mute", &["findings.form"]),
    ("start", &["pass.start"]),
    ("damaged", &["pass.state"]),
    ("total", &["classify.total"]),
    ("classify", &["classify.survives"]),
    ("stable", &["classify.stable"]),
    ("batches", &["classify.batches"]),
    ("names", &["classify.names"]),
    ("finish", &["pass.finish"]),
    ("chunks", &["filter.chunks"]),
];

/// The same for filters.
const FILTER_MODES: [(&str, &[&str]); 3] = [
    ("filter-stable", &["filter.stable"]),
    ("members", &["filter.members"]),
    ("filter", &["filter.survives"]),
];

/// What it says of itself, and the rules that it breaks by that.
const DESCRIPTIONS: [(&str, &[&str]); 6] = [
    ("answers", &["describe.answers"]),
    ("texts", &["describe.texts"]),
    ("roots", &["describe.roots"]),
    ("capabilities", &["describe.capabilities"]),
    ("intents", &["describe.intents"]),
    ("config-schema", &["describe.config-schema"]),
];

/// A case whose tree tells the guest to misbehave like this. Half of the file still tells it.
fn fickle_case(environment: &TestEnvironment, mode: &str) -> PathBuf {
    let root = |path: &str| format!("{mode}/case/roots/data/{path}");
    environment.write(&root("mode"), format!("{mode:40}"));
    environment.write(&root("small.txt"), "a few bytes\n");
    environment.write(&root("large.txt"), "a line of a larger file\n".repeat(200));
    environment.write(&root("folder/one"), "1");
    environment.write(&root("folder/two"), "2");
    environment.write(
        &format!("{mode}/case/case.toml"),
        "[restore]\nverify = true\n",
    );
    environment.path(mode)
}

fn breaks(modes: &[(&str, &[&str])]) {
    let fickle = plugins::guest("fickle");
    let environment = TestEnvironment::new();
    for &(mode, rules) in modes {
        let cases = fickle_case(&environment, mode);
        let tested = test(&environment, &fickle, &cases).run().exits(1).json();
        assert_eq!(named(&tested, "failed"), names(rules), "{mode}: {tested:#}");
    }
}

#[test]
fn a_plugin_that_breaks_a_rule_of_plans_is_found_out() {
    let (plans, _) = MODES.split_at(12);
    breaks(plans);
}

#[test]
fn a_plugin_that_breaks_a_rule_of_restores_or_passes_is_found_out() {
    let (_, others) = MODES.split_at(12);
    breaks(others);
}

#[test]
fn a_plugin_that_breaks_a_rule_of_filters_is_found_out() {
    breaks(&FILTER_MODES);
}

#[test]
fn a_plugin_that_describes_itself_against_the_rules_is_found_out() {
    const MARK: &[u8] = b"@fickle-describe@";
    let environment = TestEnvironment::new();
    let bytes = std::fs::read(plugins::guest("fickle")).unwrap();
    let place = bytes.windows(MARK.len()).position(|part| part == MARK);
    let place = place.unwrap() + MARK.len();
    for (word, rules) in DESCRIPTIONS {
        let mut bytes = bytes.clone();
        bytes[place..place + word.len()].copy_from_slice(word.as_bytes());
        let component = environment.write("component.wasm", bytes);
        let checked = environment.copal(["plugin", "check", "--json"]);
        let checked = checked.arg(component).run().exits(1).json();
        let failed = named(&checked["report"], "failed");
        assert_eq!(failed, names(rules), "{word}: {checked:#}");
    }
    let truncated = plugins::truncated(&environment, &plugins::guest("fickle"));
    let checked = environment.copal(["plugin", "check", "--json"]);
    let checked = checked.arg(truncated).run().exits(1).json();
    assert_eq!(
        named(&checked["report"], "failed"),
        names(&["component.loads"])
    );
}

/// Rules that no guest breaks here: it would have to take 5 s to start, or to answer differently where nothing differs, and it is given neither a clock
/// nor random numbers. A version that is none it does not get by with at all.
const UNBROKEN: [&str; 6] = [
    "component.starts",
    "describe.stable",
    "describe.version",
    "detect.stable",
    "plan-backup.stable",
    "plan-restore.stable",
];

#[test]
fn a_plugin_that_behaves_passes_and_each_rule_has_one_that_breaks_it() {
    let environment = TestEnvironment::new();
    let cases = fickle_case(&environment, "behave");
    let fickle = plugins::guest("fickle");
    let updated = test(&environment, &fickle, &cases).arg("--update").run();
    let tested = updated.succeeds().json();
    let passed = named(&tested, "passed");
    assert_eq!(passed.len(), tested["checks"].as_array().unwrap().len());
    let all = MODES.iter().chain(&FILTER_MODES).chain(&DESCRIPTIONS);
    let mut seen: BTreeSet<String> = all.flat_map(|(_, rules)| names(rules)).collect();
    seen.extend(names(&["component.loads"]));
    let unseen: BTreeSet<_> = passed.difference(&seen).cloned().collect();
    assert!(unseen.is_subset(&names(&UNBROKEN)), "{unseen:?}");
    assert!(seen.is_subset(&passed), "{seen:?}");
    // The golden files are those of the next run.
    test(&environment, &fickle, &cases).run().succeeds();
    environment.write("behave/case/roots/data/small.txt", "other bytes\n");
    let tested = test(&environment, &fickle, &cases).run().exits(1).json();
    assert_eq!(tested["cases"][0]["outcome"], "differs", "{tested:#}");
}

/// The Jpom of a case.
fn jpom() -> PathBuf {
    sources("plugins/jpom/cases/stopped/roots/home")
}

/// `copal plugin run` of the plugin for Jpom, with further arguments, split at spaces.
fn run(environment: &TestEnvironment, call: &str, further: &str) -> Program {
    let program = environment.copal(["plugin", "run"]);
    let program = program.arg(plugins::first_party("jpom")).arg(call);
    program.args(copal_tests::run::words(further))
}

#[test]
fn a_plugin_is_asked_by_hand() {
    let environment = TestEnvironment::new();
    let ask = |call: &str, further: &str| {
        let program = run(&environment, call, further).arg(jpom());
        program.arg("--json").run().succeeds().json()
    };
    let detected = ask("detect", "");
    assert_eq!(detected["application"], "Jpom", "{detected:#}");

    let plan = ask("plan-backup", "--set stopped=true");
    assert_eq!(plan["sources"][0]["name"], "home", "{plan:#}");
    let plan = ask("plan-restore", "--set stopped=true --intent migrate");
    assert_eq!(plan["placements"][0]["name"], "home", "{plan:#}");

    let findings = ask("verify", "--set stopped=true --intent migrate");
    assert!(findings.is_array(), "{findings:#}");

    let verdicts = ask("classify", "--set stopped=true");
    let verdicts = verdicts.to_string();
    assert!(verdicts.contains("data/data/temp"), "{verdicts}");

    // A filter puts the new identity in, and the case holds what comes of it.
    let path = "home/data/data/INSTALL.json";
    let out = environment.path("out");
    let filter = format!(
        "--set stopped=true --set install_id=5f0e4c2d9b8a47c6a1d3e2f4b5c6d7e8 --intent clone --direction restore --path {path} --out {}",
        out.display()
    );
    let program = run(&environment, "filter", &filter).arg(jpom());
    program.run().succeeds();
    let expected = sources("plugins/jpom/cases/stopped/expected/restored").join(path);
    assert_eq!(
        std::fs::read(out).unwrap(),
        std::fs::read(expected).unwrap()
    );
}

/// A recording of a backup's plan, made while a stand-in for Docker answered; and the plan.
fn recorded(environment: &TestEnvironment, record: &Path) -> (Outcome, Value) {
    Applications::install(environment);
    let program = run(environment, "plan-backup", "--json --set container=app");
    let program = program.args(["--grant", "probe:docker inspect -f * app", "--record"]);
    let outcome = program.arg(record).arg(jpom()).run().succeeds();
    let plan = outcome.json();
    (outcome, plan)
}

#[test]
fn what_was_recorded_is_replayed_without_the_application() {
    let environment = TestEnvironment::new();
    let record = environment.path("calls.json");
    let (outcome, plan) = recorded(&environment, &record);
    assert_eq!(plan["quiesce"][0]["id"], "stop-jpom", "{plan:#}");
    outcome.says("Look through it");

    std::fs::remove_file(environment.path("programs/docker")).unwrap();
    let replay = |further: &str| {
        let program = run(&environment, "plan-backup", further);
        program.arg("--replay").arg(&record)
    };
    let again = replay("--json").run().succeeds().json();
    assert_eq!(again, plan);
    // Another component says so.
    let recorded = std::fs::read_to_string(&record).unwrap();
    let digest = serde_json::from_str::<Value>(&recorded).unwrap()["call"]["plugin"]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    std::fs::write(&record, recorded.replace(&digest, &"0".repeat(64))).unwrap();
    replay("").run().succeeds().says("with another component");
    std::fs::write(&record, recorded).unwrap();
    // What was not asked then has no answer.
    environment
        .refused(replay("--set container=other"), 1)
        .is("not-recorded")
        .says("docker inspect");

    // A case takes its answers from such a file.
    let folder = environment.path("cases/running");
    let roots = folder.join("roots");
    std::fs::create_dir_all(&roots).unwrap();
    symlink(jpom().canonicalize().unwrap(), roots.join("home")).unwrap();
    std::fs::copy(&record, folder.join("calls.json")).unwrap();
    let manifest =
        "config = { container = \"app\" }\ngrants = [\"probe:docker inspect -f * app\"]\n";
    std::fs::write(folder.join("case.toml"), manifest).unwrap();
    let cases = environment.path("cases");
    let case =
        || test(&environment, &plugins::first_party("jpom"), &cases).args(["--case", "running"]);
    case().arg("--update").run().succeeds();
    let expected = std::fs::read_to_string(folder.join("expected/backup.json")).unwrap();
    assert!(expected.contains("stop-jpom"), "{expected}");
    case().run().succeeds();
}

#[test]
fn a_recording_is_its_owners_alone_and_takes_the_place_of_what_was_there() {
    let environment = TestEnvironment::new();
    let old = environment.write("old.json", "old");
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o644)).unwrap();
    let elsewhere = environment.write("elsewhere", "not to be touched");
    let link = environment.path("link.json");
    symlink(&elsewhere, &link).unwrap();
    for record in [&old, &link] {
        recorded(&environment, record);
        let metadata = record.symlink_metadata().unwrap();
        assert!(metadata.is_file(), "{}", record.display());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(
        std::fs::read_to_string(&elsewhere).unwrap(),
        "not to be touched"
    );
    // What is no file is not replaced by one.
    let folder = environment.make_directory("folder");
    let program = run(&environment, "plan-backup", "--set stopped=true --record");
    environment
        .refused(program.arg(&folder).arg(jpom()), 1)
        .is("file")
        .says("not a file");
}
