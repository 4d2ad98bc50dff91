use copal_sdk::testing::MemoryTree;
use copal_sdk::{Action, Condition, SourceContent, Trees};
use serde_json::json;

use crate::support::{FakeDatabase, back_up, changelog, codes, installed, message, text};

#[test]
fn a_database_is_dumped_and_its_history_named() {
    let database = FakeDatabase::of_liquibase(&[
        ("db/changelog.yaml", "1", "ann"),
        ("db/changelog.yaml", "2", "ann"),
    ]);
    let roots = changelog(&[("1", "ann"), ("2", "ann"), ("3", "ann")]).into();
    let plan = back_up(&database, json!({"dump_options": ["--no-owner"]}), roots).unwrap();
    assert_eq!(
        codes(&plan.findings),
        [
            "info liquibase.history.found",
            "info liquibase.history.applied",
            "info liquibase.history.pending"
        ]
    );
    assert!(
        message(&plan.findings, "liquibase.history.found")
            .contains("2 change sets; the last is db/changelog.yaml::2::ann")
    );
    let [source] = &plan.sources[..] else {
        panic!("one source")
    };
    let SourceContent::Command(stream) = &source.content else {
        panic!("a stream")
    };
    assert!(stream.filter);
    assert_eq!(
        stream.command.argv,
        ["pg_dump", "-w", "--no-owner", "-d", "host=db dbname=app"]
    );
    assert!(plan.quiesce.is_empty());
}

#[test]
fn a_held_lock_is_refused_waited_for_or_ignored() {
    let held = || FakeDatabase {
        lock: Some(json!({"by": "pod-7", "since": "2024-01-01"})),
        ..FakeDatabase::of_liquibase(&[])
    };
    for (lock, expected) in [
        ("refuse", "error liquibase.lock.held"),
        ("wait", "info liquibase.lock.waiting"),
        ("ignore", "warning liquibase.lock.ignored"),
    ] {
        let plan = back_up(
            &held(),
            json!({"lock": lock, "lock_timeout": 7}),
            Trees::default(),
        )
        .unwrap();
        assert_eq!(codes(&plan.findings)[0], expected);
        assert!(plan.findings[0].message.contains("pod-7 since 2024-01-01"));
        assert_eq!(plan.quiesce.len(), usize::from(lock == "wait"));
    }
    // A migration may also begin before the backup does.
    let plan = back_up(
        &FakeDatabase::of_liquibase(&[]),
        json!({"lock": "wait", "lock_timeout": 7}),
        Trees::default(),
    )
    .unwrap();
    let Action::Wait(wait) = &plan.quiesce[0].action else {
        panic!("a wait")
    };
    let Condition::CommandSucceeds(look) = &wait.condition else {
        panic!("a command")
    };
    assert_eq!(wait.timeout, 7);
    assert!(
        text(look.stdin.as_ref().unwrap())
            .contains(r#"FROM "public"."databasechangeloglock" WHERE locked"#)
    );
}

#[test]
fn what_is_no_history_or_one_of_several_is_refused() {
    let none = FakeDatabase::default();
    assert_eq!(
        back_up(&none, json!({}), Trees::default())
            .unwrap_err()
            .code,
        "liquibase.history.none"
    );
    let two = || FakeDatabase {
        tables: vec![("a", "databasechangelog"), ("b", "databasechangelog")],
        ..FakeDatabase::default()
    };
    assert_eq!(
        back_up(&two(), json!({}), Trees::default())
            .unwrap_err()
            .code,
        "liquibase.history.several"
    );
    assert!(back_up(&two(), json!({"schema": "b"}), Trees::default()).is_ok());
}

#[test]
fn a_failed_migration_of_flyway_is_named() {
    let database = FakeDatabase {
        tables: vec![("public", "flyway_schema_history")],
        migrations: vec![
            installed(1, Some("1"), "one", true),
            installed(2, Some("2"), "two", false),
        ],
        ..FakeDatabase::default()
    };
    let plan = back_up(&database, json!({}), Trees::default()).unwrap();
    assert_eq!(
        codes(&plan.findings),
        [
            "info liquibase.flyway.found",
            "warning liquibase.flyway.failed"
        ]
    );
}

#[test]
fn passwords_are_variables_and_words_reach_a_shell_whole() {
    let database = FakeDatabase::of_liquibase(&[]);
    let more = json!({
        "database": "it's a {db}", "user": "a\\b", "port": 5433, "password": "hunter2", "ssl_mode": "require",
        "via": ["sudo", "/usr/bin/ssh", "db1"], "programs": "/opt/pg/bin/",
    });
    back_up(&database, more, Trees::default()).unwrap();
    let asked = database.asked.borrow();
    let first = &asked[0];
    assert_eq!(
        first.argv[..4],
        ["sudo", "/usr/bin/ssh", "db1", "/opt/pg/bin/psql"]
    );
    assert_eq!(
        first.argv.last().unwrap(),
        r"'host=db port=5433 user='\''a\\b'\'' sslmode=require dbname='\''it\'\''s a {{db}}'\'''"
    );
    assert!(!format!("{:?}", *asked).contains("hunter2"));
    assert_eq!(first.environment.len(), 1);
    assert_eq!(text(&first.environment[0].value), "SECRET(hunter2)");
}

#[test]
fn a_dump_in_a_folder_is_read_by_what_understands_it() {
    let database = FakeDatabase::default();
    for (content, argv) in [
        (
            &b"--\n-- PostgreSQL"[..],
            &["cat", "--", "{root:dump}/a {{b}}"][..],
        ),
        (
            b"\x1f\x8b\x08",
            &["gzip", "-dc", "--", "{root:dump}/a {{b}}"],
        ),
        (
            b"PGDMP\x01",
            &["pg_restore", "--file=-", "{root:dump}/a {{b}}"],
        ),
    ] {
        let root = MemoryTree::new("dump").file("a {b}", content);
        let plan = back_up(&database, json!({}), root.into()).unwrap();
        let SourceContent::Command(stream) = &plan.sources[0].content else {
            panic!("a stream")
        };
        assert_eq!(stream.command.argv, argv);
        assert!(stream.filter);
    }
    for root in [
        MemoryTree::new("dump"),
        MemoryTree::new("dump").file("a", "").file("b", ""),
    ] {
        assert_eq!(
            back_up(&database, json!({}), root.into()).unwrap_err().code,
            "liquibase.dump.missing"
        );
    }
    let root = MemoryTree::new("dump").directory("a");
    let failure = back_up(&database, json!({"dump_file": "a"}), root.into()).unwrap_err();
    assert_eq!(failure.code, "liquibase.dump.missing");
    assert!(database.asked.borrow().is_empty());
}

#[test]
fn settings_that_can_not_be_meant_are_refused() {
    let database = FakeDatabase::of_liquibase(&[]);
    for (more, code) in [
        (json!({"timeout": 0}), "liquibase.config.timeout"),
        (json!({"lock_timeout": 604_801}), "liquibase.config.timeout"),
        (
            json!({"dump_options": ["--format=custom"]}),
            "liquibase.config.dump-options",
        ),
        (
            json!({"dump_options": ["-Fc"]}),
            "liquibase.config.dump-options",
        ),
        (
            json!({"dump_options": ["--data-only"]}),
            "liquibase.config.dump-options",
        ),
        (
            json!({"dump_options": ["other"]}),
            "liquibase.config.dump-options",
        ),
        (
            json!({"migrate": ["liquibase", "--url", "x", "update"]}),
            "liquibase.config.migrate-url",
        ),
        (
            json!({"migrate": ["flyway", "-url=jdbc:x", "migrate"]}),
            "liquibase.config.migrate-url",
        ),
        (
            json!({"migrate": ["sh", "-c", "LIQUIBASE_COMMAND_URL=x liquibase update"]}),
            "liquibase.config.migrate-url",
        ),
        (
            json!({"migrate": ["liquibase"], "migrate_secrets": {"FLYWAY_URL": "x"}}),
            "liquibase.config.migrate-url",
        ),
    ] {
        assert_eq!(
            back_up(&database, more.clone(), Trees::default())
                .unwrap_err()
                .code,
            code,
            "{more}"
        );
    }
    let options = json!({"dump_options": ["--no-owner", "-n", "-O", "--exclude-table-data=audit"]});
    // A value of its own does not begin with a dash.
    assert!(back_up(&database, options, Trees::default()).is_ok());
    let failure =
        back_up(&database, json!({"changelog": null}), changelog(&[]).into()).unwrap_err();
    assert_eq!(failure.code, "liquibase.config.changelog");
    let failure = back_up(&database, json!({"database": null}), Trees::default()).unwrap_err();
    assert_eq!(failure.code, "liquibase.config.database");
}
