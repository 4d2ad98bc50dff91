use copal_sdk::testing::MemoryTree;
use copal_sdk::yaml::{self, Limits};
use proptest::prelude::*;

use super::*;

fn config(file: &str) -> Config {
    Config {
        changelog: Some(file.to_owned()),
        ..Config::default()
    }
}

/// The change sets that run, as Liquibase shows them, and with a `-` before them those that do not.
fn shown(tree: &MemoryTree, config: &Config) -> Vec<String> {
    let changelog = read(tree, config).unwrap();
    let sets = changelog.change_sets.iter();
    sets.map(|set| {
        let not = if set.filtered.is_some() { "-" } else { "" };
        format!("{not}{}::{}::{}", set.path, set.id, set.author)
    })
    .collect()
}

fn refused(tree: &MemoryTree, file: &str) -> Failure {
    read(tree, &config(file)).unwrap_err()
}

fn tree(files: &[(&str, &str)]) -> MemoryTree {
    files
        .iter()
        .fold(MemoryTree::new("changelog"), |tree, (path, content)| {
            tree.file(path, *content)
        })
}

const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- <changeSet id="no" author="no"/> -->
<lb:databaseChangeLog xmlns:lb="http://www.liquibase.org/xml/ns/dbchangelog" logicalFilePath="logical.xml">
  <lb:property name="who" value="bob"/>
  <lb:changeSet id="x 1" author="B &amp; C"><lb:sql><![CDATA[<changeSet id="no" author="no"/>]]></lb:sql></lb:changeSet>
  <lb:changeSet id="${who}" author="${nobody}" ignore="true"/>
  <lb:include file="more.json" relativeToChangelogFile="true"/>
</lb:databaseChangeLog>"#;

#[test]
fn every_format_is_followed_in_order() {
    let tree = tree(&[
        (
            "db/all.yaml",
            "databaseChangeLog:\n- preConditions: [{runningAs: {username: x}}]\n- changeSet: {id: 1.10, author: yes, changes: [{sql: {sql: x}}]}\n\
             - include: {file: sub/x.xml, relativeToChangelogFile: true}\n- include: {file: ./db/../classes/f.sql}\n- includeAll: {path: all}\n",
        ),
        ("db/sub/x.xml", XML),
        (
            "db/sub/more.json",
            r#"{"databaseChangeLog": [{"changeSet": {"id": "j", "author": "j"}}]}"#,
        ),
        (
            "classes/f.sql",
            "-- Liquibase Formatted SQL\n--changeset \"a b\":f:1 dbms:h2\nselect 1;\n--changeset c:2 logicalFilePath:\"l f.sql\"\n",
        ),
        ("all/z.txt", "no"),
        ("all/b.sql", "select 1;"),
        (
            "all/a/c.yml",
            "databaseChangeLog: [{logicalFilePath: c}, {changeSet: {id: 0x10, author: 010}}]",
        ),
    ]);
    assert_eq!(
        shown(&tree, &config("classpath:/db/all.yaml")),
        [
            "db/all.yaml::1.1::true",
            "logical.xml::x 1::B & C",
            "-logical.xml::bob::${nobody}",
            "db/sub/more.json::j::j",
            "-classes/f.sql::f:1::a b",
            "l f.sql::2::c",
            "c::16::8",
            "all/b.sql::raw::includeAll",
        ]
    );
}

#[test]
fn contexts_labels_and_databases_choose() {
    let set = |id: &str, more: &str| format!("- changeSet: {{id: {id}, author: a, {more}}}\n");
    let root = [
        "databaseChangeLog:\n".to_owned(),
        set("c1", "context: prod"),
        set("c2", "context: '@prod'"),
        set("c3", "contextFilter: '!prod'"),
        set("c4", "context: 'prod and eu, us'"),
        set("c5", "context: a or (PROD and not (b))"),
        set("l1", "labels: 'v1, v2'"),
        set("l2", "labels: v3"),
        set("d1", "dbms: 'h2, postgresql'"),
        set("d2", "dbms: '!postgresql'"),
        set("d3", "dbms: '!h2,!oracle'"),
        set("d4", "dbms: none"),
        "- include: {file: x.sql, context: eu}\n".to_owned(),
    ];
    let tree = tree(&[
        ("r.yaml", &root.concat()),
        (
            "x.sql",
            "--liquibase formatted sql\n--changeset x:1 context:prod\n--changeset x:2\n",
        ),
    ]);
    let running = |contexts: &[&str], labels: Option<&str>| {
        let config = Config {
            contexts: contexts.iter().map(|&context| context.to_owned()).collect(),
            label_filter: labels.map(str::to_owned),
            ..config("r.yaml")
        };
        let changelog = read(&tree, &config).unwrap();
        let sets = changelog
            .change_sets
            .into_iter()
            .filter(|set| set.filtered.is_none());
        sets.map(|set| set.id).collect::<Vec<_>>().join(" ")
    };
    // As Liquibase 4.28 chooses.
    assert_eq!(running(&[], None), "c1 c3 c4 c5 l1 l2 d1 d3 1 2");
    assert_eq!(running(&["prod"], None), "c1 c2 c5 l1 l2 d1 d3");
    assert_eq!(running(&["dev"], None), "c3 l1 l2 d1 d3");
    assert_eq!(
        running(&["prod", "eu"], None),
        "c1 c2 c4 c5 l1 l2 d1 d3 1 2"
    );
    assert_eq!(running(&[], Some("v1")), "c1 c3 c4 c5 l1 d1 d3 1 2");
    assert_eq!(
        running(&[], Some("v1 and v2 or !v3")),
        "c1 c3 c4 c5 l1 d1 d3 1 2"
    );
}

#[test]
fn lines_that_liquibase_is_told_to_pass_over_hold_nothing() {
    let sql = "--liquibase formatted sql\n--ignoreLines:start\n--changeset a:no\n--ignoreLines:end\n--changeset a:1\n\
               --ignoreLines:2\nx\n--changeset a:no\n--changeset a:2\n/*\n--changeset a:3\n*/\nselect '--changeset a:no';\n";
    let tree = tree(&[("f.sql", sql)]);
    assert_eq!(
        shown(&tree, &config("f.sql")),
        ["f.sql::1::a", "f.sql::2::a", "f.sql::3::a"]
    );
}

#[test]
fn folders_are_taken_as_deep_and_with_the_endings_that_are_asked_for() {
    let file = "--liquibase formatted sql\n--changeset a:1\n";
    let include = |more: &str| {
        format!(
            "databaseChangeLog: [{{includeAll: {{path: sub, relativeToChangelogFile: true, {more}}}}}]"
        )
    };
    for (more, expected) in [
        ("maxDepth: 1", &["db/sub/one.sql", "db/sub/two.SQL"][..]),
        ("minDepth: 2", &["db/sub/deep/three.sql"]),
        ("endsWithFilter: o.sql", &["db/sub/two.SQL"]),
        ("endsWithFilter: .xml, errorIfMissingOrEmpty: false", &[]),
    ] {
        let tree = tree(&[
            ("db/r.yaml", &include(more)),
            ("db/sub/two.SQL", file),
            ("db/sub/one.sql", file),
            ("db/sub/deep/three.sql", file),
        ]);
        let paths: Vec<String> = read(&tree, &config("db/r.yaml"))
            .unwrap()
            .change_sets
            .into_iter()
            .map(|set| set.path)
            .collect();
        assert_eq!(paths, expected, "{more}");
    }
}

#[test]
fn what_can_not_be_followed_is_refused_and_named() {
    let list = |item: &str| format!("databaseChangeLog: [{item}]");
    for (content, code, says) in [
        (
            list("{include: {file: gone.xml}}"),
            "liquibase.changelog.missing",
            "gone.xml",
        ),
        (
            list("{includeAll: {path: gone}}"),
            "liquibase.changelog.missing",
            "gone",
        ),
        (
            list("{include: {file: r.yaml}}"),
            "liquibase.changelog.unreadable",
            "within itself",
        ),
        (
            list("{include: {file: x.groovy}}"),
            "liquibase.changelog.unreadable",
            "format",
        ),
        (
            list("{include: {file: broken.xml}}"),
            "liquibase.changelog.unreadable",
            "broken.xml can't be read: line 2",
        ),
        (
            list("{include: {file: cut.xml}}"),
            "liquibase.changelog.unreadable",
            "its end is missing",
        ),
        (
            list("{include: {file: other.xml}}"),
            "liquibase.changelog.unreadable",
            "no `databaseChangeLog`",
        ),
        (
            list("{include: {file: bad.sql}}"),
            "liquibase.changelog.unreadable",
            "no author",
        ),
        (
            list("{changeSet: {id: 1}}"),
            "liquibase.changelog.unreadable",
            "without an id or an author",
        ),
        (
            list("{changeSet: {id: 1, author: a, context: 'a and'}}"),
            "liquibase.changelog.unreadable",
            "a name is missing",
        ),
        (
            "a: [".to_owned(),
            "liquibase.changelog.unreadable",
            "line 2",
        ),
        (
            "other: 1".to_owned(),
            "liquibase.changelog.unreadable",
            "no `databaseChangeLog`",
        ),
    ] {
        let tree = tree(&[
            ("r.yaml", &content),
            ("x.groovy", ""),
            (
                "broken.xml",
                "<databaseChangeLog>\n<changeSet id=\"1></databaseChangeLog>",
            ),
            (
                "cut.xml",
                "<databaseChangeLog><changeSet id='1' author='a'>",
            ),
            ("other.xml", "<project/>"),
            ("bad.sql", "--liquibase formatted sql\n--changeset nobody\n"),
        ]);
        let failure = refused(&tree, "r.yaml");
        assert_eq!(failure.code, code, "{content}");
        assert!(failure.message.contains(says), "{}", failure.message);
    }
    assert_eq!(
        refused(&tree(&[]), "r.yaml").code,
        "liquibase.changelog.missing"
    );
}

#[test]
fn what_only_java_could_tell_is_named() {
    let tree = tree(&[
        (
            "r.yaml",
            "databaseChangeLog: [{property: {file: x.properties}}, {includeAll: {path: all, filter: com.acme.Mine}}]",
        ),
        ("all/a.sql", ""),
    ]);
    let codes: Vec<String> = read(&tree, &config("r.yaml"))
        .unwrap()
        .findings
        .into_iter()
        .map(|finding| finding.code)
        .collect();
    assert_eq!(
        codes,
        [
            "liquibase.changelog.properties",
            "liquibase.changelog.filter"
        ]
    );
}

#[test]
fn scalars_become_the_text_that_liquibase_makes_of_them() {
    for (written, text) in [
        ("1", "1"),
        ("'010'", "010"),
        ("010", "8"),
        ("09", "09"),
        ("-0x1F", "-31"),
        ("1_000", "1000"),
        ("0b11", "3"),
        ("1:30", "90"),
        ("1.10", "1.1"),
        ("1e3", "1000.0"),
        ("1.50e10", "1.5E10"),
        ("12345678.9", "1.23456789E7"),
        ("0.0001", "1.0E-4"),
        (".5", "0.5"),
        ("1.2.3", "1.2.3"),
        ("20240101", "20240101"),
        ("v1", "v1"),
        ("on", "true"),
        ("No", "false"),
        ("'no'", "no"),
        ("1-2", "1-2"),
        ("e5", "e5"),
    ] {
        let node = yaml::parse(written.as_bytes(), Limits::default()).unwrap();
        assert_eq!(scalar::text(&node).as_deref(), Some(text), "{written}");
    }
}

#[test]
fn paths_are_compared_without_what_led_to_them() {
    for (path, normal) in [
        ("classpath:/db/a.xml", "db/a.xml"),
        ("classpath*:db//a.xml", "db/a.xml"),
        ("./db/../a.xml", "a.xml"),
        ("db\\sub\\a.xml", "db/sub/a.xml"),
        ("../a.xml", "../a.xml"),
    ] {
        assert_eq!(normalize(path), normal, "{path}");
    }
}

proptest! {
    #[test]
    fn hostile_files_never_panic(text in "[<>/=\"'&;a:${}!\\[\\]()@,\\- \n]{0,80}", prefix in prop::sample::select(vec![
        "", "<databaseChangeLog>", "<databaseChangeLog><changeSet ", "--liquibase formatted sql\n--changeset ", "databaseChangeLog:\n- ",
    ])) {
        let text = format!("{prefix}{text}");
        let tree = tree(&[("r.xml", &text), ("r.yaml", &text), ("r.sql", &text)]);
        for file in ["r.xml", "r.yaml", "r.sql"] {
            let _ = read(&tree, &config(file));
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>) {
        let _ = (xml::parse(&bytes), yaml::parse(&bytes, Limits::default()), sql::parse(&bytes), super::yaml::parse(&bytes));
    }

    #[test]
    fn hostile_expressions_never_panic(text in "[ab@!,()  ]{0,60}|(\\(|!|a and |a or ){0,200}") {
        if let Ok(expression) = Expression::parse(&text) {
            let _ = expression.runs_in(&["a".to_owned()]);
        }
    }

    #[test]
    fn an_identity_survives_every_format(id in "[A-Za-z][A-Za-z0-9._-]{0,8}x", author in "[A-Za-z][a-z .@-]{0,8}x") {
        let json = serde_json::json!({"databaseChangeLog": [{"changeSet": {"id": id, "author": author}}]});
        let tree = tree(&[
            ("r.json", &json.to_string()),
            ("r.xml", &format!("<databaseChangeLog><changeSet id=\"{id}\" author=\"{author}\"/></databaseChangeLog>")),
            ("r.sql", &format!("--liquibase formatted sql\n--changeset \"{author}\":{id}\n")),
        ]);
        for file in ["r.json", "r.xml", "r.sql"] {
            prop_assert_eq!(shown(&tree, &config(file)), [format!("{file}::{id}::{author}")]);
        }
    }
}
