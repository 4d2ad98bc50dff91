//! The fuzz targets without a fuzzer: what one has found so far, which `cargo fuzz` keeps in `fuzz/corpus`, and a bounded run over damaged copies of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells what it tried"
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
    let copies = match target {
        // What is still WebAssembly is compiled.
        "component" => 500,
        _ => 5_000,
    };
    copies * if programs::may_take_long() { 40 } else { 1 }
}

/// What the corpus of a target holds, by the names of the files. What begins with `bad-` is not what it is read as.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let files = fs::read_dir(directory.join(target)).unwrap();
    let read = |file: fs::DirEntry| {
        let name = file.file_name().into_string().unwrap();
        (name, fs::read(file.path()).unwrap())
    };
    let mut corpus: Vec<_> = files.map(|file| read(file.unwrap())).collect();
    corpus.sort();
    corpus
}

#[test]
fn nothing_in_the_corpora_breaks_what_must_hold() {
    let mut wrong = Vec::new();
    for (name, target) in fuzz::TARGETS {
        let corpus = corpus(name);
        let good = |(file, _): &&(String, _)| !file.starts_with("bad-");
        assert!(
            corpus.iter().any(|seed| good(&seed)),
            "{name}: nothing proves anything"
        );
        for seed @ (file, bytes) in &corpus {
            let outcome = catch_unwind(|| target(bytes));
            if outcome.as_ref().ok() != Some(&good(&seed)) {
                wrong.push(format!("{name}/{file}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
    let targets = fs::read_dir(targets).unwrap();
    assert_eq!(targets.count(), fuzz::TARGETS.len());
}

/// Changes a few places: a byte, a stretch that is left out or doubled, or one out of another file.
fn damage(bytes: &mut Vec<u8>, other: &[u8], random: &mut StdRng) {
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=bytes.len());
        let end = bytes.len().min(at + random.random_range(1..16));
        match random.random_range(0..8) {
            0..4 if at < bytes.len() => bytes[at] = random.random(),
            4 => bytes.insert(at, random.random()),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let doubled = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, doubled));
            }
            _ => {
                let from = random.random_range(0..=other.len());
                let to = other.len().min(from + random.random_range(1..64));
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
}

#[test]
fn nothing_that_is_damaged_breaks_what_must_hold() {
    for (name, target) in fuzz::TARGETS {
        let corpus = corpus(name);
        let mut random = StdRng::seed_from_u64(1);
        let mut good = 0;
        for _ in 0..damaged_copies(name) {
            let [one, other] = [(); 2].map(|()| &corpus[random.random_range(0..corpus.len())].1);
            let mut bytes = one.clone();
            damage(&mut bytes, other, &mut random);
            match catch_unwind(|| target(&bytes)) {
                Ok(read) => good += usize::from(read),
                Err(_) => panic!("{name}: \"{}\"", bytes.escape_ascii()),
            }
        }
        println!(
            "{name}: {good} of {} are still what they are read as",
            damaged_copies(name)
        );
        assert!(
            good > 0,
            "{name}: all that is damaged is refused, which proves nothing"
        );
    }
}
