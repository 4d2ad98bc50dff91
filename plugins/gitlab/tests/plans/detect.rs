//! Which directories are recognised.

use copal_plugin_gitlab::Gitlab;
use copal_sdk::testing::{FakeProbe, MemoryTree, check_description};
use copal_sdk::{Detection, Plugin};

use crate::support::*;
use crate::volume::{omnibus_volume, sameersbn_volume};

fn detect(tree: &MemoryTree) -> Option<Detection> {
    Gitlab::detect(tree, &FakeProbe::new()).unwrap()
}

#[test]
fn the_description_keeps_the_contract() {
    check_description::<Gitlab>();
}

#[test]
fn each_kind_of_source_is_recognised() {
    for (tree, root, version) in [
        (backups(), "backups", Some("15.1.0")),
        (sameersbn_volume(), "data", Some("13.0.6")),
        (omnibus_volume(), "data", Some("17.2.1-ee")),
        (
            MemoryTree::new("x")
                .file("gitlab.rb", "")
                .file("gitlab-secrets.json", "{}"),
            "config",
            None,
        ),
    ] {
        let detection = detect(&tree).unwrap();
        assert_eq!(detection.root, root);
        assert_eq!(detection.version.as_deref(), version);
        assert!(detection.confidence >= 80 && !detection.because.is_empty());
    }
}

#[test]
fn other_directories_are_not() {
    for tree in [
        MemoryTree::new("x"),
        MemoryTree::new("x").file("repositories/a", ""),
        MemoryTree::new("x").file("gitlab.rb", ""),
        MemoryTree::new("x").file("a.tar", ""),
    ] {
        assert_eq!(detect(&tree), None);
    }
}
