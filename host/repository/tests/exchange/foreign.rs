//! Repositories as rustic leaves them: keys that say little, and fields that neither restic nor Copal knows. There is no rustic here, so
//! restic proves that what stands for its work is sound.

use std::fs;
use std::path::Path;

use copal_repository::copy::{CopyOptions, copy};
use copal_repository::format::crypto::Key;
use copal_repository::format::key::KeyFile;
use copal_repository::format::unpacked;
use copal_repository::progress::Silent;
use copal_repository::{BlobId, Document, LockMode};
use serde_json::{Value, json};

use crate::fixture::{World, back_up, files, noise};

/// Writes a file under the name that its bytes give it, in the place of another.
fn replace(old: &Path, bytes: &[u8]) {
    fs::remove_file(old).unwrap();
    fs::write(old.with_file_name(BlobId::of(bytes).to_string()), bytes).unwrap();
}

fn master_key(repository: &Path, password: &str) -> Key {
    let path = &files(&repository.join("keys"))[0];
    let file = KeyFile::decode(&fs::read(path).unwrap()).unwrap();
    Key::new(&file.open(password.as_bytes()).unwrap().unwrap()).unwrap()
}

/// Changes the JSON of all files in a directory of the repository.
fn rewrite(repository: &Path, key: &Key, directory: &str, change: impl Fn(&mut Value)) {
    for path in files(&repository.join(directory)) {
        let json = unpacked::open(key, &fs::read(&path).unwrap()).unwrap();
        let mut value = serde_json::from_slice(&json).unwrap();
        change(&mut value);
        let json = serde_json::to_vec(&value).unwrap();
        replace(&path, &unpacked::seal(key, 2, &json).unwrap());
    }
}

/// A repository with one snapshot, written over as rustic would have written it.
fn rustic(world: &World) {
    world.write("source/text", "some text\n".repeat(1000));
    world.write("source/noise", noise(3, 2 << 20));
    back_up(&world.init("rustic"), &world.path("source"));
    let path = world.path("rustic");
    let key = master_key(&path, "rustic");

    let file = &files(&path.join("keys"))[0];
    let mut value: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    for field in ["created", "username", "hostname"] {
        value.as_object_mut().unwrap().remove(field).unwrap();
    }
    replace(file, &serde_json::to_vec(&value).unwrap());

    let config = path.join("config");
    let json = key.open(&fs::read(&config).unwrap()).unwrap();
    let mut value: Value = serde_json::from_slice(&json).unwrap();
    value["compression"] = 5.into();
    value["append_only"] = false.into();
    value["datapack_size"] = 1_000_000.into();
    let mut sealed = Vec::new();
    key.seal(&serde_json::to_vec(&value).unwrap(), &mut sealed)
        .unwrap();
    fs::write(&config, sealed).unwrap();

    rewrite(&path, &key, "index", |index| {
        let time = json!("2026-01-02T03:04:05.678901234+01:00");
        for pack in index["packs"].as_array_mut().unwrap() {
            let id = pack["id"].as_str().unwrap().to_owned();
            let file = path.join("data").join(&id[..2]).join(&id);
            pack["time"] = time.clone();
            pack["size"] = file.metadata().unwrap().len().into();
        }
        // It is gone already; what it held lies elsewhere.
        let mut gone = index["packs"][0].clone();
        gone["id"] = "e".repeat(64).into();
        index["packs_to_delete"] = json!([gone]);
    });
    rewrite(&path, &key, "snapshots", |snapshot| {
        snapshot["label"] = "web".into();
        snapshot["delete"] = json!({"After": "2030-01-01T00:00:00+01:00"});
        snapshot["description"] = "of the web server".into();
        snapshot["program_version"] = "rustic 0.11.4".into();
        snapshot["summary"] = json!({
            "backup_start": "2026-01-02T03:04:05.678901234+01:00",
            "backup_end": "2026-01-02T03:04:06+01:00",
            "files_new": 2,
            "command": "rustic backup",
            "backup_duration": 0.25,
        });
    });
}

#[test]
fn a_repository_of_rustic_is_opened_checked_copied_and_written_to() {
    let world = World::new();
    rustic(&world);
    world.is_whole("rustic");
    let repository = world.open("rustic");
    let keys = repository.keys().unwrap();
    assert_eq!((keys[0].username.as_str(), keys[0].created), ("", None));
    let config: Value = serde_json::from_slice(&repository.config_document().unwrap()).unwrap();
    assert_eq!(config["compression"], 5);
    let (id, snapshot) = repository.snapshot("latest").unwrap();
    assert_eq!(snapshot.other["label"], "web");

    let target = world.init("target");
    let guard = target.lock(LockMode::Write).unwrap();
    let snapshots = repository.snapshots().unwrap();
    copy(
        &repository,
        &target,
        snapshots,
        &guard,
        &CopyOptions::default(),
        &Silent,
    )
    .unwrap();
    drop(guard);
    world.is_whole("target");
    let copied: Value = serde_json::from_slice(
        &target
            .document(
                Document::Snapshot,
                &target.snapshots().unwrap()[0].0.to_string(),
            )
            .unwrap(),
    )
    .unwrap();
    assert_eq!(copied["original"], id.to_string());
    assert_eq!(copied["delete"]["After"], "2030-01-01T00:00:00+01:00");
    assert_eq!(copied["summary"]["command"], "rustic backup");

    world.write("source/new", "new");
    back_up(&repository, &world.path("source"));
    world.is_whole("rustic");
}

#[test]
fn an_index_counts_though_another_one_says_that_it_supersedes_it() {
    let world = World::new();
    rustic(&world);
    let path = world.path("rustic");
    let key = master_key(&path, "rustic");
    let id = |byte: &str| byte.repeat(64);
    let blob = json!({"id": id("b"), "type": "data", "offset": 0, "length": 40});
    let stale = json!({"packs": [{"id": id("a"), "blobs": [blob]}]});
    let sealed = unpacked::seal(&key, 2, stale.to_string().as_bytes()).unwrap();
    let stale = BlobId::of(&sealed).to_string();
    rewrite(&path, &key, "index", |index| {
        index["supersedes"] = json!([stale])
    });
    fs::write(path.join("index").join(&stale), sealed).unwrap();
    let kind = copal_repository::format::BlobKind::Data;
    let blob = id("b").parse().unwrap();
    assert!(world.open("rustic").has(kind, &blob).unwrap());
}
