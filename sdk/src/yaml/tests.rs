use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Node {
    parse(text.as_bytes(), Limits::default()).unwrap()
}

fn refused(text: &str, limits: Limits) -> Error {
    parse(text.as_bytes(), limits).unwrap_err()
}

/// A tree as one line, scalars quoted where they are not plain.
fn shown(node: &Node) -> String {
    let each = |nodes: &[Node]| nodes.iter().map(shown).collect::<Vec<_>>().join(", ");
    match &node.value {
        Value::Scalar { text, plain: true } => text.clone(),
        Value::Scalar { text, plain: false } => format!("{text:?}"),
        Value::List(elements) => format!("[{}]", each(elements)),
        Value::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", shown(key), shown(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

#[test]
fn what_gitlab_writes_is_read() {
    let information = read(
        "---\n:db_version: '20240701153843'\n:backup_created_at: 2024-07-21 10:15:30.123456789 Z\n:gitlab_version: 17.2.1-ee\n\
         :tar_version: tar (GNU tar) 1.34\n:installation_type: omnibus-gitlab\n:skipped:\n:\"quoted one\": ~\n:repositories_storages: []\n\
         :full_backup_id: 1721556930_2024_07_21_17.2.1-ee\n",
    );
    let text = |name: &str| information.get_symbol(name).and_then(Node::text);
    assert_eq!(text("db_version"), Some("20240701153843"));
    assert_eq!(
        text("backup_created_at"),
        Some("2024-07-21 10:15:30.123456789 Z")
    );
    assert_eq!(text("tar_version"), Some("tar (GNU tar) 1.34"));
    assert!(information.get_symbol("skipped").unwrap().is_null());
    assert!(information.get_symbol("quoted one").unwrap().is_null());
    assert!(
        information
            .get_symbol("repositories_storages")
            .unwrap()
            .list()
            .is_empty()
    );
    assert_eq!(information.get_symbol("none"), None);
    assert_eq!(information.get("skipped"), None);
}

#[test]
fn quotes_and_tags_make_text_of_a_scalar() {
    let node = read("[null, '~', !!str yes, yes, \"on\", Off, :a, ':a', ':', 'a\\n', \"a\\n\"]");
    let nulls: Vec<bool> = node.list().iter().map(Node::is_null).collect();
    assert_eq!(nulls.iter().filter(|&&null| null).count(), 1);
    let booleans: Vec<_> = node.list().iter().filter_map(Node::boolean).collect();
    assert_eq!(booleans, [true, false]);
    let symbols: Vec<_> = node.list().iter().filter_map(Node::symbol).collect();
    assert_eq!(symbols, ["a"]);
    assert_eq!(node.list()[9].text(), Some("a\\n"));
    assert_eq!(node.list()[10].text(), Some("a\n"));
}

#[test]
fn aliases_are_written_out_and_merge_keys_followed() {
    let node = read("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {y: 4, <<: [{x: 5}, *a]}\nd: *a\n");
    for (path, value) in [("b", ["1", "3"]), ("c", ["5", "4"]), ("d", ["1", "2"])] {
        let map = node.get(path).unwrap();
        let found = ["x", "y"].map(|key| map.get(key).unwrap().text().unwrap());
        assert_eq!(found, value, "{path}");
    }
}

#[test]
fn the_last_of_a_key_counts_and_nodes_know_where_they_begin() {
    let node = read("a: 1\nä: {b: x}\na: 2\n");
    assert_eq!(node.get("a").unwrap().text(), Some("2"));
    let inner = node.get("ä").unwrap().get("b").unwrap();
    assert_eq!((inner.line, inner.column), (2, 8));
}

#[test]
fn json_with_tabs_is_read() {
    let node = read("{\n\t\"a\": [\n\t\t{\"b\": \"x\\\"\\u00e4\\/\"},\n\t\ttrue\n\t]\n}\n");
    assert_eq!(shown(&node), r#"{"a": [{"b": "x\"ä/"}, true]}"#);
}

#[test]
fn documents_come_one_by_one_and_an_empty_file_is_null() {
    let all = parse_all(b"\xef\xbb\xbfa: 1\n---\n- b\n...\n", Limits::default()).unwrap();
    let all: Vec<String> = all.iter().map(shown).collect();
    assert_eq!(all, ["{a: 1}", "[b]"]);
    assert!(read("").is_null());
    assert!(read("# only a comment\n").is_null());
}

#[test]
fn what_is_no_yaml_is_refused_with_its_place() {
    for (text, line, column) in [
        (&b"a: 1\nb: [1\n"[..], 3, 1),
        (b"a: 1\nb: \xc3\xa4 \xff\n", 2, 6),
        (b"a: *b\n", 1, 4),
        (b"a: &a [*a]\n", 1, 8),
    ] {
        let error = parse(text, Limits::default()).unwrap_err();
        assert_eq!((error.line, error.column), (line, column), "{error}");
    }
}

#[test]
fn limits_hold_with_aliases_written_out() {
    let limits = Limits {
        bytes: 400,
        depth: 3,
        nodes: 100,
    };
    assert!(parse(b"[[[x]]]", limits).is_ok());
    assert!(refused("[[[[x]]]]", limits).problem.contains("deeply"));
    assert!(
        refused("- &a [[x]]\n- [[*a]]\n", limits)
            .problem
            .contains("deeply")
    );
    let many = format!("[{}]", "1,".repeat(150));
    assert!(refused(&many, limits).problem.contains("more than"));
    assert!(
        refused(&"#".repeat(401), limits)
            .problem
            .contains("400 bytes")
    );
    let long = format!("- &a {}\n- [*a, *a, *a]\n", "x".repeat(150));
    assert_eq!(refused(&long, limits).line, 2);

    let mut laughs = "a0: &a0 [lol, lol]\n".to_owned();
    for level in 1..40 {
        let inner = level - 1;
        laughs += &format!("a{level}: &a{level} [*a{inner}, *a{inner}]\n");
    }
    assert!(
        refused(&laughs, Limits::default())
            .problem
            .contains("more than")
    );
}

#[test]
fn no_debug_output_shows_a_scalar() {
    let node = read("password: [hunter2]\n");
    let shown = format!("{node:?} {:?}", node.value);
    assert!(
        !shown.contains("hunter2") && !shown.contains("password"),
        "{shown}"
    );
}

/// Trees as text in JSON's way of writing, which every YAML reader reads.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(serde_json::Value::from),
        any::<u32>().prop_map(serde_json::Value::from),
        "[a-zäß \\\\\"':,{}#&*!|>%@`\n\t-]{0,12}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-z: ]{0,5}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn same(json: &serde_json::Value, node: &Node) -> bool {
    use serde_json::Value as Json;
    match json {
        Json::Null => node.is_null(),
        Json::Bool(value) => node.boolean() == Some(*value),
        Json::Number(value) => node.text() == Some(&value.to_string()),
        Json::String(value) => node.text() == Some(value),
        Json::Array(values) => {
            values.len() == node.list().len()
                && values.iter().zip(node.list()).all(|(v, n)| same(v, n))
        }
        Json::Object(values) => {
            values.len() == node.map().len()
                && values
                    .iter()
                    .all(|(key, v)| node.get(key).is_some_and(|n| same(v, n)))
        }
    }
}

proptest! {
    #[test]
    fn hostile_text_never_panics_and_stays_within_limits(text in "[a-b:&*<{}\\[\\],'\"|>!?%#\n -]{0,120}") {
        let limits = Limits { bytes: 200, depth: 5, nodes: 50 };
        if let Ok(nodes) = parse_all(text.as_bytes(), limits) {
            let size = nodes.iter().map(build::Size::of).fold((0, 0), |(depth, nodes), size| {
                (size.depth.max(depth), nodes + size.nodes)
            });
            prop_assert!(size.0 <= limits.depth && size.1 <= limits.nodes);
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>) {
        let _ = parse_all(&bytes, Limits::default());
    }

    #[test]
    fn all_json_is_read(value in json(), pretty: bool) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let node = parse(text.as_bytes(), Limits::default()).unwrap();
        prop_assert!(same(&value, &node), "{text}\n{}", shown(&node));
    }
}
