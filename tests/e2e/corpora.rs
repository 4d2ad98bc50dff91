//! The fuzz targets without a fuzzer: what one has found so far, which `cargo fuzz` keeps in `fuzz/corpus`, and a bounded run over damaged copies of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use copal_tests::programs;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is a library of its own")]
mod fuzz;

/// How many damaged copies one target takes.
fn damaged_copies(target: &str) -> usize {
    match (programs::may_take_long(), target) {
        (true, _) => 200_000,
        // What is still WebAssembly is compiled.
        (false, "component") => 500,
        (false, _) => 5_000,
    }
}

/// What the corpus of a target holds, by the names of the files.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let files = fs::read_dir(directory.join(target)).unwrap();
    let read = |file: fs::DirEntry| {
        let name = file.file_name().into_string().unwrap();
        (name, fs::read(file.path()).unwrap())
    };
    let mut corpus: Vec<_> = files.map(|file| read(file.unwrap())).collect();
    corpus.sort();
    let few = "too few to prove anything";
    assert!(corpus.len() > 3, "{target}: {} are {few}", corpus.len());
    corpus
}

#[test]
fn nothing_in_the_corpora_breaks_what_must_hold() {
    for (name, target) in fuzz::TARGETS {
        for (file, bytes) in corpus(name) {
            assert!(catch_unwind(|| target(&bytes)).is_ok(), "{name}/{file}");
        }
    }
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
    let targets = fs::read_dir(targets).unwrap();
    assert_eq!(targets.count(), fuzz::TARGETS.len());
}

/// Changes a few places: a byte, a stretch that is left out or doubled, or one out of another file.
fn damage(bytes: &mut Vec<u8>, other: &[u8], random: &mut StdRng) {
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=bytes.len());
        let end = bytes.len().min(at + random.random_range(1..16));
        match random.random_range(0..5) {
            0 => bytes.insert(at, random.random()),
            1 if at < bytes.len() => bytes[at] = random.random(),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.extend_from_within(at..end),
            _ => {
                let from = random.random_range(0..=other.len());
                let to = other.len().min(from + random.random_range(1..64));
                bytes.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
}

#[test]
fn nothing_that_is_damaged_breaks_what_must_hold() {
    for (name, target) in fuzz::TARGETS {
        let corpus = corpus(name);
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..damaged_copies(name) {
            let [one, other] = [(); 2].map(|()| &corpus[random.random_range(0..corpus.len())].1);
            let mut bytes = one.clone();
            damage(&mut bytes, other, &mut random);
            let outcome = catch_unwind(|| target(&bytes));
            assert!(outcome.is_ok(), "{name}: \"{}\"", bytes.escape_ascii());
        }
    }
}
