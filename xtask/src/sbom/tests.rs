use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const LOCK: &str = r#"
version = 4

[[package]]
name = "app"
version = "0.1.0"

[[package]]
name = "codec"
version = "2.0.0+c-1.5"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "aa"
"#;

#[test]
fn lines_of_cargo_become_a_tree() {
    let text = "\
0|app v0.1.0 (/a place/app)|MIT|
1|codec v2.0.0+c-1.5|MIT/Apache-2.0|
2|bits v1.0.0|Zlib|
1|derive v1.0.0 (proc-macro)|MIT|
2|bits v1.0.0|Zlib|
";
    let tree = Tree::parse(text).unwrap();
    let needs = |name: &str| -> Vec<&str> {
        let found = tree
            .packages
            .iter()
            .find(|(package, _)| package.name == name);
        let needs = found.unwrap().1.1.iter();
        needs.map(|package| package.name.as_str()).collect()
    };
    assert_eq!(tree.root.name, "app");
    assert_eq!(needs("app"), ["codec", "derive"]);
    assert_eq!(needs("codec"), ["bits"]);
    assert_eq!(needs("derive"), ["bits"]);
    assert!(Tree::parse("").is_err());
    assert!(Tree::parse("app v0.1.0").is_err());
}

#[test]
fn a_crate_is_described_by_what_lock_and_manifest_say() {
    let linked = Tree::parse("0|app v0.1.0|MIT|\n1|codec v2.0.0+c-1.5|MIT/Apache-2.0|\n").unwrap();
    let all = Tree::parse(
        "0|app v0.1.0|MIT|\n1|codec v2.0.0+c-1.5|MIT/Apache-2.0|\n1|derive v1.0.0|MIT|\n",
    )
    .unwrap();
    let checksums = Checksums::read(LOCK).unwrap();
    let mut bill = Bill::new("here", "1.95.0".into(), &linked, &all, &checksums).unwrap();
    let plugin = Plugin {
        name: "files".into(),
        sha256: "bb".into(),
        linked: Tree::parse("0|plugin v0.1.0|MIT|\n").unwrap(),
        all: Tree::parse("0|plugin v0.1.0|MIT|\n").unwrap(),
    };
    bill.add_plugin(&plugin, &checksums).unwrap();
    let document = bill.document();
    let [codec, derive, crate_of_plugin, plugin] = &document["components"].as_array().unwrap()[..]
    else {
        panic!("{document:#}");
    };
    assert_eq!(codec["purl"], "pkg:cargo/codec@2.0.0%2Bc-1.5");
    assert_eq!(codec["licenses"][0]["expression"], "MIT OR Apache-2.0");
    assert_eq!(codec["hashes"][0]["content"], "aa");
    assert_eq!(codec["scope"], "required");
    assert_eq!(derive["scope"], "excluded");
    assert_eq!(crate_of_plugin["name"], "plugin");
    assert_eq!(plugin["hashes"][0]["content"], "bb");
    assert_eq!(document["metadata"]["component"]["name"], "app");
    assert!(document["metadata"]["component"].get("hashes").is_none());
}

#[test]
fn a_crate_without_a_licence_is_refused() {
    let tree = Tree::parse("0|app v0.1.0||\n").unwrap();
    let checksums = Checksums::read(LOCK).unwrap();
    assert!(Bill::new("here", String::new(), &tree, &tree, &checksums).is_err());
}

fn texts<'a>(values: &'a Value, key: &str) -> BTreeSet<&'a str> {
    let values = values.as_array().unwrap().iter();
    values.map(|value| value[key].as_str().unwrap()).collect()
}

/// What must hold of the document of this workspace, as the specification has it.
#[test]
fn all_that_cargo_names_is_in_the_bill_of_copal() {
    let target = rustc("host").unwrap();
    let document = bill(&target).unwrap().document();
    assert_eq!(document["bomFormat"], "CycloneDX");
    assert_eq!(document["specVersion"], "1.5");

    let components = document["components"].as_array().unwrap();
    let mut references = texts(&document["components"], "bom-ref");
    assert_eq!(references.len(), components.len(), "references are unique");
    references.insert(
        document["metadata"]["component"]["bom-ref"]
            .as_str()
            .unwrap(),
    );
    assert_eq!(references, texts(&document["dependencies"], "ref"));
    for dependency in document["dependencies"].as_array().unwrap() {
        for needed in dependency["dependsOn"].as_array().unwrap() {
            assert!(references.contains(needed.as_str().unwrap()), "{needed}");
        }
    }

    let own = |name: &str| name == "copal" || name == "xtask" || name.starts_with("copal-");
    for component in components {
        let name = component["name"].as_str().unwrap();
        let digest = component["hashes"][0]["content"].as_str();
        match component["purl"].is_string() && own(name) {
            true => assert_eq!(digest, None, "{name}"),
            false => {
                let hexadecimal = |digest: &str| {
                    digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
                };
                assert!(digest.is_some_and(hexadecimal), "{name}");
            }
        }
    }

    // The same question, asked in the simplest way.
    let mut cargo = workspace::cargo();
    cargo.args(["tree", "--locked", "--package", "copal"]);
    cargo.args(["--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    let listed = command::output(&mut cargo).unwrap();
    assert!(listed.lines().count() > 300);
    for line in listed.lines().filter(|line| !line.is_empty()) {
        let (name, rest) = line.split_once(" v").unwrap();
        let version = rest.split(' ').next().unwrap();
        let of_this = |value: &Value| value["name"] == name && value["version"] == version;
        assert!(
            components.iter().any(of_this) || of_this(&document["metadata"]["component"]),
            "{line}"
        );
    }

    let plugins = components.iter().filter(|value| value["group"] == "copal");
    let plugins: Vec<_> = plugins
        .map(|value| value["name"].as_str().unwrap())
        .collect();
    assert!(
        plugins.contains(&"jpom") && plugins.len() >= 6,
        "{plugins:?}"
    );
}
