use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::AtomicBool;

use copal_repository::comparer::{Comparison, compare};
use copal_repository::pass::{Change, Passes, Verdict};
use copal_repository::progress::Silent;
use copal_repository::{ErrorKind, TreeId};

use crate::fixture::{Place, noise, rich_tree, verdicts};

fn compared(place: &Place, tree: TreeId, passes: Option<&dyn Passes>) -> Comparison {
    let node = place.find(&tree, b"home");
    let target = place.path("target");
    let cancel = AtomicBool::new(false);
    compare(&place.repository, &node, &target, passes, &cancel, &Silent).unwrap()
}

fn different(comparison: &Comparison) -> Vec<&str> {
    let paths = comparison.differences.iter();
    let mut paths: Vec<_> = paths.map(|difference| difference.path.as_str()).collect();
    paths.sort_unstable();
    paths
}

#[test]
fn all_that_was_restored_agrees_with_its_snapshot() {
    let place = Place::new();
    rich_tree(&place.path("source"));
    let archived = place.archive(None, None);
    place.restore(archived.tree, None);
    let comparison = compared(&place, archived.tree, None);
    assert_eq!(comparison.different, 0, "{:?}", comparison.differences);
    let bytes = (20 << 20) + (9 << 20) + 200_000 * 14;
    assert!(
        comparison.files > 1500 && comparison.bytes > bytes,
        "{comparison:?}"
    );
    assert!(comparison.others > 15, "{comparison:?}");
}

#[test]
fn every_way_in_which_an_entry_can_differ_is_named() {
    let place = Place::new();
    for name in ["absent", "altered", "kind", "longer", "same", "shorter"] {
        place.write(name, noise(7, 3 << 20));
    }
    place.write("directory/inner", "x");
    symlink("here", place.path("source/link")).unwrap();
    let archived = place.archive(None, None);
    place.restore(archived.tree, None);
    let target = |name: &str| place.path("target").join(name);
    fs::remove_file(target("absent")).unwrap();
    let mut altered = noise(7, 3 << 20);
    altered[2 << 20] ^= 1;
    fs::write(target("altered"), altered).unwrap();
    fs::remove_file(target("kind")).unwrap();
    symlink("same", target("kind")).unwrap();
    fs::write(target("longer"), [noise(7, 3 << 20), vec![0]].concat()).unwrap();
    fs::write(target("shorter"), noise(7, (3 << 20) - 1)).unwrap();
    fs::remove_dir_all(target("directory")).unwrap();
    fs::write(target("directory"), "a file").unwrap();
    fs::remove_file(target("link")).unwrap();
    symlink("there", target("link")).unwrap();
    let comparison = compared(&place, archived.tree, None);
    let expected = [
        "absent",
        "altered",
        "directory",
        "kind",
        "link",
        "longer",
        "shorter",
    ];
    assert_eq!(different(&comparison), expected);
    assert_eq!((comparison.different, comparison.files), (7, 1));
}

#[test]
fn what_the_pass_decided_is_held_against_what_is_there() {
    let place = Place::new();
    for name in ["cache/a", "kept", "old", "rewritten", "secret"] {
        place.write(name, name);
    }
    let archived = place.archive(None, None);
    let rules = verdicts(|_, node| match node.name.as_slice() {
        b"cache" | b"secret" => Verdict::Skip,
        b"old" => Verdict::Change(Change {
            // The name of something that is left out.
            name: Some(b"secret".to_vec()),
            ..Change::default()
        }),
        b"rewritten" => Verdict::Change(Change {
            filter: true,
            ..Change::default()
        }),
        _ => Verdict::Keep,
    })
    .leak();
    place.restore(archived.tree, Some(&rules));
    fs::write(place.path("target/rewritten"), "by the pass").unwrap();
    let comparison = compared(&place, archived.tree, Some(&rules));
    assert_eq!(different(&comparison), [""; 0]);
    let Comparison {
        files,
        rewritten,
        left_out,
        ..
    } = comparison;
    assert_eq!((files, rewritten, left_out), (2, 1, 2));

    fs::create_dir(place.path("target/cache")).unwrap();
    fs::write(place.path("target/secret"), "not what was `old`").unwrap();
    fs::remove_file(place.path("target/rewritten")).unwrap();
    let comparison = compared(&place, archived.tree, Some(&rules));
    assert_eq!(different(&comparison), ["cache", "rewritten", "secret"]);
}

#[test]
fn a_comparison_ends_when_it_is_interrupted() {
    let place = Place::new();
    place.write("file", "content");
    let archived = place.archive(None, None);
    place.restore(archived.tree, None);
    let node = place.find(&archived.tree, b"home");
    let target = place.path("target");
    let cancel = AtomicBool::new(true);
    let error = compare(&place.repository, &node, &target, None, &cancel, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}
