use copal_sdk::{Direction, Trees};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{
    BEGIN, END, FakeDatabase, Restore, back_up, dump, filtered, recorded, snapshot,
};

const SETS: [(&str, &str, &str); 2] = [
    ("db/changelog.yaml", "1", "ann"),
    ("db/notes.sql", "a\\\\b", "b'o;b"),
];

#[test]
fn a_dump_goes_through_unchanged_and_its_history_follows_it() {
    let dump = dump(&SETS, false);
    let recorded = recorded(&dump, json!({})).unwrap();
    let (same, history) = recorded.split_at(dump.len());
    assert_eq!(same, dump);
    for line in history.lines().filter(|line| !line.is_empty()) {
        assert!(line.starts_with("-- copal: "), "{line}");
    }
    assert!(
        history.contains(r#""id":"a\\b","author":"b'o;b","filename":"db/notes.sql""#),
        "{history}"
    );
}

#[test]
fn the_output_is_the_same_however_the_dump_is_cut() {
    let dump = dump(&SETS, false);
    let database = FakeDatabase::of_liquibase(&[]);
    let plan = back_up(&database, json!({}), Trees::default()).unwrap();
    let whole = filtered(Direction::Backup, &plan.state, dump.as_bytes(), usize::MAX).unwrap();
    for chunk in 1..=dump.len() {
        let cut = filtered(Direction::Backup, &plan.state, dump.as_bytes(), chunk).unwrap();
        assert!(cut == whole, "in chunks of {chunk} bytes");
    }
}

#[test]
fn inserts_with_and_without_columns_are_read_too() {
    for columns in [
        "",
        " (id, author, filename, dateexecuted, orderexecuted, exectype)",
    ] {
        let dump = format!(
            "{BEGIN}INSERT INTO public.databasechangelog{columns} VALUES ('x''y', 'ann', 'a.xml', '2024-01-01', 1, 'EXECUTED');\n\
             INSERT INTO public.databasechangeloglock VALUES (1, true, '2024-01-01', 'pod-7');\n{END}"
        );
        let failure = recorded(&dump, json!({})).unwrap_err();
        assert_eq!(failure.code, "liquibase.lock.in-dump");
        assert!(failure.message.contains("pod-7"));
        let recorded = recorded(&dump, json!({"lock": "ignore"})).unwrap();
        assert!(
            recorded.contains(r#"{"id":"x'y","author":"ann","filename":"a.xml""#),
            "{recorded}"
        );
    }
}

#[test]
fn a_dump_that_is_locked_cut_or_without_history_is_refused() {
    let whole = dump(&SETS, false);
    let without_end = &whole[..whole.len() - END.len()];
    for (text, code) in [
        (dump(&SETS, true), "liquibase.lock.in-dump"),
        (without_end.to_owned(), "liquibase.dump.cut"),
        (format!("{BEGIN}CREATE TABLE x (a int);\n{END}"), "liquibase.history.none"),
        (format!("{BEGIN}BEGIN;\n{END}"), "liquibase.dump.transaction"),
        (whole.replace("COPY public.databasechangeloglock", "COPY other.databasechangelog (id, orderexecuted) FROM stdin;\n\\.\nCOPY public.databasechangeloglock"), "liquibase.history.several"),
    ] {
        assert_eq!(recorded(&text, json!({})).unwrap_err().code, code, "{text}");
    }
}

#[test]
fn tables_of_other_applications_with_the_same_names_are_no_history() {
    let other = format!("{BEGIN}COPY public.schema_version (version) FROM stdin;\n7\n\\.\n{END}");
    assert_eq!(
        recorded(&other, json!({})).unwrap_err().code,
        "liquibase.history.none"
    );
    let flyway = format!(
        "{BEGIN}COPY public.schema_version (installed_rank, version, description, type, script, success) FROM stdin;\n\
         1\t1\tone\tSQL\tV1__one.sql\tt\n2\t\\N\tviews\tSQL\tR__views.sql\tf\n\\.\n{END}"
    );
    let recorded = recorded(&flyway, json!({})).unwrap();
    assert!(recorded.contains(r#""installed_rank":2,"version":null,"description":"views","type":"SQL","script":"R__views.sql","success":false"#), "{recorded}");
}

#[test]
fn a_restore_executes_the_dump_in_one_transaction_that_ends_with_its_end() {
    for (replace, begin) in [(false, "BEGIN;\n--\n"), (true, "BEGIN;\nDO $$ DECLARE")] {
        let plan = Restore::of(snapshot(&dump(&SETS, false)))
            .plan(json!({"replace": replace}))
            .unwrap();
        let fed = filtered(Direction::Restore, &plan.state, b"--\n", 1).unwrap();
        let fed = String::from_utf8(fed).unwrap();
        assert!(
            fed.starts_with(begin) && fed.ends_with("--\n\nCOMMIT;\n"),
            "{fed}"
        );
    }
}

#[test]
fn a_stream_without_a_history_at_its_end_is_refused() {
    let whole = recorded(&dump(&SETS, false), json!({})).unwrap();
    for stream in [
        String::new(),
        dump(&SETS, false),
        "-- copal: 99999999999999999999 bytes of history above\n".to_owned(),
        "-- copal: 5000 bytes of history above\n".to_owned(),
        "x\n-- copal: 2 bytes of history above\n".to_owned(),
        whole.replace("{\"liquibase\"", "[\"liquibase\""),
    ] {
        let streams =
            copal_sdk::testing::MemoryTree::new("streams").file("database.sql", stream.as_str());
        let failure = Restore::of(streams).plan(json!({})).unwrap_err();
        assert_eq!(failure.code, "liquibase.history.missing", "{stream}");
    }
}

proptest! {
    #[test]
    fn every_history_survives_its_recording(rows in prop::collection::vec(("[ -~äß]{1,20}", "[ -~]{1,20}", "[ -~]{1,20}"), 0..20)) {
        // In COPY a backslash escapes, and a lone dot after one would end the rows.
        let escaped = |text: &str| text.replace('\\', "\\\\");
        let written: Vec<[String; 3]> = rows.iter().map(|(file, id, author)| [escaped(file), escaped(id), escaped(author)]).collect();
        let sets: Vec<(&str, &str, &str)> = written.iter().map(|[file, id, author]| (file.as_str(), id.as_str(), author.as_str())).collect();
        let recorded = recorded(&dump(&sets, false), json!({})).unwrap();
        let line = recorded.lines().rev().nth(1).unwrap();
        let history: serde_json::Value = serde_json::from_str(line.strip_prefix("-- copal: ").unwrap()).unwrap();
        let sets = history["liquibase"]["changeSets"].as_array().unwrap();
        prop_assert_eq!(sets.len(), rows.len());
        for (set, (file, id, author)) in sets.iter().zip(&rows) {
            prop_assert_eq!([&set["filename"], &set["id"], &set["author"]], [file.as_str(), id.as_str(), author.as_str()]);
        }
    }

    #[test]
    fn hostile_streams_never_panic(text in "(-- copal: |[0-9]{1,5}| bytes of history above|\n|\\{|\\}|x){0,12}") {
        let streams = copal_sdk::testing::MemoryTree::new("streams").file("database.sql", text.as_str());
        let _ = Restore::of(streams).plan(json!({}));
    }
}
