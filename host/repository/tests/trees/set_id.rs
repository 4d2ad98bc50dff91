//! Programs that run as their owner: those of the snapshot come back, and a pass can make none.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use copal_repository::format::tree::Node;
use copal_repository::pass::{Change, Owner, Verdict};

use crate::fixture::{Place, Rules};

/// A program that runs as its owner, one that runs as anybody, and a directory whose group all that is made in it gets.
fn sample() -> Place {
    let place = Place::new();
    for (name, mode) in [("owner's", 0o4755), ("anybody's", 0o755)] {
        let path = place.write(name, "program");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(place.path("source/shared")).unwrap();
    place
}

fn restored(place: &Place, change: fn(&Node) -> Change) -> [u32; 3] {
    let archived = place.archive(None, None);
    let rules = Rules {
        classify: move |_: &[u8], node: &Node| Verdict::Change(change(node)),
        transform: |_: &[u8], chunk: Option<&[u8]>| Ok(chunk.unwrap_or_default().to_vec()),
        calls: Default::default(),
    };
    let summary = place.restore(archived.tree, Some(&rules.leak()));
    assert_eq!(summary.errors, []);
    ["owner's", "anybody's", "shared"].map(|name| {
        let found = fs::metadata(place.path("target").join(name)).unwrap();
        found.mode() & 0o7777
    })
}

#[test]
fn a_pass_gives_no_file_the_bits_that_it_has_not() {
    let change = |_: &Node| Change {
        mode: Some(0o6755),
        ..Default::default()
    };
    assert_eq!(restored(&sample(), change), [0o4755, 0o755, 0o6755]);
}

#[test]
fn what_a_pass_gives_other_content_runs_as_nobody_else() {
    let change = |_: &Node| Change {
        filter: true,
        ..Default::default()
    };
    assert_eq!(restored(&sample(), change)[..2], [0o755, 0o755]);
}

#[test]
fn what_a_pass_gives_another_owner_runs_as_nobody_else() {
    let place = sample();
    let own = fs::metadata(place.path("source/owner's")).unwrap();
    if own.uid() == 0 {
        chown(place.path("source/owner's"), Some(12_345), Some(12_345)).unwrap();
        let mode = fs::Permissions::from_mode(0o4755);
        fs::set_permissions(place.path("source/owner's"), mode).unwrap();
    }
    let change = |node: &Node| Change {
        mode: Some(node.mode),
        owner: Some(Owner {
            user: "root".into(),
            group: "root".into(),
            ..Owner::default()
        }),
        ..Default::default()
    };
    assert_eq!(restored(&place, change)[0], 0o755);
    // The same owner in so many words is no other.
    let place = sample();
    let change = |node: &Node| Change {
        owner: Some(Owner {
            uid: node.uid,
            gid: node.gid,
            user: node.user.clone(),
            group: node.group.clone(),
        }),
        ..Default::default()
    };
    assert_eq!(restored(&place, change)[0], 0o4755);
}
