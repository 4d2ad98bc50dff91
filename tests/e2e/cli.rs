//! The command line: what it shows, how it refuses, and that it changes nothing it was not asked to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use copal_tests::applications::Applications;
use copal_tests::environment::copal_binary;
use copal_tests::{TestEnvironment, plugins, sample, tree};

/// A repository with one snapshot of a simple tree, and that tree's path.
fn backed_up() -> (TestEnvironment, std::path::PathBuf) {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    environment.backup("files", &source, "").run().succeeds();
    (environment, source)
}

#[test]
fn a_wrong_password_has_its_own_exit_code_and_writes_nothing() {
    let (environment, source) = backed_up();
    let repository = Path::new(environment.repository());
    let before = tree::contents(repository);
    for program in [
        environment.copal(["snapshots"]),
        environment.copal(["check"]),
        environment.backup("files", &source, ""),
        environment.restore(&environment.path("target"), ""),
    ] {
        environment
            .refused(program.env("COPAL_PASSWORD", "wrong"), 12)
            .is("wrong-password");
    }
    assert_eq!(tree::contents(repository), before);
    assert!(!environment.path("target").exists());
}

#[test]
fn a_place_without_a_repository_has_its_own_exit_code_and_stays_empty() {
    let environment = TestEnvironment::new();
    let source = environment.make_directory("source");
    sample::simple(&source);
    for program in [
        environment.copal(["snapshots"]),
        environment.copal(["check"]),
        environment.copal(["ls", "latest"]),
        environment.backup("files", &source, ""),
    ] {
        environment
            .refused(program, 10)
            .is("no-repository")
            .says(environment.repository());
    }
    assert!(!Path::new(environment.repository()).exists());
}

#[test]
fn a_repository_is_not_made_twice() {
    let environment = TestEnvironment::with_repository();
    let repository = Path::new(environment.repository());
    let before = tree::contents(repository);
    environment
        .refused(environment.copal(["init"]), 1)
        .is("already-initialized");
    assert_eq!(tree::contents(repository), before);
}

#[test]
fn a_password_comes_from_a_file_or_a_command() {
    let environment = TestEnvironment::with_repository();
    let password = copal_tests::environment::PASSWORD;
    let file = environment.write("password", format!("{password}\n"));
    let file = file.to_str().unwrap();
    for arguments in [
        ["--password-file", file],
        ["--password-command", &format!("cat '{file}'")],
    ] {
        let program = environment
            .copal(["snapshots"])
            .without_env("COPAL_PASSWORD");
        program.args(arguments).run().succeeds();
    }
    let none = environment
        .copal(["snapshots"])
        .without_env("COPAL_PASSWORD");
    environment
        .refused(none, 1)
        .is("password")
        .says("COPAL_PASSWORD");
}

#[test]
fn an_unknown_plugin_is_refused_with_the_names_of_those_that_there_are() {
    let (environment, source) = backed_up();
    for name in ["nosuch", "./nosuch.wasm"] {
        let refusal = environment.refused(environment.backup(name, &source, ""), 1);
        refusal.says(name);
    }
    environment
        .refused(environment.backup("nosuch", &source, ""), 1)
        .says("jpom")
        .says("files");
    environment
        .refused(environment.backup(&source, &source, ""), 1)
        .says("copal backup files FOLDER");
}

#[test]
fn a_malformed_grant_is_a_usage_error() {
    let (environment, source) = backed_up();
    for grant in [
        "nonsense",
        "run:",
        "run:\"unclosed",
        "http:GET",
        "http:nothing at all",
    ] {
        environment
            .backup("files", &source, "")
            .args(["--grant", grant])
            .run()
            .exits(2)
            .says("--grant");
    }
    assert_eq!(environment.snapshots().len(), 1);
}

#[test]
fn a_malformed_configuration_names_the_key_and_what_would_fit() {
    let (environment, source) = backed_up();
    let with = |setting: &str| {
        environment
            .backup("jpom", &source, "")
            .args(["--set", setting])
    };
    environment
        .refused(with("nosuch=1"), 1)
        .is("config")
        .says("nosuch")
        .says("stopped");
    environment
        .refused(with("stopped=perhaps"), 1)
        .is("config")
        .says("stopped")
        .says("true");
    environment
        .refused(with("container=--help"), 1)
        .says("container");
    with("novalue").run().exits(2).says("KEY=VALUE");
    assert_eq!(environment.snapshots().len(), 1);
}

#[test]
fn a_root_that_does_not_fit_is_refused() {
    let (environment, source) = backed_up();
    let absent = environment.path("absent");
    environment
        .refused(environment.backup("files", &absent, ""), 1)
        .says("absent");
    let mut named = std::ffi::OsString::from("nosuch=");
    named.push(&source);
    environment
        .refused(environment.backup("jpom", Path::new(&named), ""), 1)
        .is("roots")
        .says("nosuch")
        .says("home");
}

/// The advice of a plan that lacks grants, pasted into a shell behind the same command, is all that it takes.
#[test]
fn a_missing_grant_is_printed_as_it_has_to_be_given() {
    let environment = TestEnvironment::with_repository();
    let applications = Applications::install(&environment);
    let source = environment.make_directory("source");
    sample::simple(&source);
    let hostile = plugins::guest("hostile");
    let backup = || environment.backup(&hostile, &source, "--set container=app");

    let refusal = environment.refused(backup(), 1);
    refusal
        .is("grants")
        .says("docker stop app")
        .says("docker start app");
    assert!(
        applications.changes().is_empty(),
        "something was run without a grant"
    );
    assert!(environment.snapshots().is_empty());

    let printed = backup().run().exits(1).stderr;
    let flags = &printed[printed.find("--grant").expect("the flags are printed")..];
    let flags = flags.lines().next().unwrap().trim_end_matches('.');
    let command =
        r#""$COPAL" backup --yes "$PLUGIN" "$SOURCE" --set container=app "#.to_owned() + flags;
    environment
        .copal::<&str>([])
        .through_shell(&command)
        .env("COPAL", copal_binary())
        .env("PLUGIN", &hostile)
        .env("SOURCE", &source)
        .run()
        .succeeds();
    assert_eq!(
        applications.changes(),
        ["docker stop app", "docker start app"]
    );
}

#[test]
fn a_grant_for_one_thing_covers_no_other() {
    let environment = TestEnvironment::with_repository();
    let applications = Applications::install(&environment);
    let source = environment.make_directory("source");
    sample::simple(&source);
    let program = environment
        .backup(plugins::guest("hostile"), &source, "--set container=app")
        .args([
            "--grant",
            "run:docker stop application",
            "--grant",
            "run:docker start app",
            "--grant",
            "run:docker st* ap",
        ]);
    environment
        .refused(program, 1)
        .is("grants")
        .says("docker stop app");
    assert!(applications.changes().is_empty());
}

#[test]
fn planning_changes_nothing() {
    let (environment, source) = backed_up();
    let applications = Applications::install(&environment);
    let repository = Path::new(environment.repository());
    let target = environment.make_directory("target");
    std::fs::write(target.join("a.txt"), "another\n").unwrap();
    let before = (
        tree::read(&source),
        tree::read(&target),
        tree::contents(repository),
    );

    let grants = [
        "--grant",
        "run:docker stop app",
        "--grant",
        "run:docker start app",
        "--set",
        "container=app",
    ];
    let hostile = plugins::guest("hostile");
    let plan = environment
        .copal(["plan", "backup"])
        .arg(&hostile)
        .arg(&source)
        .args(grants)
        .run()
        .succeeds();
    assert!(plan.text().contains("docker stop app"), "{}", plan.text());
    environment
        .backup(&hostile, &source, "--dry-run")
        .args(grants)
        .run()
        .succeeds();
    let plan = environment
        .copal(["plan", "restore", "latest", "--to"])
        .arg(&target)
        .run()
        .succeeds();
    assert!(
        plan.text().contains(target.to_str().unwrap()),
        "{}",
        plan.text()
    );
    environment.restore(&target, "--dry-run").run().succeeds();
    let absent = environment.path("absent");
    environment
        .copal(["plan", "restore", "latest", "--to"])
        .arg(&absent)
        .run()
        .succeeds();

    let after = (
        tree::read(&source),
        tree::read(&target),
        tree::contents(repository),
    );
    assert!(
        before == after,
        "a plan changed a root, a target or the repository"
    );
    assert!(!absent.exists());
    assert!(applications.changes().is_empty());
}

#[test]
fn every_command_prints_one_json_document() {
    let (environment, source) = backed_up();
    let source = source.to_str().unwrap();
    let target = environment.path("target");
    let target = target.to_str().unwrap();
    for arguments in [
        vec!["snapshots"],
        vec!["ls", "latest"],
        vec!["find", "*.txt"],
        vec!["diff", "latest", "latest"],
        vec!["stats"],
        vec!["stats", "--group-by", "plugin"],
        vec!["snapshots", "--group-by", "host"],
        vec!["manifest", "latest"],
        vec!["check"],
        vec!["check", "--read-data"],
        vec!["detect", source],
        vec!["plugin", "list"],
        vec!["plugin", "info", "jpom"],
        vec!["plan", "backup", "files", source],
        vec!["plan", "restore", "latest", "--to", target],
        vec!["backup", "files", source],
        vec!["restore", "latest", "--to", target],
        vec!["resume"],
    ] {
        environment
            .copal(&arguments)
            .arg("--json")
            .run()
            .succeeds()
            .json();
    }
    // Of two that differ; and nothing where that can't be told.
    std::fs::write(format!("{source}/new"), "new").unwrap();
    environment
        .backup("files", Path::new(source), "")
        .run()
        .succeeds();
    let ids = environment.snapshots();
    let (first, last) = (&ids[0], &ids[ids.len() - 1]);
    let [first, last] = [first, last].map(|snapshot| snapshot["id"].as_str().unwrap());
    let diff = || environment.copal(["diff", "--json", first, last]).run();
    let found = diff().succeeds().json();
    let mut changes = found["changes"].as_array().unwrap().iter();
    assert!(changes.any(|change| change["path"] == "files/new"));
    std::fs::remove_dir_all(Path::new(environment.repository()).join("data")).unwrap();
    assert_eq!(diff().exits(1).text(), "");
}

#[test]
fn what_a_snapshot_holds_can_be_listed_and_dumped() {
    let (environment, source) = backed_up();
    let snapshots = environment.snapshots();
    assert_eq!(snapshots.len(), 1);
    let id = snapshots[0]["id"].as_str().unwrap();
    assert_eq!(snapshots[0]["paths"][0], source.to_str().unwrap());

    let manifest = environment.manifest();
    assert_eq!(manifest["plugin"]["name"], "copal/files");
    assert_eq!(manifest["complete"], true);
    let root = manifest["roots"][0]["name"].as_str().unwrap();

    let listing = environment.copal(["ls", "latest"]).run().succeeds().text();
    for path in ["a.txt", "folder", "folder/b.txt", "folder/empty"] {
        let path = format!("{root}/{path}");
        assert!(
            listing.lines().any(|line| line == path),
            "{path} is not in\n{listing}"
        );
    }
    assert!(
        listing.contains(".copal/manifest.json") && listing.contains(".copal/plugin.wasm"),
        "{listing}"
    );
    let folder = environment
        .copal(["ls", &id[..8], &format!("{root}/folder")])
        .run()
        .succeeds()
        .text();
    assert_eq!(
        folder.lines().collect::<Vec<_>>(),
        [
            format!("{root}/folder/b.txt"),
            format!("{root}/folder/empty")
        ]
    );

    let dump = |path: &str| environment.copal(["dump", "latest", path]);
    assert_eq!(
        dump(&format!("{root}/folder/b.txt"))
            .run()
            .succeeds()
            .stdout,
        b"second\n"
    );
    environment
        .refused(dump(&format!("{root}/nosuch")), 1)
        .is("not-found")
        .says("nosuch");
    environment
        .refused(environment.copal(["ls", "0123456789"]), 1)
        .is("not-found")
        .says("0123456789");
}

#[test]
fn names_that_are_not_text_are_listed_in_one_spelling_that_dump_understands() {
    use std::os::unix::ffi::OsStrExt;
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    std::fs::write(
        source.join(std::ffi::OsStr::from_bytes(b"\xe9\n\x1b[31m")),
        "found",
    )
    .unwrap();
    environment.backup("files", &source, "").run().succeeds();
    let text = environment.copal(["ls", "latest"]).run().succeeds().text();
    assert!(
        !text.contains('\x1b'),
        "an escape sequence reaches the terminal: {text:?}"
    );
    let rows = environment
        .copal(["ls", "latest", "--json"])
        .run()
        .succeeds()
        .json();
    let path = rows
        .as_array()
        .unwrap()
        .iter()
        .find_map(|row| row["path"].as_str().filter(|path| path.contains("\\xe9")));
    let path = path.expect("the name is escaped");
    assert_eq!(
        environment
            .copal(["dump", "latest", path])
            .run()
            .succeeds()
            .stdout,
        b"found"
    );
}

#[test]
fn tags_are_kept() {
    let (environment, source) = backed_up();
    environment
        .backup("files", &source, "--tag weekly --tag keep")
        .run()
        .succeeds();
    let tagged = environment.snapshots().into_iter().filter(|snapshot| {
        let tags: Vec<_> = snapshot["tags"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|tag| tag.as_str())
            .collect();
        tags.contains(&"weekly") && tags.contains(&"keep")
    });
    assert_eq!(tagged.count(), 1);
}

#[test]
fn plugins_are_listed_and_described() {
    let environment = TestEnvironment::new();
    let list = environment
        .copal(["plugin", "list"])
        .run()
        .succeeds()
        .text();
    assert!(
        list.contains("copal/files") && list.contains("copal/jpom"),
        "{list}"
    );
    let info = environment
        .copal(["plugin", "info", "jpom", "--json"])
        .run()
        .succeeds()
        .json();
    assert_eq!(info["name"], "copal/jpom");
    assert!(
        info["config_schema"]["properties"]["container"].is_object(),
        "{info:#}"
    );
    let imports: Vec<_> = info["imports"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|import| import.as_str())
        .collect();
    assert!(
        !imports.is_empty()
            && imports
                .iter()
                .all(|import| import.starts_with("copal:plugin/")),
        "{imports:?}"
    );
    let digest = info["digest"].as_str().unwrap();
    let text = environment
        .copal(["plugin", "info", "jpom"])
        .run()
        .succeeds()
        .text();
    assert!(
        text.contains(digest) && text.contains("container") && text.contains("run:docker stop"),
        "{text}"
    );
}

#[test]
fn a_directory_that_no_application_is_known_by_is_plain_files() {
    let (environment, source) = backed_up();
    let found = environment
        .copal(["detect"])
        .arg(&source)
        .arg("--json")
        .run()
        .succeeds()
        .json();
    let plugins: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|found| &found["plugin"])
        .collect();
    assert_eq!(plugins, ["files"]);
    environment
        .refused(
            environment
                .copal(["detect"])
                .arg(environment.path("absent")),
            1,
        )
        .says("absent");
}

#[test]
fn globs_leave_files_out() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    std::fs::write(source.join("folder/left.log"), "out").unwrap();
    let info = environment
        .copal(["plugin", "info", "files", "--json"])
        .run()
        .succeeds()
        .json();
    assert!(
        info["config_schema"]["properties"]["exclude"].is_object(),
        "{info:#}"
    );
    let elsewhere = environment.backup("files", &source, "--exclude *.log");
    let elsewhere = elsewhere.run().exits(2);
    assert!(elsewhere.stderr.contains("--set exclude="), "{elsewhere:?}");
    let misspelled = environment.restore(&source, "--excludes *.log");
    let misspelled = misspelled.run().exits(2);
    assert!(!misspelled.stderr.contains("--set"), "{misspelled:?}");
    environment
        .backup("files", &source, "--set exclude=**/*.log")
        .run()
        .succeeds();
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    assert!(!target.join("folder/left.log").exists());
    tree::assert_same_but(&source, &target, |path| {
        path == Path::new("folder/left.log")
    });
}

#[test]
fn a_damaged_repository_is_found_out() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    std::fs::write(source.join("noise"), sample::noise(3, 1 << 20)).unwrap();
    environment.backup("files", &source, "").run().succeeds();
    environment.copal(["check", "--read-data"]).run().succeeds();
    let repository = Path::new(environment.repository());
    let packs = tree::read(&repository.join("data"));
    let (pack, _) = packs.iter().max_by_key(|(_, item)| item.size).unwrap();
    let pack = repository.join("data").join(pack);
    let good = std::fs::read(&pack).unwrap();

    let mut bad = good.clone();
    bad[1000] ^= 1;
    replace(&pack, &bad);
    let outcome = environment
        .copal(["check", "--read-data", "--json"])
        .run()
        .exits(1);
    assert_ne!(
        outcome.json()["errors"].as_array().map(Vec::len),
        Some(0),
        "{}",
        outcome.text()
    );
    let target = environment.path("target");
    environment
        .restore(&target, "")
        .run()
        .exits(3)
        .says("noise");
    assert!(
        !target.join("noise").exists(),
        "a damaged file was restored as if it were whole"
    );

    std::fs::remove_file(&pack).unwrap();
    environment.copal(["check"]).run().exits(1);
    replace(&pack, &good);
    environment.copal(["check", "--read-data"]).run().succeeds();
}

fn replace(path: &Path, content: &[u8]) {
    if path.exists() {
        std::fs::remove_file(path).unwrap();
    }
    std::fs::write(path, content).unwrap();
}

#[test]
fn a_restore_over_existing_files_asks_for_yes_and_then_replaces_them() {
    let (environment, source) = backed_up();
    let target = environment.make_directory("target");
    std::fs::write(target.join("a.txt"), "another\n").unwrap();
    std::fs::write(target.join("stays"), "not in the snapshot\n").unwrap();
    let before = tree::read(&target);
    let careless = environment
        .copal(["restore", "latest", "--to"])
        .arg(&target);
    environment
        .refused(careless, 1)
        .is("declined")
        .says("--yes");
    assert!(tree::read(&target) == before);
    environment.restore(&target, "").run().succeeds();
    tree::assert_same_but(&source, &target, |path| path == Path::new("stays"));
    assert_eq!(
        std::fs::read(target.join("stays")).unwrap(),
        b"not in the snapshot\n"
    );
}

/// A symlink in the target that leads out of it is replaced and never followed.
#[test]
fn a_restore_never_writes_through_a_symlink() {
    let (environment, source) = backed_up();
    let outside = environment.make_directory("outside");
    std::fs::write(outside.join("b.txt"), "untouched").unwrap();
    let target = environment.make_directory("target");
    std::os::unix::fs::symlink(&outside, target.join("folder")).unwrap();
    std::os::unix::fs::symlink(outside.join("b.txt"), target.join("a.txt")).unwrap();
    let before = tree::read(&outside);
    let outcome = environment.restore(&target, "").run();
    assert!(
        tree::read(&outside) == before,
        "written outside the target: {}",
        outcome.stderr
    );
    if outcome.status.success() {
        tree::assert_same(&source, &target);
    }
}

#[test]
fn progress_is_not_drawn_where_there_is_no_terminal() {
    let (environment, source) = backed_up();
    let outcome = environment.backup("files", &source, "").run().succeeds();
    assert!(
        !outcome.stderr.contains('\x1b') && !outcome.text().contains('\x1b'),
        "{}",
        outcome.stderr
    );
}
