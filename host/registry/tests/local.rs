//! Releases on this machine, by the addresses that operators write.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use bytes::Bytes;
use copal_registry::{Bundle, Destination, Source, fetch, publish};
use copal_trust::{COMPONENT, PUBLISHER, STATEMENT};

fn release() -> Bundle {
    let mut bundle = Bundle::default();
    for name in [COMPONENT, STATEMENT, "release.json.minisig", PUBLISHER] {
        bundle.insert(name, Bytes::from(name.to_owned())).unwrap();
    }
    bundle
}

#[tokio::test]
async fn a_release_moves_from_transport_to_transport_and_nothing_is_lost() {
    let scratch = tempfile::tempdir().unwrap();
    let place = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let mut bundle = release();
    for address in [
        place("folder"),
        place("notebook.tar"),
        format!("file://{}", place("another%20folder")),
        format!("file://{}", place("another.tar")),
    ] {
        let destination = Destination::parse(&address).unwrap();
        publish(&bundle, &destination, false).await.unwrap();
        let source = Source::parse(&address).unwrap();
        assert_eq!(Source::parse(&source.to_string()).unwrap(), source);
        bundle = fetch(&source).await.unwrap();
        assert_eq!(bundle, release(), "{address}");
    }
    assert!(scratch.path().join("another folder/plugin.wasm").is_file());
}

#[tokio::test]
async fn a_path_says_by_its_name_what_of_a_folder_is_meant() {
    let scratch = tempfile::tempdir().unwrap();
    for (name, bytes) in release().files() {
        fs::write(scratch.path().join(name), bytes).unwrap();
    }
    fs::create_dir(scratch.path().join("folder.tar")).unwrap();
    fs::copy(
        scratch.path().join(COMPONENT),
        scratch.path().join("folder.tar/plugin.wasm"),
    )
    .unwrap();
    fs::write(scratch.path().join("notebook.tgz"), "x").unwrap();
    let all: Vec<_> = release().files().map(|file| file.0.to_owned()).collect();
    for (name, expected) in [
        ("", Ok(all.clone())),
        (STATEMENT, Ok(all)),
        (COMPONENT, Ok(vec![COMPONENT.to_owned()])),
        (PUBLISHER, Ok(vec![PUBLISHER.to_owned()])),
        ("folder.tar", Ok(vec![COMPONENT.to_owned()])),
        ("notebook.tgz", Err("address")),
        ("missing", Err("missing")),
        ("missing.wasm", Err("missing")),
    ] {
        let path = scratch.path().join(name);
        let found = fetch(&Source::parse(path.to_str().unwrap()).unwrap()).await;
        let found = found.map(|bundle| bundle.files().map(|file| file.0.to_owned()).collect());
        let found: Result<Vec<_>, _> = found.map_err(|error| error.kind());
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_destination_is_a_folder_an_archive_or_a_tag() {
    for (text, valid) in [
        ("/a/folder", true),
        ("/a/x.tar", true),
        ("s3://b/p", true),
        ("https://h/p/x.tar", true),
        ("oci://h/n:1", true),
        ("/a/x.wasm", false),
        ("/a/publisher.json", false),
        ("s3://b/x.wasm", false),
        ("https://h/x.tar?x", false),
        (&format!("oci://h/n@sha256:{}", "0a".repeat(32)), false),
    ] {
        assert_eq!(Destination::parse(text).is_ok(), valid, "{text}");
    }
}
