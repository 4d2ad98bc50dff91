//! What the fuzz targets have found so far, without a fuzzer: `cargo fuzz` keeps its corpora in `fuzz/corpus`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Clippy takes only functions marked as tests for tests.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/src/lib.rs"]
#[allow(unreachable_pub)] // It is a library of its own.
mod fuzz;

#[test]
fn nothing_in_the_corpora_breaks_what_must_hold() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    for (name, target) in fuzz::TARGETS {
        let directory = fuzz.join("corpus").join(name);
        let files = fs::read_dir(&directory).unwrap();
        let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(
            files.len() > 3,
            "{name}: {} are too few to prove anything",
            files.len()
        );
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let outcome = std::panic::catch_unwind(|| target(&bytes));
            assert!(outcome.is_ok(), "{}", file.display());
        }
    }
    let targets = fs::read_dir(fuzz.join("fuzz_targets")).unwrap();
    assert_eq!(targets.count(), fuzz::TARGETS.len());
}
