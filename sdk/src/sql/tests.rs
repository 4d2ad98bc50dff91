use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// Decides by the statement's name, and remembers what it sees.
#[derive(Debug, Default, PartialEq)]
struct Recorder {
    seen: Vec<String>,
    rows: Vec<String>,
}

impl Editor for Recorder {
    fn statement(&mut self, statement: &Statement) -> Result<Decision, Failure> {
        let Statement {
            kind,
            schema,
            name,
            columns,
            ..
        } = statement;
        let schema = schema.as_deref().unwrap_or("-");
        self.seen
            .push(format!("{kind:?} {schema} {name} {}", columns.join(",")));
        Ok(match name.as_str() {
            "gone" | "restrict" => Decision::Drop,
            "picked" => Decision::Rows,
            _ => Decision::Keep,
        })
    }

    fn row(&mut self, _statement: &Statement, row: &Row<'_>) -> Result<bool, Failure> {
        let values: Vec<_> = row
            .values()
            .iter()
            .map(|value| match value {
                Some(value) => String::from_utf8_lossy(value).into_owned(),
                None => "NULL".to_owned(),
            })
            .collect();
        self.rows.push(values.join("|"));
        Ok(values.first().is_none_or(|first| first != "no"))
    }
}

type Rewritten = Result<(Vec<u8>, Recorder), Failure>;

/// Rewrites `input` in chunks that end where `cuts` say.
fn rewrite_in(input: &[u8], cuts: impl IntoIterator<Item = usize>) -> Rewritten {
    let mut rewriter = Rewriter::new(Recorder::default());
    let mut out = Vec::new();
    let mut begin = 0;
    for cut in cuts.into_iter().chain([input.len()]) {
        rewriter.push(&input[begin..cut], &mut out)?;
        begin = cut;
    }
    rewriter.finish(&mut out)?;
    Ok((out, rewriter.into_editor()))
}

fn rewrite(input: impl AsRef<[u8]>) -> Rewritten {
    rewrite_in(input.as_ref(), [])
}

/// What a rewriting came to, so that two can be compared.
fn essence(rewritten: Rewritten) -> Result<(Vec<u8>, Recorder), String> {
    rewritten.map_err(|failure| failure.code)
}

#[track_caller]
fn assert_kept(input: &str, statements: usize) {
    let (out, recorder) = rewrite(input).unwrap();
    assert_eq!(String::from_utf8_lossy(&out), input);
    assert_eq!(recorder.seen.len(), statements, "{:?}", recorder.seen);
}

#[test]
fn semicolons_end_statements_only_outside_of_literals_names_comments_and_parentheses() {
    for (input, statements) in [
        ("SELECT 1;\nSELECT 2;", 2),
        ("INSERT INTO t VALUES ('a;b''; c', ';');", 1),
        ("INSERT INTO t VALUES ('back\\');\nSELECT 1;", 2),
        ("INSERT INTO t VALUES (E'it\\'s;', e'\\\\');SELECT 1;", 2),
        ("INSERT INTO t VALUES (E'a''\\';'\r'\\';');", 1),
        ("INSERT INTO t VALUES (E'a'\n '\\';');", 1),
        ("INSERT INTO t VALUES (fine'\\');", 1),
        ("SELECT 1 AS \"a;\"\";b\";", 1),
        ("SELECT 1 -- not; here\n;", 1),
        ("SELECT 1 -- to a CR;\r; SELECT 2;", 2),
        ("SELECT 1 /* ; /* ; */ ; */;", 1),
        ("SELECT 1 /*/ ; */;", 1),
        ("SELECT 5 - -3 / 2 * 4;", 1),
        ("DO $$ begin; end $$;", 1),
        ("DO $a$ $$ ; $b$ ; $a $a$;", 1),
        ("SELECT a$b$c; SELECT '$b$';", 2),
        ("EXECUTE p($1, $2); SELECT 1;", 2),
        (
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);",
            1,
        ),
        (
            "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3;",
            2,
        ),
        ("CREATE PROCEDURE p() AS $$ begin $$; SELECT 1;", 2),
        ("CREATE TABLE begin (\"end\" int); SELECT 1;", 2),
        ("-- only a comment", 0),
        ("/* ; */ ;; \n", 0),
        ("", 0),
    ] {
        assert_kept(input, statements);
    }
}

#[test]
fn tables_are_found_however_they_are_written() {
    let (_, recorder) = rewrite(
        "INSERT INTO apps VALUES (1);
         insert into Public.Apps (id, \"position\", \"a\"\"b\") values (1, 2, 3);
         INSERT INTO \"public\".\"Odd.Name\" (\"values\") VALUES (1);
         INSERT INTO /* here */ db.public.t -- and here (
           (a) OVERRIDING SYSTEM VALUE VALUES (1);
         INSERT INTO empty DEFAULT VALUES;
         INSERT INTO \"t\" SELECT * FROM (SELECT 'x;') y;
         SELECT pg_catalog.setval('public.apps_id_seq', 7, true);
         SELECT pg_catalog.setval('\"Odd_seq\"', -1);
         SELECT pg_catalog.setval('s', evil());
         SELECT evil.setval('s', 1);
         SELECT pg_catalog.set_config('search_path', '', false);
         SET statement_timeout = 0;
         SET SESSION AUTHORIZATION DEFAULT;
         COPY (SELECT 1) TO stdout;
         ALTER TABLE t DISABLE TRIGGER ALL;",
    )
    .unwrap();
    assert_eq!(
        recorder.seen,
        [
            "Insert - apps ",
            "Insert public apps id,position,a\"b",
            "Insert public Odd.Name values",
            "Insert public t a",
            "Insert - empty ",
            "Insert - t ",
            "Setval public apps_id_seq ",
            "Setval - Odd_seq ",
            "Other - select ",
            "Other - select ",
            "Set - search_path ",
            "Set - statement_timeout ",
            "Set - authorization ",
            "Other - copy ",
            "Other - alter ",
        ]
    );
}

#[test]
fn a_table_is_meant_bare_or_in_public_unless_a_schema_is_named() {
    let concerns = |kind, schema: Option<&str>, table: &str| {
        let mut statement = Statement::other(kind, "apps");
        statement.schema = schema.map(str::to_owned);
        statement.concerns(table)
    };
    assert!(concerns(Kind::Insert, None, "apps"));
    assert!(concerns(Kind::Copy, Some("public"), "apps"));
    assert!(concerns(Kind::Insert, Some("PUBLIC"), "apps"));
    assert!(concerns(Kind::Insert, Some("other"), "other.apps"));
    assert!(concerns(Kind::Insert, None, "public.apps"));
    assert!(concerns(Kind::Insert, Some("public"), "public.apps"));
    assert!(!concerns(Kind::Insert, Some("other"), "public.apps"));
    assert!(!concerns(Kind::Insert, None, "publicapps"));
    assert!(!concerns(Kind::Insert, Some("other"), "apps"));
    assert!(!concerns(Kind::Insert, None, "other.apps"));
    assert!(!concerns(Kind::Insert, None, "app"));
    assert!(!concerns(Kind::Setval, None, "apps"));
}

#[test]
fn dropped_statements_go_with_their_rows_and_nothing_else() {
    let (out, _) = rewrite(
        "-- Data\nINSERT INTO public.gone (a) VALUES ('x;\n-- '';'), ('y');\nINSERT INTO kept VALUES ('INSERT INTO gone VALUES (1);');\n\
         COPY public.gone (a, b) FROM stdin;\n1\t\\N\nx\\\\.\n\\.\n\nCOPY public.kept (a) FROM stdin;\n\\\\.\n\\.\nSELECT 1;\n",
    )
    .unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "-- Data\n\nINSERT INTO kept VALUES ('INSERT INTO gone VALUES (1);');\n\nCOPY public.kept (a) FROM stdin;\n\\\\.\n\\.\nSELECT 1;\n"
    );
}

#[test]
fn rows_are_read_and_chosen() {
    let (out, recorder) = rewrite(
        "INSERT INTO picked (a, b) VALUES ('no', 1);
INSERT INTO picked (a, b) VALUES ('it''s (a, b)', NULL), ('no', -1.5),
 -- a comment
 ('yes', E'a\\n\\'\\x41\\102\\u00e9'), ($$d$$, now('a', 1)) ON CONFLICT (a) DO NOTHING;
INSERT INTO picked (a, b) VALUES ('no', 'x') ON CONFLICT (a) DO NOTHING;
COPY picked (a, b) FROM stdin;
no\tgone
a\\tb\\\\\\n\\r\t\\N
\t\\x41\\102
\\.
SELECT 1;
",
    )
    .unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "
INSERT INTO picked (a, b) VALUES ('it''s (a, b)', NULL),
 -- a comment
 ('yes', E'a\\n\\'\\x41\\102\\u00e9'), ($$d$$, now('a', 1)) ON CONFLICT (a) DO NOTHING;

COPY picked (a, b) FROM stdin;
a\\tb\\\\\\n\\r\t\\N
\t\\x41\\102
\\.
SELECT 1;
"
    );
    assert_eq!(
        recorder.rows,
        [
            "no|1",
            "it's (a, b)|NULL",
            "no|-1.5",
            "yes|a\n'ABé",
            "d|now('a', 1)",
            "no|x",
            "no|gone",
            "a\tb\\\n\r|NULL",
            "|AB",
        ]
    );
}

#[test]
fn restrict_can_be_left_out_and_no_other_meta_command_gets_through() {
    let (out, recorder) = rewrite("\\restrict Abc0\nSELECT 1;\n\\unrestrict Abc0\n").unwrap();
    assert_eq!(out, b"SELECT 1;\n\\unrestrict Abc0\n");
    assert_eq!(recorder.seen[0], "Meta - restrict ");
    assert_kept("\\unrestrict Abc0", 1);
    for input in [
        "\\! rm -rf /\n",
        "SELECT 1;\\! true\n",
        "SELECT 1 \\g out\n",
        "\\restrict `true`\n",
        "\\connect other\n",
        "\\restricted a\n",
        "\\",
    ] {
        assert_eq!(
            rewrite(input).unwrap_err().code,
            "sql.meta.refused",
            "{input}"
        );
    }
}

#[test]
fn what_can_not_be_read_with_certainty_is_refused() {
    for (input, code) in [
        (
            "SET standard_conforming_strings = off;",
            "sql.strings.nonconforming",
        ),
        (
            "set session standard_conforming_strings to 'off';",
            "sql.strings.nonconforming",
        ),
        (
            "SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false);",
            "sql.strings.nonconforming",
        ),
        (
            "SET client_encoding = 'SHIFT_JIS_2004';",
            "sql.encoding.unsafe",
        ),
        (
            "COPY t FROM stdin WITH (FORMAT csv);\n1\n\\.\n",
            "sql.copy.options",
        ),
        (
            "COPY t FROM stdin; SELECT 1;\n1\n\\.\n",
            "sql.statement.unreadable",
        ),
        (
            "INSERT INTO picked (a, b) VALUES (1);",
            "sql.statement.unreadable",
        ),
        ("INSERT t VALUES (1);", "sql.statement.unreadable"),
        ("- 1;", "sql.statement.unreadable"),
        ("SELECT E'\\'' -- more\n'\\';';", "sql.statement.unreadable"),
        ("SELECT 1 --\0\n'\n\\! id\n';", "sql.byte.nul"),
        ("SELECT E'a' 'b\\'\n\\! id\n';", "sql.statement.unreadable"),
        ("INSERT INTO t VALUES ('a", "sql.end.open"),
        ("INSERT INTO t VALUES ('a')", "sql.end.open"),
        ("SELECT E'a\\", "sql.end.open"),
        ("SELECT \"a", "sql.end.open"),
        ("SELECT $a$ $a", "sql.end.open"),
        ("SELECT $a", "sql.end.open"),
        ("/* a", "sql.end.open"),
        ("SELECT (1;", "sql.end.open"),
        ("COPY t FROM stdin;\n1\n", "sql.end.open"),
        ("COPY picked FROM stdin;\n1\n", "sql.end.open"),
        ("COPY t FROM stdin;", "sql.end.open"),
    ] {
        let failure = rewrite(input).map(|(out, _)| out).unwrap_err();
        assert_eq!(failure.code, code, "{input}");
    }
    for input in [
        "SET standard_conforming_strings = on;",
        "SET client_encoding = 'UTF8';",
        "COPY t FROM stdin;\n1\n\\.",
        "COPY picked FROM stdin;\n1\n\\.",
    ] {
        assert_kept(input, 1);
    }
}

#[test]
fn settings_that_change_how_text_is_read_are_refused_however_they_are_written() {
    for (input, code) in [
        (
            "SELECT set_config('client_encoding', 'SJIS', false);",
            "sql.encoding.unsafe",
        ),
        (
            "SELECT pg_catalog.SET_CONFIG('Client_Encoding', 'gbk', true);",
            "sql.encoding.unsafe",
        ),
        (
            "SELECT set_config($$client_encoding$$, 'SJIS', false);",
            "sql.statement.unreadable",
        ),
        (
            "SELECT set_config(E'client_encoding', 'SJIS', false);",
            "sql.statement.unreadable",
        ),
        (
            "SELECT set_config('client_'||'encoding', 'SJIS', false);",
            "sql.statement.unreadable",
        ),
        (
            "SELECT set_config('client_encoding', $$SJIS$$, false);",
            "sql.statement.unreadable",
        ),
        (
            "SELECT set_config('client_'\n'encoding', 'SJIS', false);",
            "sql.statement.unreadable",
        ),
        (
            "SELECT 1, \"set_config\"('client_encoding', 'SJIS', false);",
            "sql.statement.unreadable",
        ),
        (
            "SELECT U&\"set\\005fconfig\"('client_encoding', 'SJIS', false);",
            "sql.statement.unreadable",
        ),
        (
            "SELECT E'a'\n'\\'', set_config('client_encoding', 'SJIS', false);",
            "sql.statement.unreadable",
        ),
        (
            "SELECT set_config('standard_conforming_strings', 'off', false);",
            "sql.strings.nonconforming",
        ),
        ("SET \"Client_Encoding\" = 'SJIS';", "sql.encoding.unsafe"),
        ("SET NAMES 'SJIS';", "sql.encoding.unsafe"),
        ("SET client_encoding = E'SJIS';", "sql.encoding.unsafe"),
        ("SET client_encoding TO $$SJIS$$;", "sql.encoding.unsafe"),
        ("SET client_encoding = 'SJ'\n'IS';", "sql.encoding.unsafe"),
        (
            "SET U&\"client\\005fencoding\" = 'SJIS';",
            "sql.statement.unreadable",
        ),
        (
            "SET standard_conforming_strings = 'o'\n'ff';",
            "sql.strings.nonconforming",
        ),
    ] {
        let failure = rewrite(input).map(|(out, _)| out).unwrap_err();
        assert_eq!(failure.code, code, "{input}");
    }
    assert_kept(
        "SELECT pg_catalog.set_config('client_encoding', 'UTF8', false);",
        1,
    );
    assert_kept("SET LOCAL client_encoding TO UTF8;", 1);
}

#[test]
fn long_heads_and_rows_are_refused_and_long_literals_are_not() {
    let long = "x".repeat(9 << 20);
    assert_kept(&format!("INSERT INTO t VALUES ('{long}');"), 1);
    for input in [
        format!("INSERT INTO picked VALUES ('{long}');"),
        format!("INSERT INTO {long} VALUES (1);"),
        format!("COPY picked FROM stdin;\n{long}\n\\.\n"),
        format!("SELECT ${long}$;"),
    ] {
        let failure = rewrite(&input).map(|_| ()).unwrap_err();
        assert_eq!(failure.code, "sql.statement.unreadable");
    }
}

#[test]
fn text_is_put_before_and_behind() {
    let rewriter = || {
        Rewriter::new(Recorder::default())
            .prepend("BEGIN;")
            .append("COMMIT;\n")
    };
    let run = |input: &[u8]| {
        let (mut rewriter, mut out) = (rewriter(), Vec::new());
        rewriter.push(input, &mut out).unwrap();
        rewriter
            .finish(&mut out)
            .map(|()| String::from_utf8(out).unwrap())
    };
    assert_eq!(
        run(b"SELECT 1; -- end").unwrap(),
        "BEGIN;\nSELECT 1; -- end\nCOMMIT;\n"
    );
    assert_eq!(run(b"").unwrap(), "BEGIN;\n\nCOMMIT;\n");
    run(b"SELECT 1").unwrap_err();
}

#[test]
fn a_file_of_a_tree_is_read() {
    let rows = "INSERT INTO picked (a) VALUES ('x');\n".repeat(200_000);
    let tree = crate::testing::MemoryTree::new("streams").file("db.sql", rows.as_str());
    let recorder = read(&tree, "db.sql", Recorder::default()).unwrap();
    assert_eq!(recorder.rows.len(), 200_000);
    assert!(read(&tree, "none.sql", Recorder::default()).is_err());
}

/// Pieces of SQL, put together at random, that are next to everything that matters.
const PIECES: &[&str] = &[
    "INSERT INTO ",
    "picked",
    "public.gone",
    " (a) ",
    "VALUES ",
    "(",
    ")",
    ", ",
    ";",
    "\n",
    "'",
    "''",
    "\\",
    "E'",
    "\"",
    "$$",
    "$a$",
    "$",
    "a",
    "1",
    "--",
    "-",
    "/*",
    "*/",
    "/",
    "*",
    "COPY t FROM stdin;\n",
    "COPY picked FROM stdin;\n",
    "\\.",
    "\\.\n",
    "\t",
    "\\N",
    "\\restrict a\n",
    "SELECT ",
    "CREATE FUNCTION f() ",
    "BEGIN ",
    "INSERT INTO picked (a) VALUES ('no'), ('a;''b'), (E'\\'');\n",
    "INSERT INTO gone VALUES (1, '-- \r\n');",
    "COPY picked FROM stdin;\nno\n\\\\.\n\\.\n",
    "COPY t (a) FROM stdin;\n\\\n\\.x\n\\.\n",
    "-- ';\n",
    "/* '; /* */ */",
    "DO $a$ ;' $a $a$;",
    "SELECT \"a;\"\"\", 'b';",
    "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; END;",
    "END",
    "SET ",
    "standard_conforming_strings",
    " = on",
    "NULL",
    "\r",
    "é",
    "\\x4",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_result_does_not_depend_on_the_cuts(
        pieces in vec(select(PIECES), 0..40),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let input = pieces.concat().into_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = essence(rewrite(&input));
        prop_assert_eq!(&essence(rewrite_in(&input, cuts)), &whole);
        prop_assert_eq!(&essence(rewrite_in(&input, 0..input.len())), &whole);
    }

    #[test]
    fn what_is_kept_is_kept_as_it_is(pieces in vec(select(PIECES), 0..40)) {
        let input = pieces.concat().into_bytes();
        let mut out = Vec::new();
        let mut rewriter = Rewriter::new(|_: &Statement| Ok(Decision::Keep));
        if rewriter.push(&input, &mut out).and_then(|()| rewriter.finish(&mut out)).is_ok() {
            prop_assert_eq!(out, input);
        }
    }

    #[test]
    fn any_bytes_are_survived(input in vec(any::<u8>(), 0..400)) {
        let _ = rewrite(input);
    }

    #[test]
    fn a_row_of_any_values_comes_back(
        values in vec(proptest::option::of("[a-z'\\\\\n\r\t;(,\"$é-]{0,12}"), 1..5),
        standard in any::<bool>(),
    ) {
        let values: Vec<_> = values.iter().map(Option::as_deref).collect();
        let text = if standard {
            let literals = values.iter().map(|value| match value {
                Some(value) => format!("'{}'", value.replace('\'', "''")),
                None => "NULL".to_owned(),
            });
            format!("INSERT INTO picked VALUES ({});", literals.collect::<Vec<_>>().join(", "))
        } else {
            let fields = values.iter().map(|value| match value {
                Some(value) => value
                    .replace('\\', "\\\\")
                    .replace('\n', "\\n")
                    .replace('\r', "\\r")
                    .replace('\t', "\\t"),
                None => "\\N".to_owned(),
            });
            format!("COPY picked FROM stdin;\n{}\n\\.\n", fields.collect::<Vec<_>>().join("\t"))
        };
        let (_, recorder) = rewrite(text).unwrap();
        let expected: Vec<_> = values.iter().map(|value| value.unwrap_or("NULL")).collect();
        prop_assert_eq!(recorder.rows, [expected.join("|")]);
    }
}
