//! What the plugin plans, over trees in memory and a database that answers from a table.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use copal_plugin_metabase::{Config, Metabase, MetabasePass};
use copal_sdk::h2::{HEADER_LENGTH, fletcher32};
use copal_sdk::testing::{MemoryTree, NOW, check_description, filter_all_chunkings, run_pass};
use copal_sdk::{
    Action, BackupPlan, BackupRequest, Command, Direction, Fact, Failure, Finding, Fragment,
    Intent, Output, Pass, PlacementContent, Plugin, Probe, RestorePlan, RestoreRequest,
    SourceContent, Step, Tree, Trees, config,
};

/// Answers every question to a database with the same lines, and everything else with nothing.
struct Answers(&'static str);

impl Probe for Answers {
    fn run(&self, command: &Command) -> Result<Output, Failure> {
        let asked = command
            .argv
            .iter()
            .any(|word| word == "-f" || word == "-script");
        Ok(Output {
            code: i32::from(!asked),
            stdout: if asked { self.0.into() } else { Vec::new() },
            stderr: Vec::new(),
            truncated: false,
        })
    }
}

const RUNNING: &str = "copal:changeset=50\ncopal:changesets=900\ncopal:users=7\ncopal:site=a\ncopal:nodes=1\ncopal:alive=1\n";
const FRESH: &str = "copal:changeset=50\ncopal:changesets=900\ncopal:users=0\n";
const DUMP: &str = "CREATE TABLE x ();\n--\n-- PostgreSQL database dump complete\n--\n";
const POSTGRES: &str =
    r#""db_dbname":"metabase","db_host":"db.example","db_user":"mb","db_pass":"hunter2""#;

fn configuration(json: &str) -> Config {
    config::parse(json).unwrap()
}

fn backup(roots: Trees, json: &str, answers: &'static str) -> BackupPlan {
    Metabase::plan_backup(&BackupRequest {
        roots,
        probe: &Answers(answers),
        config: configuration(json),
        now: NOW,
    })
    .unwrap()
}

fn restore(
    snapshot: Trees,
    targets: Trees,
    json: &str,
    streams: &[&str],
    intent: Intent,
) -> RestorePlan {
    Metabase::plan_restore(&RestoreRequest {
        targets,
        snapshot,
        probe: &Answers(FRESH),
        intent,
        rehearsal: false,
        config: configuration(json),
        now: NOW,
        facts: Vec::new().into(),
        streams: streams.iter().map(|&name| name.to_owned()).collect(),
    })
    .unwrap()
}

/// The beginning of a database's file, with a right checksum.
fn database(format: u32, clean: bool) -> Vec<u8> {
    let clean = if clean { "clean:1," } else { "" };
    let entries =
        format!("H:2,block:3,blockSize:1000,chunk:2,{clean}created:1a1,format:{format},version:2");
    let header = format!("{entries},fletcher:{:x}\n", fletcher32(entries.as_bytes()));
    let mut block = header.into_bytes();
    block.resize(HEADER_LENGTH / 2, b' ');
    [block.clone(), block].concat()
}

fn codes(findings: &[Finding]) -> Vec<&str> {
    findings
        .iter()
        .map(|finding| finding.code.as_str())
        .collect()
}

fn show(steps: &[Step]) -> Vec<String> {
    let action = |action: &Action| match action {
        Action::Run(command) => {
            let variables = command
                .environment
                .iter()
                .map(|variable| format!("{}=", variable.name));
            variables
                .chain(command.argv.iter().cloned())
                .collect::<Vec<_>>()
                .join(" ")
        }
        Action::Write(write) => format!("write {}", write.to.path),
        Action::Copy(copy) => format!("copy {}", copy.from.path),
        other => format!("{other:?}"),
    };
    let shown = steps.iter().map(|step| {
        let undo = step
            .undo
            .as_ref()
            .map(|undo| format!(" / {}", action(undo)));
        format!(
            "{}: {}{}",
            step.id,
            action(&step.action),
            undo.unwrap_or_default()
        )
    });
    shown.collect()
}

fn holds_secret(action: &Action) -> bool {
    let secret = |text: &[Fragment]| text.iter().any(|part| matches!(part, Fragment::Secret(_)));
    match action {
        Action::Run(command) => {
            command
                .environment
                .iter()
                .any(|variable| secret(&variable.value))
                || command.stdin.as_deref().is_some_and(secret)
        }
        Action::Write(write) => secret(&write.content),
        _ => false,
    }
}

#[test]
fn the_description_is_complete() {
    check_description::<Metabase>();
}

#[test]
fn a_running_metabase_is_paused_dumped_and_let_go_on() {
    let plan = backup(Trees::default(), &format!("{{{POSTGRES}}}"), RUNNING);
    let psql =
        "psql -X -w -q -A -t -v ON_ERROR_STOP=1 -p 5432 -h db.example -U mb -d metabase -f -";
    assert_eq!(
        show(&plan.quiesce),
        [
            "write-passfile: write pgpass".to_owned(),
            format!("pause-database: PGPASSFILE= {psql} / PGPASSFILE= {psql}"),
            "wait-for-nodes: sleep 90".to_owned(),
        ]
    );
    let streams: Vec<_> = plan
        .sources
        .iter()
        .map(|source| match &source.content {
            SourceContent::Command(stream) => stream.name.as_str(),
            SourceContent::Tree(root) => root,
        })
        .collect();
    assert_eq!(streams, ["inspection.txt", "metabase.sql"]);
}

#[test]
fn no_undo_holds_a_secret_and_no_argument_is_one() {
    let json = format!(
        r#"{{{POSTGRES},"api_url":"http://127.0.0.1:3000","api_key":"hunter2","java":"java","jar":"metabase.jar","encryption_key":"hunter2 and sixteen","version":"v0.50.3"}}"#
    );
    let plan = backup(Trees::default(), &json, RUNNING);
    assert_eq!(codes(&plan.findings), ["metabase.dump.h2"]);
    assert_eq!(
        show(&plan.quiesce).last().unwrap().as_str(),
        "assert-read-only: PGPASSWORD= psql -X -w -q -A -t -v ON_ERROR_STOP=1 -p 5432 -h db.example -U mb -d metabase -f -"
    );
    assert!(
        plan.quiesce
            .iter()
            .filter(|step| holds_secret(&step.action))
            .count()
            >= 4
    );
    for undo in plan.quiesce.iter().filter_map(|step| step.undo.as_ref()) {
        assert!(!holds_secret(undo), "{undo:?}");
    }
    assert!(!format!("{plan:?}").contains("hunter2"));
}

#[test]
fn a_node_that_is_told_is_not_waited_for_and_a_stopped_metabase_is_left_alone() {
    let told = format!(r#"{{{POSTGRES},"api_url":"http://127.0.0.1:3000","api_key":"k"}}"#);
    let ids = |json: &str| -> Vec<String> {
        let plan = backup(Trees::default(), json, RUNNING);
        plan.quiesce.into_iter().map(|step| step.id).collect()
    };
    assert_eq!(
        ids(&told),
        [
            "write-passfile",
            "write-read-only-request",
            "write-writable-request",
            "pause-database",
            "tell-metabase"
        ]
    );
    assert!(ids(&format!(r#"{{{POSTGRES},"stopped":true}}"#)).is_empty());
    assert_eq!(
        ids(&format!(r#"{{{POSTGRES},"unit":"metabase"}}"#)),
        ["stop-metabase"]
    );
}

#[test]
fn of_the_data_folder_the_database_alone_is_saved() {
    let data = MemoryTree::new("data")
        .file("metabase.db/metabase.db.mv.db", database(2, true))
        .file("metabase.db/metabase.db.trace.db", "x")
        .file("metabase.jar", "x")
        .file("logs/metabase.log", "x");
    let plugins = MemoryTree::new("plugins")
        .file("ojdbc8.jar", "x")
        .file("mongo.metabase-driver.jar", "x");
    let roots: Trees = [data.clone(), plugins.clone()].into_iter().collect();
    let plan = backup(roots, "{}", "");
    assert_eq!(
        codes(&plan.findings),
        ["metabase.h2.closed", "metabase.inspection.none"]
    );
    let saved = |tree: &MemoryTree| {
        run_pass::<MetabasePass>(tree, Direction::Backup, &plan.state)
            .unwrap()
            .0
    };
    assert_eq!(
        saved(&data).paths(),
        ["metabase.db", "metabase.db/metabase.db.mv.db"]
    );
    assert_eq!(saved(&plugins).paths(), ["ojdbc8.jar"]);
    // Somebody opens it before it is read.
    let opened = MemoryTree::new("data").file("metabase.db/metabase.db.mv.db", database(2, false));
    let failure = run_pass::<MetabasePass>(&opened, Direction::Backup, &plan.state).unwrap_err();
    assert_eq!(failure.code, "metabase.h2.opened");
    let plan = backup(opened.into(), "{}", "");
    assert!(codes(&plan.findings).contains(&"metabase.h2.unclean"));
}

#[test]
fn a_dump_goes_in_with_what_comes_before_and_behind_it() {
    let plan = restore(
        Trees::default(),
        Trees::default(),
        &format!("{{{POSTGRES}}}"),
        &["metabase.sql"],
        Intent::Migrate,
    );
    assert_eq!(codes(&plan.findings)[0], "metabase.version.unknown");
    let [placement] = &plan.placements[..] else {
        panic!("{:?}", plan.placements);
    };
    let PlacementContent::Feed(feed) = &placement.content else {
        panic!("{placement:?}");
    };
    assert!(feed.filter);
    let dump = MemoryTree::new("streams").file("metabase.sql", DUMP);
    let entry = dump.stat("metabase.sql").unwrap().unwrap();
    let open = || {
        let state = serde_json::from_slice(&plan.state).unwrap();
        let mut pass = MetabasePass::start(Direction::Restore, state).unwrap();
        pass.open("streams", &entry).unwrap()
    };
    let fed = String::from_utf8(filter_all_chunkings(open, DUMP.as_bytes()).unwrap()).unwrap();
    let (before, behind) = fed.split_once(DUMP).unwrap();
    assert!(before.starts_with("BEGIN;\n") && before.contains("DROP %s IF EXISTS"));
    assert!(behind.contains("RESET search_path") && behind.contains("DELETE FROM core_session"));
    assert!(behind.ends_with("COMMIT;\n"));
    let cut = &DUMP.as_bytes()[..20];
    let failure = filter_all_chunkings(open, cut).unwrap_err();
    assert_eq!(failure.code, "sql.load.incomplete");
    let [guard] = &plan.safeguards[..] else {
        panic!("{:?}", plan.safeguards);
    };
    assert_eq!(guard.save.argv[..2], ["sh", "-ec"]);
    assert_eq!(guard.save.argv[4], "pg_dump");
    assert_eq!(guard.put_back, feed.command);
}

#[test]
fn the_database_is_emptied_only_right_before_metabase_loads_a_dump() {
    let plan = restore(
        Trees::default(),
        Trees::default(),
        &format!(r#"{{{POSTGRES},"java":"java","jar":"metabase.jar"}}"#),
        &["metabase.db.mv.db"],
        Intent::Migrate,
    );
    assert!(plan.before.is_empty(), "{:?}", show(&plan.before));
    let ids: Vec<&str> = plan.after.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "empty-database",
            "load-from-h2",
            "change-database",
            "read-database"
        ]
    );
}

#[test]
fn a_path_that_would_go_on_as_options_of_a_url_is_refused() {
    let hostile = "x;INIT=RUNSCRIPT FROM 'y'";
    let data = || MemoryTree::new("data").file(&format!("{hostile}.mv.db"), database(2, true));
    for more in ["", POSTGRES] {
        let json = match more {
            "" => "{}".to_owned(),
            more => format!(r#"{{{more},"java":"java","jar":"metabase.jar"}}"#),
        };
        let failure = Metabase::plan_restore(&RestoreRequest {
            targets: MemoryTree::new("data").into(),
            snapshot: data().into(),
            probe: &Answers(FRESH),
            intent: Intent::Migrate,
            rehearsal: false,
            config: configuration(&json),
            now: NOW,
            facts: vec![Fact::new("h2Path", hostile)].into(),
            streams: Vec::new(),
        })
        .unwrap_err();
        assert_eq!(failure.code, "h2.path", "{json}");
    }
}

#[test]
fn a_database_without_a_place_is_refused() {
    let file = || MemoryTree::new("data").file("metabase.db.mv.db", database(2, true));
    for (snapshot, streams) in [
        (file().into(), &[][..]),
        (Trees::default(), &["metabase.db.mv.db"][..]),
    ] {
        let plan = restore(snapshot, Trees::default(), "{}", streams, Intent::Migrate);
        assert!(codes(&plan.findings).contains(&"metabase.restore.target"));
        assert!(plan.placements.is_empty());
    }
}

#[test]
fn a_format_that_the_jar_can_not_open_is_refused() {
    let data = || MemoryTree::new("data").file("metabase.db.mv.db", database(1, true));
    let json = r#"{"stopped":true,"java":"java","h2_jar":"h2-2.1.214.jar"}"#;
    let plan = backup(data().into(), json, "");
    assert!(codes(&plan.findings).contains(&"metabase.h2.jar"));
    let plan = restore(
        data().into(),
        MemoryTree::new("data").into(),
        json,
        &[],
        Intent::Migrate,
    );
    assert!(codes(&plan.findings).contains(&"metabase.h2.jar"));
}

#[test]
fn folders_of_metabase_are_recognised() {
    let probe = Answers("");
    let detect = |tree: MemoryTree| {
        Metabase::detect(&tree, &probe)
            .unwrap()
            .map(|found| found.root)
    };
    let data = MemoryTree::new("x").file("metabase.db.mv.db", database(2, true));
    assert_eq!(detect(data).as_deref(), Some("data"));
    let plugins = MemoryTree::new("x").file("snowflake.metabase-driver.jar", "x");
    assert_eq!(detect(plugins).as_deref(), Some("plugins"));
    assert_eq!(
        detect(MemoryTree::new("x").file("metabase.db.mv.db", "no database")),
        None
    );
}
