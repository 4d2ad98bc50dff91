//! What is damaged is refused or reported, and named.

use std::fs;
use std::path::PathBuf;

use copal_repository::{Error, ErrorKind};

use crate::fixture::{World, back_up, files, noise};

/// A repository with two snapshots, each in a pack of data and one of trees.
fn world() -> World {
    let world = World::new();
    world.write("source/file", noise(1, 1 << 20));
    let repository = world.init("r");
    back_up(&repository, &world.path("source"));
    world.write("source/other", noise(2, 1 << 20));
    back_up(&repository, &world.path("source"));
    world
}

/// Opens the repository and reads all it holds.
fn read_all(world: &World) -> Result<(), Error> {
    let repository = world.try_open("r", "r")?;
    repository.load_index()?;
    for (_, snapshot) in repository.snapshots()? {
        copal_repository::walk::walk(&repository, &snapshot.tree, &mut |_, node| {
            if node.subtree.is_none() {
                copal_repository::walk::dump(&repository, node, &mut std::io::sink())?;
            }
            Ok(copal_repository::walk::Next::Continue)
        })?;
    }
    Ok(())
}

#[test]
fn a_file_that_is_truncated_emptied_altered_or_another_one_is_named() {
    let world = world();
    read_all(&world).unwrap();
    let mut victims = vec![world.path("r/config")];
    for directory in ["keys", "index", "snapshots", "data"] {
        victims.extend(files(&world.path("r").join(directory)));
    }
    assert!(victims.len() >= 10, "{victims:?}");
    for victim in victims {
        let whole = fs::read(&victim).unwrap();
        let name = victim.file_name().unwrap().to_str().unwrap();
        let altered = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        };
        let damages = [
            whole[..whole.len() / 2].to_vec(),
            Vec::new(),
            altered(whole.len() / 2),
            altered(3),
            b"something else, and not even encrypted; of some length, though".to_vec(),
        ];
        for (index, damage) in damages.into_iter().enumerate() {
            fs::write(&victim, damage).unwrap();
            let error = read_all(&world).unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::Corrupt,
                "{victim:?} {index}: {error}"
            );
            assert!(
                error.to_string().contains(name),
                "{victim:?} {index}: {error}"
            );
        }
        fs::write(&victim, whole).unwrap();
    }
    read_all(&world).unwrap();
}

#[test]
fn a_damaged_snapshot_does_not_hide_the_others() {
    let world = world();
    let snapshots = files(&world.path("r/snapshots"));
    let whole: Vec<_> = snapshots
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    // The one under the other's name: authentic, but not what its name says.
    fs::write(&snapshots[0], &whole[1]).unwrap();
    let repository = world.open("r");
    let readable = repository.readable_snapshots().unwrap();
    let damaged = readable.damaged;
    assert_eq!((readable.snapshots.len(), damaged.len()), (1, 1));
    let name = snapshots[0].file_name().unwrap().to_str().unwrap();
    assert!(damaged[0].to_string().contains(name), "{}", damaged[0]);
    assert_eq!(
        repository.snapshots().unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}

#[test]
fn a_repository_without_its_config_or_its_keys_says_what_is_missing() {
    let world = world();
    let config = world.path("r/config");
    let aside = world.path("aside");
    fs::rename(&config, &aside).unwrap();
    let error = world.try_open("r", "r").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("no file `config`"), "{error}");
    fs::rename(&aside, &config).unwrap();

    let keys: Vec<PathBuf> = files(&world.path("r/keys"));
    fs::remove_file(&keys[0]).unwrap();
    let error = world.try_open("r", "r").unwrap_err();
    assert!(error.to_string().contains("no keys"), "{error}");
}

#[test]
fn a_version_that_is_not_known_is_refused() {
    use copal_repository::format::crypto::Key;
    use copal_repository::format::key::KeyFile;
    let world = world();
    let file = fs::read(&files(&world.path("r/keys"))[0]).unwrap();
    let secrets = KeyFile::decode(&file).unwrap().open(b"r").unwrap().unwrap();
    let key = Key::new(&secrets).unwrap();
    let config = world.path("r/config");
    let json = key.open(&fs::read(&config).unwrap()).unwrap();
    let json = String::from_utf8(json)
        .unwrap()
        .replace("\"version\":2", "\"version\":3");
    let mut sealed = Vec::new();
    key.seal(json.as_bytes(), &mut sealed).unwrap();
    fs::write(&config, sealed).unwrap();
    let error = world.try_open("r", "r").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("version 3"), "{error}");
}
