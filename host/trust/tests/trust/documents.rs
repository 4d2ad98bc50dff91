//! `release.json` and `publisher.json`: what is read, and what is refused.

use copal_trust::{Format, PluginName, PublisherDocument, Refusal, Statement};
use serde_json::{Value, json};

use crate::world::{
    NAME, Signer, capability, component, days, described, first, kind, next, now, statement,
};

/// A value of a document with one field changed, or taken out.
fn changed(document: &Value, field: &str, value: Option<Value>) -> Vec<u8> {
    let mut document = document.clone();
    let fields = document.as_object_mut().unwrap();
    match value {
        Some(value) => fields.insert(field.into(), value),
        None => fields.remove(field),
    };
    serde_json::to_vec(&document).unwrap()
}

fn example() -> Statement {
    let mut statement = statement(NAME, "1.2.0", &component("plugin"));
    statement.sha256 = "ab".repeat(32);
    statement.source = Some("https://example.com/notebook".into());
    statement
}

#[test]
fn a_statement_is_written_for_people_and_always_the_same() {
    let bytes = example().to_bytes().unwrap();
    let expected = format!(
        r#"{{
  "format": 1,
  "name": "acme/notebook",
  "version": "1.2.0",
  "sha256": "{}",
  "size": 14,
  "contract": "copal:plugin@0.1.0",
  "world": "copal:plugin/plugin",
  "imports": [
    "copal:plugin/log@0.1.0"
  ],
  "capabilities": [
    {{
      "grant": "run:docker stop *",
      "reason": "The notebook must hold still."
    }}
  ],
  "minimum_host": "0.1.0",
  "created": "2026-11-27T12:00:00Z",
  "description": "Saves notebooks.",
  "license": "MIT",
  "source": "https://example.com/notebook"
}}
"#,
        "ab".repeat(32)
    );
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
    assert_eq!(Statement::parse(&bytes).unwrap(), example());
}

#[test]
fn a_statement_with_anything_wrong_is_refused() {
    let document = serde_json::to_value(example()).unwrap();
    let many: Vec<Value> = (0..257).map(|i| json!(format!("wasi:x/y{i}"))).collect();
    let long = "x".repeat(1025);
    let cases = [
        ("surprise", Some(json!(1)), "an unknown field"),
        ("format", None, "no format"),
        ("format", Some(json!(0)), "format 0"),
        ("format", Some(json!("1")), "the format as text"),
        ("name", None, "no name"),
        ("name", Some(json!("notebook")), "no publisher"),
        ("name", Some(json!("acme/note/book")), "two slashes"),
        ("name", Some(json!("../notebook")), "a path"),
        ("name", Some(json!("acme/..")), "a path below"),
        ("name", Some(json!("Acme/notebook")), "a capital"),
        ("name", Some(json!("acme/\u{1b}[2J")), "an escape"),
        (
            "name",
            Some(json!("аcme/notebook")),
            "a letter that only looks like one",
        ),
        ("name", Some(json!("-acme/notebook")), "an option"),
        (
            "name",
            Some(json!(format!("acme/{}", "x".repeat(65)))),
            "a long name",
        ),
        ("version", Some(json!("1.2")), "two numbers"),
        ("version", Some(json!("v1.2.0")), "a letter"),
        ("version", Some(json!("01.2.0")), "a leading zero"),
        ("version", Some(json!("1.2.0+build")), "build metadata"),
        ("version", Some(json!("1.2.0\n")), "a line feed"),
        (
            "version",
            Some(json!("1.2.18446744073709551616")),
            "a number above 64 bits",
        ),
        (
            "version",
            Some(json!(format!("1.2.0-{}", "x".repeat(60)))),
            "a long version",
        ),
        ("version", Some(json!(1.2)), "a number"),
        (
            "minimum_host",
            Some(json!("0.1.0+x")),
            "build metadata of the host",
        ),
        (
            "sha256",
            Some(json!("AB".repeat(32))),
            "capitals in the digest",
        ),
        ("sha256", Some(json!("ab".repeat(31))), "a short digest"),
        (
            "sha256",
            Some(json!("../".repeat(21) + "x")),
            "a path as digest",
        ),
        ("size", Some(json!(-1)), "a negative size"),
        ("size", Some(json!(129 << 20)), "a large size"),
        ("size", Some(json!(u64::MAX)), "the largest size"),
        ("size", Some(json!(1e3)), "a size as a float"),
        ("imports", Some(json!(many)), "many imports"),
        ("imports", Some(json!(["a", "a"])), "an import twice"),
        (
            "imports",
            Some(json!(["a\nimport b"])),
            "two imports in one",
        ),
        (
            "capabilities",
            Some(json!([{"grant": "run:x"}])),
            "no reason",
        ),
        (
            "capabilities",
            Some(json!([{"grant": "run:x", "reason": ""}])),
            "an empty reason",
        ),
        (
            "capabilities",
            Some(json!([{"grant": "run:x\u{202e}", "reason": "r"}])),
            "reordered text",
        ),
        (
            "capabilities",
            Some(json!([{"grant": "run:x", "reason": "r", "x": 1}])),
            "an unknown field",
        ),
        (
            "capabilities",
            Some(json!([{"grant": "run:x", "reason": "a"}, {"grant": "run:x", "reason": "b"}])),
            "a grant twice",
        ),
        ("created", Some(json!("yesterday")), "no time"),
        (
            "created",
            Some(json!("2026-11-28T12:00:00+00:00")),
            "another spelling of a time",
        ),
        (
            "created",
            Some(json!("2026-11-28T12:00:00.5Z")),
            "half a second",
        ),
        (
            "created",
            Some(json!("2026-11-28 12:00:00Z")),
            "a blank in a time",
        ),
        ("description", Some(json!("")), "an empty description"),
        (
            "description",
            Some(json!("a\u{1b}]0;title\u{7}")),
            "a terminal escape",
        ),
        ("description", Some(json!("a\u{9b}2J")), "a one-byte escape"),
        ("description", Some(json!("two\nlines")), "two lines"),
        ("description", Some(json!(long)), "a long description"),
        ("license", Some(json!("MIT\0")), "a NUL"),
        (
            "source",
            Some(json!("https://x\u{200b}y")),
            "a character that can't be seen",
        ),
        ("world", Some(json!("")), "an empty world"),
        ("contract", None, "no contract"),
    ];
    for (field, value, what) in cases {
        let refused = Statement::parse(&changed(&document, field, value));
        assert_eq!(kind(refused), "plugin-document", "{what}");
    }
}

#[test]
fn what_only_looks_like_a_statement_is_refused() {
    let valid = String::from_utf8(example().to_bytes().unwrap()).unwrap();
    let twice = valid.replacen("\"size\"", "\"version\": \"9.0.0\",\n  \"size\"", 1);
    let deep = "[".repeat(100_000);
    let large = format!("{valid}{}", " ".repeat(1 << 20));
    for (text, what) in [
        (twice.as_str(), "a field twice"),
        (&format!("{valid}{valid}"), "two statements"),
        (&deep, "deep nesting"),
        (&large, "a large file"),
        ("", "nothing"),
        ("null", "null"),
        ("\u{feff}{}", "a byte order mark"),
    ] {
        assert_eq!(
            kind(Statement::parse(text.as_bytes())),
            "plugin-document",
            "{what}"
        );
    }
    assert_eq!(
        kind(Statement::parse(b"{\"format\":1,\"\xff\":1}")),
        "plugin-document"
    );
}

#[test]
fn a_document_of_a_later_copal_is_told_from_a_broken_one() {
    let later = br#"{"format": 2, "everything": "else"}"#;
    assert_eq!(kind(Statement::parse(later)), "plugin-format");
    assert_eq!(kind(PublisherDocument::parse(later)), "plugin-format");
}

#[test]
fn what_would_not_be_read_is_not_written() {
    let mut statement = example();
    statement.description = "\u{1b}[2J".into();
    assert_eq!(kind(statement.to_bytes()), "plugin-document");
    let document = first("Acme", &[&Signer::new()], 1);
    assert_eq!(kind(document.to_bytes()), "plugin-document");
}

#[test]
fn names_have_two_parts_and_a_publisher() {
    let name: PluginName = "acme/note-book2".parse().unwrap();
    assert_eq!(
        (name.publisher(), name.as_str()),
        ("acme", "acme/note-book2")
    );
    assert!(!name.is_reserved());
    assert!("copal/files".parse::<PluginName>().unwrap().is_reserved());
    for bad in [
        "", "/", "acme/", "/x", "acme", "a b/c", "acme/x/", "acme\\x", ".acme/x",
    ] {
        assert_eq!(kind(bad.parse::<PluginName>()), "plugin-name", "{bad}");
    }
}

#[test]
fn the_capability_hash_is_that_of_what_may_be_asked_for() {
    let mut statement = example();
    statement.capabilities = vec![capability("run:b"), capability("run:a")];
    statement.imports = vec![
        "wasi:io/streams@0.2.3".into(),
        "copal:plugin/tree@0.1.0".into(),
    ];
    let lines = ["grant run:a", "grant run:b", "import wasi:io/streams@0.2.3"];
    assert_eq!(statement.capability_lines(), lines);
    let hash = statement.capability_hash();
    // printf 'grant run:a\ngrant run:b\nimport wasi:io/streams@0.2.3\n' | sha256sum
    assert_eq!(
        hash,
        "b45e344fefa85bfc505b1066a7dcbac72fa768ff044f1fab117402ce6b124e70"
    );

    let mut same = statement.clone();
    same.capabilities.reverse();
    same.imports.reverse();
    same.imports.push("copal:plugin/process@0.1.0".into());
    same.capabilities
        .iter_mut()
        .for_each(|c| c.reason = "Another reason.".into());
    same.description = "Another description.".into();
    assert_eq!(same.capability_hash(), hash);

    let mut more = statement.clone();
    more.imports.push("wasi:cli/environment@0.2.3".into());
    assert_ne!(more.capability_hash(), hash);
    let mut wider = statement.clone();
    wider.capabilities = vec![capability("run:a"), capability("run:*")];
    assert_ne!(wider.capability_hash(), hash);
}

#[test]
fn a_statement_is_held_against_what_the_component_says() {
    let statement = example();
    let same = described(&statement);
    statement.confirm(&same).unwrap();
    let mut reordered = same.clone();
    reordered.imports.push("copal:plugin/log@0.1.0".into());
    statement.confirm(&reordered).unwrap();

    let differs = |change: &dyn Fn(&mut copal_trust::Described)| {
        let mut described = same.clone();
        change(&mut described);
        match statement.confirm(&described) {
            Err(Refusal::Described { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(differs(&|d| d.name = "evil/notebook".into()), "name");
    assert_eq!(differs(&|d| d.version = "1.2.1".into()), "version");
    assert_eq!(
        differs(&|d| d.imports.push("wasi:io/poll@0.2.0".into())),
        "imports"
    );
    assert_eq!(differs(&|d| d.imports.clear()), "imports");
    assert_eq!(
        differs(&|d| d.capabilities.push(capability("run:rm *"))),
        "capabilities"
    );
    assert_eq!(differs(&|d| d.capabilities.clear()), "capabilities");
    assert_eq!(
        differs(&|d| d.capabilities[0].reason = "Other.".into()),
        "capabilities"
    );
    assert_eq!(differs(&|d| d.name = "\u{1b}[2J".into()), "name");
}

#[test]
fn a_publisher_document_with_anything_wrong_is_refused() {
    let (one, two) = (Signer::new(), Signer::new());
    let document = first("acme", &[&one, &two], 1);
    let second = serde_json::to_value(next(&document)).unwrap();
    let document = serde_json::to_value(document).unwrap();
    let key = one.public().to_string();
    let other = Signer::new().public().to_string();
    let nine: Vec<Value> = (0..9)
        .map(|_| json!(Signer::new().public().to_string()))
        .collect();
    // The same point under another id.
    let mut bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, &key).unwrap();
    bytes[2] ^= 1;
    let alias = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &bytes);
    let release = json!({"sha256": "ab".repeat(32), "reason": "Loses data."});
    let cases = [
        ("surprise", json!(1), "an unknown field"),
        ("publisher", json!("acme/notebook"), "a plugin's name"),
        ("publisher", json!(".."), "a path"),
        ("publisher", json!(""), "no name"),
        ("version", json!(0), "version 0"),
        ("version", json!(257), "version 257"),
        (
            "version",
            json!(u64::from(u32::MAX) + 1),
            "a version above 32 bits",
        ),
        ("threshold", json!(0), "threshold 0"),
        (
            "threshold",
            json!(3),
            "a threshold above the number of keys",
        ),
        ("threshold", json!(u32::MAX), "the largest threshold"),
        ("keys", json!([]), "no keys"),
        ("keys", json!(nine), "nine keys"),
        ("keys", json!([key, key]), "a key twice"),
        ("keys", json!([key, alias]), "a key under two ids"),
        ("keys", json!(["RWx"]), "no key"),
        (
            "keys",
            json!([format!("{key}\n")]),
            "a key with a line feed",
        ),
        (
            "revoked_keys",
            json!([key]),
            "a key that is valid and revoked",
        ),
        (
            "revoked_keys",
            json!([alias]),
            "a valid key revoked under another id",
        ),
        ("revoked_keys", json!([other, other]), "a revoked key twice"),
        (
            "revoked_releases",
            json!([release, release]),
            "a release twice",
        ),
        (
            "revoked_releases",
            json!([{"sha256": "x", "reason": "r"}]),
            "no digest",
        ),
        (
            "revoked_releases",
            json!([{"sha256": "ab".repeat(32), "reason": "\u{1b}c"}]),
            "an escape",
        ),
        (
            "not_after",
            json!("2020-01-01T00:00:00Z"),
            "expired before it was made",
        ),
        (
            "created",
            json!("2026-10-29T12:00:00.000000001Z"),
            "a nanosecond",
        ),
    ];
    for (field, value, what) in cases {
        let refused = PublisherDocument::parse(&changed(&document, field, Some(value)));
        assert_eq!(kind(refused), "plugin-document", "{what}");
    }
    for (document, previous) in [
        (&document, Some("ab".repeat(32))),
        (&second, None),
        (&second, Some("AB".repeat(32))),
    ] {
        let refused = PublisherDocument::parse(&changed(
            document,
            "previous",
            previous.clone().map(Value::from),
        ));
        assert_eq!(kind(refused), "plugin-document", "{previous:?}");
    }
    let fine = changed(&document, "revoked_releases", Some(json!([release])));
    assert!(PublisherDocument::parse(&fine).is_ok());
}

#[test]
fn a_publisher_document_grows_version_by_version() {
    let (one, two) = (Signer::new(), Signer::new());
    let document = first("acme", &[&one], 1);
    let digest = "ab".repeat(32);
    let next = document
        .next(&"ab".repeat(32), now(), now() + days(90))
        .with_key(two.public())
        .with_revoked_key(&one.public())
        .with_revoked_release(&digest, "Loses data.")
        .with_revoked_release(&digest, "Another reason.");
    assert_eq!((next.version, next.format), (2, Format));
    assert_eq!(next.keys, [two.public()]);
    assert_eq!(next.revoked_keys, [one.public()]);
    assert_eq!(next.revoked(&digest).unwrap().reason, "Loses data.");
    let bytes = next.to_bytes().unwrap();
    assert_eq!(PublisherDocument::parse(&bytes).unwrap(), next);
    assert_eq!(copal_trust::fingerprint(&bytes).len(), 64);
}
