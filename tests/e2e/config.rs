//! Jobs in a file: what `copal.toml` says is what is done, and every mistake in it is named.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use copal_tests::environment::PASSWORD;
use copal_tests::restic::Restic;
use copal_tests::run::{Program, words};
use copal_tests::s3::S3Server;
use copal_tests::{TestEnvironment, sample, tree};
use rustix::process::Signal;
use serde_json::{Value, json};

const REPOSITORY: &str = r#"
[repository]
url = "repository"
password = { file = "password" }
"#;

/// A world whose repository only `copal.toml` names, with a small tree `source`.
struct Jobs {
    environment: TestEnvironment,
    source: PathBuf,
}

impl Jobs {
    fn new(jobs: &str) -> Self {
        let world = Self::with_file(&format!("{REPOSITORY}{jobs}"));
        world.environment.write("password", format!("{PASSWORD}\n"));
        let repository = Path::new(world.environment.repository());
        if !repository.exists() {
            world.environment.lay_out_repository();
        }
        world
    }

    fn with_file(text: &str) -> Self {
        let environment = TestEnvironment::new();
        let source = environment.make_directory("source");
        sample::simple(&source);
        environment.write("copal.toml", text);
        Self {
            environment,
            source,
        }
    }

    /// `copal` with these words, told nothing by its environment.
    fn copal(&self, arguments: &str) -> Program {
        let program = self.environment.copal(words(arguments));
        program
            .without_env("COPAL_REPOSITORY")
            .without_env("COPAL_PASSWORD")
    }

    fn backs_up(&self, arguments: &str) -> Value {
        let program = self.copal(&format!("backup --yes --json {arguments}"));
        program.run().succeeds().json()
    }

    fn manifest(&self) -> Value {
        self.environment.manifest()
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.environment.path(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

const FILES: &str = r#"
[jobs.site]
plugin = "files"
roots = { files = "source" }
tags = ["nightly"]
config = { exclude = ["empty"] }
[jobs.site.restore]
roots = { files = "target" }
"#;

#[test]
fn a_job_in_a_file_is_backed_up_and_restored_by_its_name() {
    let jobs = Jobs::new(FILES);
    let environment = &jobs.environment;
    // An older snapshot of somebody else's is not the job's latest.
    jobs.backs_up("--job site");
    environment
        .backup("files", &environment.make_directory("other"), "")
        .run()
        .succeeds();
    let snapshots = jobs.copal("snapshots --json --job site").run().succeeds();
    let tags = json!(["job:site", "nightly", "plugin:copal/files"]);
    assert_eq!(snapshots.json()[0]["tags"], tags);

    let plan = jobs
        .copal("plan restore --job site --json")
        .run()
        .succeeds();
    assert_eq!(plan.json()["snapshot"], snapshots.json()[0]["id"]);
    jobs.copal("restore --job site").run().succeeds();
    let target = environment.path("target");
    assert!(!target.join("folder/empty").exists());
    std::fs::write(target.join("folder/empty"), "").unwrap();
    assert_eq!(tree::contents(&jobs.source), tree::contents(&target));
}

#[test]
fn a_repository_is_made_and_looked_at_by_a_jobs_name() {
    let jobs = Jobs::with_file(&format!("{REPOSITORY}{FILES}"));
    jobs.environment.write("password", "secret\n");
    jobs.copal("init --job site").run().succeeds();
    jobs.backs_up("--job site");
    jobs.copal("check --job site").run().succeeds();
    // The password is the file's, not the one of the environment.
    let other = jobs
        .copal("snapshots --job site")
        .env("COPAL_PASSWORD", "other");
    other.run().succeeds();
}

#[test]
fn the_command_line_goes_before_the_file_and_adds_to_it() {
    let jobs = Jobs::new(FILES);
    let other = jobs.environment.make_directory("other");
    std::fs::write(other.join("b.txt"), "b").unwrap();
    jobs.backs_up("--job site files=other more=source --set exclude=a.txt --tag extra");
    let manifest = jobs.manifest();
    assert_eq!(manifest["config"], json!({"exclude": ["a.txt"]}));
    let roots = manifest["roots"].as_array().unwrap();
    let at = |name: &str| roots.iter().find(|root| root["name"] == name).unwrap()["path"].clone();
    assert_eq!(at("files"), json!(other));
    assert_eq!(at("more"), json!(jobs.source));

    jobs.copal("restore --job site --to files=elsewhere --to more=more")
        .run()
        .succeeds();
    assert!(jobs.environment.path("elsewhere/b.txt").exists());
    assert!(!jobs.environment.path("target").exists());

    let elsewhere = jobs.copal("backup --yes --job site -r nowhere");
    jobs.environment
        .refused(elsewhere, 10)
        .is("no-repository")
        .says("nowhere");
}

#[test]
fn an_operators_streams_are_stored_and_restored_without_grants_and_secrets_stay_out() {
    let jobs = Jobs::new(
        r#"
[jobs.db]
plugin = "files"
roots = { files = "source" }
[[jobs.db.streams]]
name = "extra.sql"
command = ["sh", "-c", "echo \"$USER_NAME:$PASSWORD {scratch}\""]
environment = { USER_NAME = "me", PASSWORD = { env = "DB_PASSWORD" } }
[[jobs.db.streams]]
name = "live.txt"
command = ["echo", "live"]
window = "live"
[jobs.db.restore]
roots = { files = "target" }
streams."extra.sql" = { command = ["sh", "-c", "cat > \"$OUT\""], environment = { OUT = "restored.sql" } }
"#,
    );
    let out = jobs.environment.path("restored.sql");
    let text = std::fs::read_to_string(jobs.environment.path("copal.toml")).unwrap();
    let text = text.replace("restored.sql", out.to_str().unwrap());
    jobs.environment.write("copal.toml", text);

    let plan = jobs
        .copal("plan backup --job db")
        .env("DB_PASSWORD", "hunter2");
    let plan = plan.run().succeeds();
    assert!(plan.text().contains("streams/extra.sql"), "{}", plan.text());
    assert!(!plan.text().contains("hunter2"), "{}", plan.text());

    let backup = jobs
        .copal("backup --yes --job db")
        .env("DB_PASSWORD", "hunter2");
    backup.run().succeeds();
    let manifest = jobs.manifest();
    assert_eq!(
        manifest["operator_streams"],
        json!(["extra.sql", "live.txt"])
    );
    assert_eq!(manifest["streams"], json!([]));
    assert!(!manifest.to_string().contains("hunter2"));

    let restored = jobs.copal("restore --job db --yes").run().succeeds();
    // A word of the operator's is no placeholder, and the stream without a command is named.
    assert_eq!(
        std::fs::read_to_string(out).unwrap(),
        "me:hunter2 {scratch}\n"
    );
    assert!(restored.text().contains("live.txt"), "{}", restored.text());
}

#[test]
fn hooks_run_around_a_backup_and_are_told_how_it_ended() {
    let jobs = Jobs::new(
        r#"
[jobs.site]
plugin = "files"
roots = { files = "mounted" }
[jobs.site.hooks]
before = [["hook", "before"], ["mkdir", "-p", "MOUNTED"]]
after = [["hook", "after"]]
failed = [["hook", "failed"]]
finally = [["hook", "finally"]]
"#,
    );
    let environment = &jobs.environment;
    let text = std::fs::read_to_string(environment.path("copal.toml")).unwrap();
    let mounted = environment.path("mounted");
    environment.write(
        "copal.toml",
        text.replace("MOUNTED", mounted.to_str().unwrap()),
    );
    let script =
        "#!/bin/sh\necho $1 $COPAL_JOB $COPAL_OPERATION $COPAL_STATUS $COPAL_SNAPSHOT >> LINES\n";
    let script = script.replace("LINES", environment.path("lines").to_str().unwrap());
    environment.install_program("hook", &script);

    // The directory is only there once the hook before has made it. A plan runs no hooks.
    environment
        .refused(jobs.copal("plan backup --job site"), 1)
        .is("roots");
    assert!(jobs.lines("lines").is_empty());
    let done = jobs.backs_up("--job site");
    let snapshot = done["snapshot"].as_str().unwrap();
    assert_eq!(
        jobs.lines("lines"),
        [
            "before site backup".to_owned(),
            format!("after site backup succeeded {snapshot}"),
            format!("finally site backup succeeded {snapshot}"),
        ]
    );

    std::fs::remove_file(environment.path("lines")).unwrap();
    let refused = jobs.copal("backup --yes --job site nosuch=source");
    let refused = refused.args(["--set", "exclude=[", "--set", "nosuch=1"]);
    environment.refused(refused, 1).is("config");
    let told = [
        "before site backup",
        "failed site backup failed",
        "finally site backup failed",
    ];
    assert_eq!(jobs.lines("lines"), told);
}

#[test]
fn a_hook_that_fails_afterwards_leaves_the_snapshot_and_fails_the_command() {
    let hooks = "\n[jobs.site.hooks]\nafter = [[\"false\"]]\n";
    let jobs = Jobs::new(&format!("{FILES}{hooks}"));
    let outcome = jobs.copal("backup --yes --job site --json").run().exits(1);
    assert_eq!(outcome.error()["kind"], "hook");
    assert!(outcome.json()["snapshot"].is_string());
    assert_eq!(jobs.environment.snapshots().len(), 1);
}

#[test]
fn retention_lets_go_the_jobs_own_earlier_snapshots_alone() {
    let retention = "retention = { keep-last = 2 }\n[jobs.site.restore]";
    let jobs = Jobs::new(&FILES.replace("[jobs.site.restore]", retention));
    jobs.environment
        .backup("files", &jobs.source, "")
        .run()
        .succeeds();
    let first = jobs.backs_up("--job site")["snapshot"].clone();
    assert!(jobs.backs_up("--job site").get("forgotten").is_none());
    let third = jobs.backs_up("--job site");
    assert_eq!(third["forgotten"], json!([first]));
    assert_eq!(jobs.environment.snapshots().len(), 3);
}

#[test]
fn retention_lets_no_snapshot_of_another_machine_go() {
    let retention = "retention = { keep-last = 1 }\n[jobs.site.restore]";
    let jobs = Jobs::new(&FILES.replace("[jobs.site.restore]", retention));
    let Some(restic) = Restic::find(&jobs.environment) else {
        return;
    };
    for _ in 0..2 {
        restic
            .command(["backup", "--host", "other", "--tag", "job:site"])
            .arg(&jobs.source)
            .run()
            .succeeds();
    }
    let first = jobs.backs_up("--job site")["snapshot"].clone();
    assert_eq!(jobs.backs_up("--job site")["forgotten"], json!([first]));
    assert_eq!(jobs.environment.snapshots().len(), 3);
}

#[test]
fn all_jobs_are_backed_up_also_after_one_that_fails() {
    let broken = "[jobs.broken]\nplugin = \"files\"\nroots = { files = \"nowhere\" }\n";
    let jobs = Jobs::new(&format!("{broken}{FILES}"));
    let outcome = jobs.copal("backup --all --yes --json").run().exits(1);
    let documents = outcome.json();
    assert_eq!(documents[0]["job"], "broken");
    assert_eq!(documents[0]["error"]["kind"], "roots");
    assert_eq!(documents[1]["job"], "site");
    assert!(documents[1]["outcome"]["snapshot"].is_string());
    jobs.copal("backup --all --yes")
        .run()
        .exits(1)
        .says("nowhere");
    assert_eq!(jobs.environment.snapshots().len(), 2);
}

#[test]
fn all_jobs_are_planned_and_none_is_done() {
    let jobs = Jobs::new(&format!("[jobs.broken]\nplugin = \"nosuch\"\n{FILES}"));
    for arguments in ["backup --all --dry-run --json", "plan backup --all --json"] {
        let documents = jobs.copal(arguments).run().exits(1).json();
        assert!(documents[0]["error"]["kind"].is_string(), "{documents:#}");
        assert_eq!(documents[1]["plan"]["plugin"]["name"], "copal/files");
        assert!(documents[1]["error"].is_null(), "{documents:#}");
    }
    let shown = jobs.copal("backup --all --dry-run").run().exits(1);
    assert!(shown.text().contains("Back up with"), "{}", shown.text());
    assert!(jobs.environment.snapshots().is_empty());
}

#[test]
fn a_file_without_jobs_does_not_pass_for_a_backup_of_all() {
    let jobs = Jobs::new("");
    let refusal = jobs.environment.refused(jobs.copal("backup --all"), 1);
    refusal.is("no-job").says("copal.toml has no jobs");
}

#[test]
fn an_interrupt_ends_the_backup_of_all_jobs() {
    let endless = r#"
[jobs.endless]
plugin = "files"
roots = { files = "source" }
streams = [{ name = "a", command = ["sh", "-c", "touch \"$READY\"; sleep 100"], environment = { READY = "PLACE" } }]
"#;
    let jobs = Jobs::new("");
    let ready = jobs.environment.path("ready");
    let endless = endless.replace("PLACE", ready.to_str().unwrap());
    let text = format!("{REPOSITORY}{endless}{FILES}");
    jobs.environment.write("copal.toml", text);
    let backup = jobs.copal("backup --all --yes --json").start();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ready.exists() {
        assert!(Instant::now() < deadline, "the stream was never read");
        sleep(Duration::from_millis(20));
    }
    backup.signal(Signal::INT);
    let documents = backup.wait().exits(130).json();
    assert_eq!(documents[0]["error"]["exit_code"], 130, "{documents:#}");
    assert_eq!(documents.as_array().unwrap().len(), 1);
    assert!(jobs.environment.snapshots().is_empty());
}

const MISTAKES: &str = r#"[repository]
url = "s3://bucket/prefix"
password = "hunter2"
environment = { AWS_SECRET_ACCESS_KEY = "hunter2", AWS_NO_SUCH = "x" }

[jobs.Wrong]
plugn = "jpom"
roots = ["/srv"]

[jobs.jpom]
plugin = "jpom"
roots = { hom = "/nowhere", data = "/nowhere/at/all" }
grants = ["run:docker stop jpom", "nonsense"]
retention = { keep-daily = -1, keep-within = "soon" }
[[jobs.jpom.streams]]
name = "a.sql"
command = []
window = "life"

[jobs.more]
plugin = "jpom"
roots = { hom = "/nowhere/at/all" }
config = { stoped = true, db_password = "hunter2", java = 1, h2_jar = { file = "no-such-file" }, install_id = { env = "COPAL_NO_SUCH" } }
[[jobs.more.streams]]
name = "a.sql"
command = ["dump"]
[[jobs.more.streams]]
name = "a.sql"
command = ["dump"]
[jobs.more.restore]
intent = "recover"
streams."b.sql" = { command = ["load"] }

[jobs.strange]
plugin = "nosuch"
"#;

#[test]
fn every_mistake_is_named_with_its_line_and_column() {
    let jobs = Jobs::with_file(MISTAKES);
    let outcome = jobs.copal("config check --json").run().exits(1);
    let document = outcome.json();
    let problems = document["problems"].as_array().unwrap();
    let found: Vec<_> = problems
        .iter()
        .map(|problem| {
            let text = |key: &str| problem[key].as_str().unwrap();
            let mark = if text("level") == "error" { 'E' } else { 'W' };
            let (line, column) = (&problem["line"], &problem["column"]);
            format!("{mark} {line}:{column} {}", text("key"))
        })
        .collect();
    let expected = [
        "E 3:12 repository.password",
        "E 4:41 repository.environment.AWS_SECRET_ACCESS_KEY",
        "E 4:52 repository.environment.AWS_NO_SUCH",
        "E 6:7 jobs.Wrong",
        "E 6:7 jobs.Wrong",
        "E 7:1 jobs.Wrong.plugn",
        "E 8:9 jobs.Wrong.roots",
        "E 12:11 jobs.jpom.roots.hom",
        "W 12:17 jobs.jpom.roots.hom",
        "W 12:36 jobs.jpom.roots.data",
        "E 13:35 jobs.jpom.grants.1",
        "E 14:28 jobs.jpom.retention.keep-daily",
        "E 14:46 jobs.jpom.retention.keep-within",
        "E 17:11 jobs.jpom.streams.0.command",
        "E 18:10 jobs.jpom.streams.0.window",
        "E 22:11 jobs.more.roots.hom",
        "W 22:17 jobs.more.roots.hom",
        "E 23:12 jobs.more.config.stoped",
        "E 23:41 jobs.more.config.db_password",
        "E 23:59 jobs.more.config.java",
        "W 23:71 jobs.more.config.h2_jar",
        "W 23:111 jobs.more.config.install_id",
        "E 28:8 jobs.more.streams.1.name",
        "E 32:9 jobs.more.restore.streams.\"b.sql\"",
        "E 35:10 jobs.strange.plugin",
    ];
    assert_eq!(found, expected, "{document:#}");
    assert!(!document.to_string().contains("hunter2"));
    let said = jobs.copal("config check").run().exits(1);
    let first =
        "copal.toml:3:12: error: repository.password: this is a string, and must be a table";
    assert!(said.text().contains(first), "{}", said.text());
    assert!(
        said.text().contains("did you mean `plugin`?"),
        "{}",
        said.text()
    );
    assert!(!said.text().contains("hunter2"));
}

#[test]
fn what_is_no_toml_is_named_with_all_else_that_is_wrong() {
    let jobs = Jobs::with_file(
        "[jobs.a]\nplugin = \"files\nroots = { files = \"x\" }\n\n[jobs.b]\nplugin = \"files\"\ntag = []\n",
    );
    let document = jobs.copal("config check --json").run().exits(1).json();
    let lines = document["problems"].as_array().unwrap();
    assert!(
        lines.iter().any(|problem| problem["line"] == 2),
        "{document:#}"
    );
    assert!(
        lines.iter().any(|problem| problem["line"] == 7),
        "{document:#}"
    );
}

#[test]
fn what_a_storage_service_needs_may_stand_in_the_file() {
    let place = TestEnvironment::new();
    let server = S3Server::start(&place.path("objects"));
    let world = server.environment();
    let variables = server.variables();
    let said = |name: &str| &variables.iter().find(|(own, _)| own == name).unwrap().1;
    let text = format!(
        r#"
[repository]
url = "{}"
password = {{ env = "COPAL_PASSWORD" }}
[repository.environment]
AWS_ENDPOINT_URL = "{}"
AWS_ALLOW_HTTP = "true"
AWS_REGION = "us-east-1"
AWS_ACCESS_KEY_ID = "{}"
AWS_SECRET_ACCESS_KEY = {{ file = "key" }}
[jobs.site]
plugin = "files"
"#,
        world.repository(),
        said("AWS_ENDPOINT_URL"),
        said("AWS_ACCESS_KEY_ID"),
    );
    world.write("copal.toml", text);
    world.write("key", format!("{}\n", said("AWS_SECRET_ACCESS_KEY")));
    let told_nothing = |arguments: &str| {
        let program = world
            .copal(words(arguments))
            .without_env("COPAL_REPOSITORY");
        variables
            .iter()
            .fold(program, |program, (name, _)| program.without_env(name))
    };
    told_nothing("init --job site").run().succeeds();
    told_nothing("check --job site").run().succeeds();
    world.write("key", "wrong");
    told_nothing("check --job site").run().exits(1);
}

#[test]
fn a_job_with_mistakes_is_refused_and_another_one_is_not() {
    let broken = "[jobs.broken]\nplugin = \"files\"\nroot = { files = \"source\" }\n";
    let jobs = Jobs::new(&format!("{broken}{FILES}"));
    jobs.environment
        .refused(jobs.copal("backup --job broken"), 1)
        .is("config-file")
        .says("copal.toml:7:1: error: jobs.broken.root: unknown key `root`; did you mean `roots`?");
    jobs.backs_up("--job site");
    let refusal = jobs.environment.refused(jobs.copal("backup --job sit"), 1);
    refusal.is("no-job").says("did you mean `site`?");
}

#[test]
fn a_secret_of_the_plugin_must_stand_elsewhere_and_is_shown_nowhere() {
    let job = |value: &str| {
        format!(
            "[jobs.a]\nplugin = \"jpom\"\nroots = {{ home = \"source\" }}\nconfig = {{ db_password = {value} }}\n"
        )
    };
    let plain = Jobs::new(&job("\"hunter2\""));
    let refusal = plain.environment.refused(plain.copal("backup --job a"), 1);
    refusal.is("config").says("db_password");
    let shown = plain.copal("config show --job a").run().succeeds().json();
    assert_eq!(shown["config"]["db_password"], "***");

    let elsewhere = Jobs::new(&job("{ command = [\"echo\", \"hunter2\"] }"));
    let shown = elsewhere
        .copal("config show --job a")
        .run()
        .succeeds()
        .json();
    assert_eq!(
        shown["config"]["db_password"],
        json!({"command": ["echo", "hunter2"]})
    );
    assert_eq!(shown["roots"]["home"], json!(elsewhere.source));
    // The source is no Jpom; what matters is that the plugin was asked, and the value repeated nowhere.
    let refused = elsewhere.copal("backup --job a").run().exits(1);
    assert!(!refused.stderr.contains("hunter2") && !refused.text().contains("hunter2"));
    assert!(
        !refused.stderr.contains("must not stand in the file"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_value_that_stands_nowhere_stops_the_job() {
    let job = "[jobs.a]\nplugin = \"files\"\nroots = { files = \"source\" }\nconfig = { exclude = [{ env = \"NO_SUCH\" }] }\n";
    let jobs = Jobs::new(job);
    let refusal = jobs.environment.refused(jobs.copal("backup --job a"), 1);
    refusal.is("reference").says("NO_SUCH");
    jobs.copal("backup --yes --job a")
        .env("NO_SUCH", "a.txt")
        .run()
        .succeeds();
    assert_eq!(jobs.manifest()["config"], json!({"exclude": ["***"]}));
}

#[test]
fn a_file_that_everybody_may_write_is_refused() {
    let jobs = Jobs::new(FILES);
    let file = jobs.environment.path("copal.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let refusal = jobs.environment.refused(jobs.copal("backup --job site"), 1);
    refusal.is("config-file").says("chmod o-w");
}

#[test]
fn the_file_is_found_where_it_is_said_to_be() {
    let jobs = Jobs::new(FILES);
    let environment = &jobs.environment;
    let file = environment.path("copal.toml");
    std::fs::create_dir_all(environment.path("home/.config/copal")).unwrap();
    std::fs::rename(&file, environment.path("home/.config/copal/copal.toml")).unwrap();
    jobs.copal("config check").run().exits(0).text();
    std::fs::rename(
        environment.path("home/.config/copal/copal.toml"),
        environment.path("jobs.toml"),
    )
    .unwrap();
    let nowhere = jobs.copal("config check");
    environment
        .refused(nowhere, 1)
        .is("no-config")
        .says(".config/copal");
    jobs.backs_up("--job site --config jobs.toml");
    let named = jobs
        .copal("backup --yes --job site")
        .env("COPAL_CONFIG", "jobs.toml");
    named.run().succeeds();
}

#[test]
fn arguments_that_do_not_belong_together_are_wrong_usage() {
    let jobs = Jobs::new(FILES);
    for arguments in [
        "backup",
        "restore",
        "backup --all --job site",
        "config show",
    ] {
        jobs.environment
            .refused(jobs.copal(arguments), 2)
            .is("arguments");
    }
}

#[test]
fn the_schema_in_the_book_is_the_one_that_the_program_prints() {
    let environment = TestEnvironment::new();
    let printed = environment.copal(["config", "schema"]).run().succeeds();
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/copal.schema.json");
    let book = std::fs::read_to_string(book).unwrap();
    assert!(
        book == printed.text(),
        "docs/src/copal.schema.json is not current: write it anew with `copal config schema`"
    );
}

#[test]
fn the_example_in_the_book_has_no_mistakes() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/copal-toml.md");
    let page = std::fs::read_to_string(page).unwrap();
    let example = page
        .split("```toml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let jobs = Jobs::with_file(example);
    let document = jobs.copal("config check --json").run().succeeds().json();
    let levels = document["problems"].as_array().unwrap().iter();
    assert!(
        levels.clone().count() > 0 && levels.clone().all(|problem| problem["level"] == "warning"),
        "{document:#}"
    );
}
