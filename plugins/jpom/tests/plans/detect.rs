//! Recognising a Jpom.

use copal_plugin_jpom::Jpom;
use copal_sdk::testing::{FakeProbe, MemoryTree, check_description};
use copal_sdk::{Detection, Plugin};

use crate::support::{ID, database, docker, install, plain, used};

fn detect(tree: &MemoryTree) -> Option<Detection> {
    Jpom::detect(tree, &FakeProbe::new()).unwrap()
}

#[test]
fn the_description_is_what_the_host_demands() {
    check_description::<Jpom>();
}

#[test]
fn both_layouts_are_recognised_as_homes() {
    for tree in [docker(), plain()] {
        let detection = detect(&tree).unwrap();
        assert_eq!(
            (detection.root.as_str(), detection.confidence),
            ("home", 95)
        );
    }
    let detection = detect(&used(docker())).unwrap();
    assert_eq!(
        (detection.version.as_deref(), detection.confidence),
        (Some("2.11.12"), 100)
    );
    assert_eq!(detection.because.len(), 4);
}

#[test]
fn a_data_folder_alone_is_recognised_as_the_root_data() {
    let tree = MemoryTree::new("any")
        .file("db/Server.mv.db", database(2, false))
        .file("data/INSTALL.json", install(ID));
    assert_eq!(detect(&tree).unwrap().root, "data");
}

#[test]
fn other_directories_are_not_a_jpom() {
    for tree in [
        MemoryTree::new("any"),
        MemoryTree::new("any")
            .file("conf/application.yml", "server.port: 1")
            .directory("db"),
        MemoryTree::new("any").file("data/INSTALL.json", "{}"),
        MemoryTree::new("any").file("conf/application.yml", [0xff; 9]),
    ] {
        assert_eq!(
            detect(&tree).map(|detection| detection.confidence),
            None,
            "{:?}",
            tree.paths()
        );
    }
}
