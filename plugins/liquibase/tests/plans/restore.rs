use copal_sdk::testing::MemoryTree;
use copal_sdk::{Fact, PlacementContent, RestorePlan, Trees};
use serde_json::{Value, json};

use crate::support::{
    BEGIN, END, FakeDatabase, Restore, back_up, changelog, codes, command, dump, message, snapshot,
    text,
};

const SETS: [(&str, &str, &str); 1] = [("db/changelog.yaml", "1", "ann")];

fn migrating() -> Value {
    json!({
        "user": "shop", "password": "hunter2", "migrate": ["liquibase", "--search-path={root:changelog}", "update"],
        "migrate_secrets": {"LIQUIBASE_LICENSE_KEY": "k3y"}, "migrate_timeout": 99, "start": ["systemctl", "start", "shop"],
    })
}

fn steps(plan: &RestorePlan) -> Vec<&str> {
    plan.after.iter().map(|step| step.id.as_str()).collect()
}

#[test]
fn data_lock_migration_proof_and_start_come_in_this_order() {
    let restore = Restore::of(snapshot(&dump(&SETS, false)))
        .changelog(changelog(&[("1", "ann"), ("it's", "a\\n{n}")]));
    let plan = restore.plan(migrating()).unwrap();
    assert_eq!(
        codes(&plan.findings),
        [
            "warning liquibase.target.older",
            "info liquibase.history.applied",
            "info liquibase.history.pending"
        ]
    );
    let [placement] = &plan.placements[..] else {
        panic!("one placement")
    };
    assert!(
        matches!(&placement.content, PlacementContent::Feed(feed) if feed.filter && feed.name == "database.sql")
    );
    assert_eq!(
        steps(&plan),
        ["clear-lock", "migrate", "nothing-pending", "start"]
    );
    assert!(plan.before.is_empty());

    let migrate = command(&plan.after[1].action);
    assert_eq!(
        migrate.argv,
        ["liquibase", "--search-path={root:changelog}", "update"]
    );
    assert_eq!(migrate.timeout, 99);
    let variables: Vec<String> = migrate
        .environment
        .iter()
        .map(|variable| format!("{}={}", variable.name, text(&variable.value)))
        .collect();
    assert_eq!(
        variables,
        [
            "LIQUIBASE_COMMAND_URL=jdbc:postgresql://db:5432/app",
            "LIQUIBASE_COMMAND_USERNAME=shop",
            "LIQUIBASE_COMMAND_PASSWORD=SECRET(hunter2)",
            "LIQUIBASE_LICENSE_KEY=SECRET(k3y)",
        ]
    );
    let proof = &plan.after[2];
    assert!(proof.capture);
    let sql = text(command(&proof.action).stdin.as_ref().unwrap());
    assert!(
        sql.contains(r#"E'[["db/changelog.yaml","it''s","a\\\\n{n}"]]'::jsonb"#),
        "{sql}"
    );
    assert!(!format!("{plan:?}").contains("hunter2"));
    assert!(!command(&plan.after[3].action).argv.is_empty());
}

#[test]
fn nothing_is_migrated_or_started_without_a_proof_that_nothing_is_pending() {
    let restore = |rehearsal| Restore {
        rehearsal,
        ..Restore::of(snapshot(&dump(&SETS, false)))
    };
    for (settings, rehearsal, severity) in [
        (json!({}), false, "warning"),
        (json!({"migrate": ["liquibase", "update"]}), false, "error"),
        (json!({"start": ["true"]}), false, "error"),
        (json!({"start": ["true"]}), true, "warning"),
    ] {
        let plan = restore(rehearsal).plan(settings.clone()).unwrap();
        let expected = format!("{severity} liquibase.changelog.unseen");
        assert!(codes(&plan.findings).contains(&expected), "{settings}");
    }
    let plan = restore(false)
        .changelog(changelog(&[("1", "ann")]))
        .plan(json!({"start": ["true"]}))
        .unwrap();
    assert_eq!(steps(&plan), ["clear-lock", "nothing-pending", "start"]);
}

#[test]
fn a_safeguard_saves_the_database_and_puts_it_back_in_one_transaction() {
    let plan = Restore::of(snapshot(&dump(&SETS, false)))
        .plan(json!({}))
        .unwrap();
    let [guard] = &plan.safeguards[..] else {
        panic!("one safeguard")
    };
    let words: Vec<&str> = guard.save.argv.iter().map(String::as_str).collect();
    assert_eq!(words[..2], ["sh", "-ec"]);
    assert_eq!(words[4..], ["pg_dump", "-w", "-d", "host=db dbname=app"]);
    let begin = text(guard.save.stdin.as_ref().unwrap());
    assert!(begin.starts_with("BEGIN;\nDO ") && begin.contains("DROP SCHEMA"));
    // It would commit what has come of an input that breaks off.
    assert!(!guard.put_back.argv.contains(&"-1".to_owned()));
    assert_eq!(guard.put_back.stdin, None);
}

#[test]
fn a_database_ahead_of_its_changelog_is_refused_unless_that_is_meant() {
    let restore = || {
        Restore::of(snapshot(&dump(
            &[SETS[0], ("db/gone.xml", "9", "bob")],
            false,
        )))
        .changelog(changelog(&[("1", "ann")]))
    };
    let plan = restore().plan(json!({})).unwrap();
    assert!(codes(&plan.findings).contains(&"error liquibase.history.unexpected".to_owned()));
    assert!(
        message(&plan.findings, "liquibase.history.unexpected").contains("db/gone.xml::9::bob")
    );
    let plan = restore().plan(json!({"allow_unexpected": true})).unwrap();
    assert!(codes(&plan.findings).contains(&"warning liquibase.history.unexpected".to_owned()));
}

#[test]
fn a_target_that_holds_something_is_refused_unless_it_is_to_be_replaced() {
    for (replace, expected) in [
        (false, "error liquibase.target.not-empty"),
        (true, "warning liquibase.target.replaced"),
    ] {
        let restore = Restore {
            database: FakeDatabase {
                objects: 1,
                ..FakeDatabase::default()
            },
            ..Restore::of(snapshot(&dump(&SETS, false)))
        };
        let plan = restore.plan(json!({"replace": replace})).unwrap();
        assert_eq!(codes(&plan.findings)[0], expected);
    }
}

#[test]
fn a_stale_lock_is_named_and_cleared() {
    let plan = Restore::of(snapshot(&dump(&SETS, true)))
        .plan(json!({}))
        .unwrap();
    assert!(message(&plan.findings, "liquibase.lock.stale").contains("pod-7"));
    assert_eq!(steps(&plan), ["clear-lock"]);
    let sql = text(command(&plan.after[0].action).stdin.as_ref().unwrap());
    assert!(sql.starts_with(r#"UPDATE "public"."databasechangeloglock" SET locked = false"#));
}

#[test]
fn a_rehearsal_starts_nothing_and_never_migrates_what_is_real() {
    let rehearsal = |more: Value| {
        let mut settings = migrating();
        settings
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let restore = Restore {
            rehearsal: true,
            ..Restore::of(snapshot(&dump(&SETS, false))).changelog(changelog(&[("1", "ann")]))
        };
        restore.plan(settings).unwrap()
    };
    assert_eq!(
        steps(&rehearsal(json!({}))),
        ["clear-lock", "migrate", "nothing-pending"]
    );
    for unreachable in [
        json!({"jdbc_url": "jdbc:postgresql://db/app"}),
        json!({"host": "/tmp/scratch"}),
    ] {
        let plan = rehearsal(unreachable);
        assert_eq!(steps(&plan), ["clear-lock"]);
        message(&plan.findings, "liquibase.migrate.rehearsal");
    }
}

#[test]
fn a_migration_that_could_not_find_the_database_is_refused() {
    let restore = || Restore::of(snapshot(&dump(&SETS, false)));
    for host in [json!(null), json!("/run/postgresql")] {
        let more = json!({"host": host, "migrate": ["liquibase", "update"]});
        assert_eq!(
            restore().plan(more.clone()).unwrap_err().code,
            "liquibase.config.url",
            "{more}"
        );
    }
    let more =
        json!({"host": null, "migrate": ["liquibase"], "jdbc_url": "jdbc:postgresql://db/app"});
    assert_eq!(
        steps(&restore().plan(more).unwrap()),
        ["clear-lock", "migrate"]
    );
}

fn of_flyway(success: &str) -> MemoryTree {
    snapshot(&format!(
        "{BEGIN}COPY public.flyway_schema_history (installed_rank, version, description, type, script, success) FROM stdin;\n\
         1\t1\tone\tSQL\tV1__one.sql\tt\n2\t2\ttwo\tSQL\tV2__two.sql\t{success}\n\\.\n{END}"
    ))
}

#[test]
fn flyway_migrates_by_its_own_variables_unless_a_migration_had_failed() {
    let migrations = || {
        let names = [
            "V1__one.sql",
            "sub/V2__two.sql",
            "V3__three.sql",
            "R__views.sql",
        ];
        names
            .iter()
            .fold(MemoryTree::new("changelog"), |tree, name| {
                tree.file(name, "")
            })
    };
    let settings = || json!({"migrate": ["flyway", "migrate"]});
    let plan = Restore::of(of_flyway("t"))
        .changelog(migrations())
        .plan(settings())
        .unwrap();
    assert_eq!(steps(&plan), ["migrate", "nothing-pending"]);
    assert_eq!(
        command(&plan.after[0].action).environment[0].name,
        "FLYWAY_URL"
    );
    let sql = text(command(&plan.after[1].action).stdin.as_ref().unwrap());
    assert!(
        sql.contains(r#"E'[["R__views.sql",null,"views"],["V3__three.sql","3","three"]]'::jsonb"#),
        "{sql}"
    );

    let plan = Restore::of(of_flyway("f"))
        .changelog(migrations())
        .plan(settings())
        .unwrap();
    assert!(codes(&plan.findings).contains(&"error liquibase.flyway.failed".to_owned()));
    let plan = Restore::of(of_flyway("f"))
        .changelog(migrations())
        .plan(json!({}))
        .unwrap();
    assert!(codes(&plan.findings).contains(&"warning liquibase.flyway.failed".to_owned()));
}

#[test]
fn a_migration_is_planned_from_the_database_before_there_is_a_dump_of_it() {
    let source = FakeDatabase::of_liquibase(&SETS);
    let backup = back_up(&source, json!({}), Trees::default()).unwrap();
    let with = |facts: Vec<Fact>, snapshot: Trees| Restore {
        facts,
        snapshot,
        ..Restore::of(MemoryTree::new("streams"))
            .changelog(changelog(&[("1", "ann"), ("2", "ann")]))
    };
    let before = with(backup.facts, Trees::default())
        .plan(migrating())
        .unwrap();
    let after = with(Vec::new(), snapshot(&dump(&SETS, false)).into())
        .plan(migrating())
        .unwrap();
    assert_eq!(before.after, after.after);
    assert_eq!(before.findings, after.findings);

    // Nothing is known of a dump that lies in a folder.
    let unknown = with(Vec::new(), Trees::default())
        .plan(migrating())
        .unwrap();
    message(&unknown.findings, "liquibase.history.later");
    assert_eq!(
        command(&unknown.after[0].action),
        command(&after.after[1].action)
    );
}
