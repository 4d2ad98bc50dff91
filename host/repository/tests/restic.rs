//! Interoperation with restic itself: it opens and proves what we write, we read and rewrite what it writes.
//!
//! Where no `restic` is installed the tests say so and are skipped; where `CI` is set they fail.

#![allow(clippy::unwrap_used)] // Clippy takes only functions marked as tests for tests.

use std::path::Path;
use std::process::Command;

use copal_repository::checker::{CheckOptions, check};
use copal_repository::forget::RetentionPolicy;
use copal_repository::format::key::ScryptCost;
use copal_repository::format::snapshot::Snapshot;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::format::{BlobKind, Timestamp};
use copal_repository::progress::Silent;
use copal_repository::{
    BlobId, ErrorKind, InitOptions, LockMode, Password, Repository, TreeId, WriterOptions,
};
use copal_tests::sample::noise;
use tokio::runtime::Runtime;

const PASSWORD: &str = "correct horse";

fn have_restic() -> bool {
    copal_tests::programs::require("restic", "restic").is_some()
}

/// Runs restic on `repository` and gives its output.
fn restic(repository: &Path, arguments: &[&str]) -> String {
    let output = Command::new("restic")
        .arg("--repo")
        .arg(repository)
        .arg("--no-cache")
        .args(arguments)
        .env("RESTIC_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "restic {arguments:?}: {out}{err}");
    out.into_owned()
}

fn init(directory: &Path, runtime: &Runtime) -> Repository {
    let store = copal_storage::open(directory.to_str().unwrap()).unwrap();
    let options = InitOptions {
        scrypt: ScryptCost {
            log_n: 10,
            r: 8,
            p: 1,
        },
        polynomial: None,
    };
    Repository::init(
        store,
        runtime.handle().clone(),
        &Password::new(PASSWORD),
        &options,
    )
    .unwrap()
}

fn open(directory: &Path, runtime: &Runtime) -> Repository {
    let store = copal_storage::open(directory.to_str().unwrap()).unwrap();
    Repository::open(store, runtime.handle().clone(), &Password::new(PASSWORD)).unwrap()
}

/// Stores `contents` as one file of a snapshot.
fn back_up(repository: &Repository, contents: &[u8]) -> TreeId {
    let writer = repository
        .writer(WriterOptions {
            pack_size: 4 << 20,
            ..WriterOptions::default()
        })
        .unwrap();
    let mut splitter = repository.chunker().splitter();
    let mut node = Node::new("file.bin", NodeKind::File);
    let mut rest = contents;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(splitter.next(rest).unwrap_or(rest.len()));
        node.content
            .push(writer.store(BlobKind::Data, chunk).unwrap().id);
        rest = after;
    }
    node.size = contents.len() as u64;
    node.mode = 0o600;
    let tree = writer
        .store(BlobKind::Tree, &Tree { nodes: vec![node] }.encode())
        .unwrap()
        .id
        .into();
    writer.finish().unwrap();
    let mut snapshot = Snapshot::new(Timestamp::now(), tree);
    snapshot.paths = vec!["/here".into()];
    snapshot.hostname = "test".into();
    repository.save_snapshot(&snapshot).unwrap();
    tree
}

#[test]
fn restic_proves_and_restores_what_we_write_and_may_go_on_with_it() {
    if !have_restic() {
        return;
    }
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("repository");
    let repository = init(&path, &runtime);
    let contents = [noise(1, 20 << 20), b"all work and no play ".repeat(200_000)].concat();
    let guard = repository.lock(LockMode::Write).unwrap();
    back_up(&repository, &contents);
    assert_eq!(
        restic(&path, &["list", "locks", "--no-lock"])
            .lines()
            .count(),
        1
    );
    drop(guard);
    restic(&path, &["check", "--read-data"]);
    restic(
        &path,
        &[
            "restore",
            "latest",
            "--target",
            directory.path().join("out").to_str().unwrap(),
        ],
    );
    assert!(std::fs::read(directory.path().join("out/file.bin")).unwrap() == contents);

    std::fs::write(directory.path().join("file.bin"), &contents).unwrap();
    let json = restic(
        &path,
        &[
            "backup",
            "--json",
            directory.path().join("file.bin").to_str().unwrap(),
        ],
    );
    let summary: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!(summary["data_blobs"], 0, "the same chunks: {json}");
    restic(&path, &["forget", "--prune", "--keep-last", "1"]);
    restic(&path, &["check", "--read-data"]);
    let report = check(&open(&path, &runtime), CheckOptions::ALL, &Silent).unwrap();
    assert_eq!(report.errors, [""; 0]);
}

#[test]
fn trees_and_chunks_that_restic_wrote_are_ours_byte_for_byte() {
    use std::os::unix::ffi::OsStrExt as _;
    if !have_restic() {
        return;
    }
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("source");
    std::fs::create_dir(&source).unwrap();
    // Blocks with characters of every category, none of which is newer than restic 0.14's Unicode 13.
    let blocks = [
        1..0x61d,
        0x2000..0x2070,
        0x3000..0x3100,
        0xd7ff..0xe010,
        0xff00..0x10000,
        0x1f600..0x1f650,
        0xe0000..0xe0200,
    ];
    for char in blocks
        .into_iter()
        .flatten()
        .filter_map(char::from_u32)
        .filter(|&char| char != '/')
    {
        std::fs::write(source.join(format!("{:x}-{char}", u32::from(char))), []).unwrap();
    }
    std::fs::write(
        source.join(std::ffi::OsStr::from_bytes(b"raw \xff\xfe\\\"")),
        b"x",
    )
    .unwrap();
    std::os::unix::fs::symlink("a<b>&\u{2028}\n\t", source.join("link")).unwrap();
    std::fs::create_dir(source.join("empty")).unwrap();
    let contents = noise(2, 30 << 20);
    std::fs::write(source.join("file.bin"), &contents).unwrap();

    for version in ["1", "2"] {
        let path = directory.path().join(version);
        restic(&path, &["init", "--repository-version", version]);
        restic(&path, &["backup", source.to_str().unwrap()]);
        let repository = open(&path, &runtime);
        let (_, snapshot) = repository.snapshot("latest").unwrap();
        let mut trees = vec![snapshot.tree];
        let mut file = None;
        while let Some(id) = trees.pop() {
            let tree = repository.load_tree(&id).unwrap();
            assert_eq!(TreeId::of(&tree.encode()), id);
            trees.extend(tree.nodes.iter().filter_map(|node| node.subtree));
            file = tree
                .nodes
                .into_iter()
                .find(|node| node.name == b"file.bin")
                .or(file);
        }
        let mut splitter = repository.chunker().splitter();
        let (mut ids, mut rest) = (Vec::new(), contents.as_slice());
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(splitter.next(rest).unwrap_or(rest.len()));
            ids.push(BlobId::of(chunk));
            rest = after;
        }
        assert_eq!(file.unwrap().content, ids);

        back_up(&repository, &contents);
        restic(&path, &["check", "--read-data"]);
        let report = check(&open(&path, &runtime), CheckOptions::ALL, &Silent).unwrap();
        assert_eq!(report.errors, [""; 0]);
        assert_eq!(report.snapshots, 2);
    }
}

#[test]
fn locks_of_restic_s_kind_exclude_and_are_excluded() {
    if !have_restic() {
        return;
    }
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("repository");
    let repository = init(&path, &runtime);
    let reader = repository.lock(LockMode::Read).unwrap();
    let writer = repository.lock(LockMode::Write).unwrap();
    let error = repository.lock(LockMode::Exclusive).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(
        error
            .to_string()
            .contains(&format!("process {}", std::process::id())),
        "{error}"
    );
    let prune = Command::new("restic")
        .arg("--repo")
        .arg(&path)
        .args(["--no-cache", "prune"])
        .env("RESTIC_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    assert!(!prune.status.success(), "prune must not run beside us");
    drop((reader, writer));
    let exclusive = repository.lock(LockMode::Exclusive).unwrap();
    assert_eq!(
        repository.lock(LockMode::Read).unwrap_err().kind(),
        ErrorKind::Locked
    );
    drop(exclusive);
    restic(&path, &["prune"]);
    restic(&path, &["unlock"]);
}

/// Runs of snapshots, hours, days and weeks apart, by clocks of several places.
fn history(seed: u64) -> Vec<Snapshot> {
    let mut state = seed | 1;
    let mut below = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    let mut seconds = Timestamp::now().seconds;
    let snapshot = |index: usize| {
        let gap = [900, 7_200, 100_000, 900_000, 9_000_000][index / 20];
        seconds -= 1 + below(gap).cast_signed();
        let time = Timestamp {
            seconds,
            nanoseconds: below(1_000_000_000) as u32,
            offset_minutes: [0, 60, -300, 345][below(4) as usize],
        };
        let tags = ["a", "b"].into_iter().filter(|_| below(3) == 0);
        let tags = tags.map(str::to_owned).collect();
        Snapshot {
            tags,
            ..Snapshot::new(time, TreeId([0; 32]))
        }
    };
    (0..100).map(snapshot).collect()
}

#[test]
fn restic_would_forget_the_same_snapshots() {
    if !have_restic() {
        return;
    }
    let version = Command::new("restic").arg("version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let minor = version.split('.').nth(1).unwrap().parse::<u32>().unwrap();
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let repository = init(directory.path(), &runtime);
    for snapshot in history(Timestamp::now().seconds.unsigned_abs()) {
        repository.save_snapshot(&snapshot).unwrap();
    }
    let snapshots = repository.snapshots().unwrap();
    for rules in [
        &[("keep-last", "3")][..],
        &[
            ("keep-hourly", "24"),
            ("keep-daily", "7"),
            ("keep-weekly", "4"),
        ],
        &[
            ("keep-daily", "200"),
            ("keep-monthly", "12"),
            ("keep-yearly", "75"),
        ],
        &[("keep-within", "1d"), ("keep-monthly", "3")],
        &[("keep-within", "1m3d7h"), ("keep-within-weekly", "2m")],
        &[
            ("keep-within-hourly", "40h"),
            ("keep-within-daily", "3m"),
            ("keep-within-monthly", "1y"),
            ("keep-within-yearly", "5y1m"),
        ],
        &[("keep-tag", "a,b"), ("keep-last", "1")],
    ] {
        let mut json = serde_json::Map::new();
        let mut arguments = vec!["forget", "--dry-run", "--json", "--group-by", ""];
        let flags: Vec<_> = rules
            .iter()
            .map(|(rule, value)| format!("--{rule}={value}"))
            .collect();
        arguments.extend(flags.iter().map(String::as_str));
        for (rule, value) in rules {
            let value = match value.parse::<u32>() {
                Ok(number) => number.into(),
                Err(_) if *rule == "keep-tag" => vec![*value].into(),
                Err(_) => serde_json::Value::from(*value),
            };
            json.insert((*rule).to_owned(), value);
        }
        let policy: RetentionPolicy = serde_json::from_value(json.into()).unwrap();
        let mut decisions = policy.apply(&snapshots, Timestamp::now());
        if minor < 16 {
            // Before 0.16, restic did not keep the oldest of too few.
            for decision in &mut decisions {
                decision
                    .reasons
                    .retain(|reason| !reason.starts_with("oldest"));
            }
        }
        let output = restic(directory.path(), &arguments);
        let groups: serde_json::Value =
            serde_json::from_str(output.lines().next().unwrap()).unwrap();
        for (list, kept) in [("keep", true), ("remove", false)] {
            let restics = groups[0][list].as_array().map_or(&[][..], Vec::as_slice);
            let restics: Vec<_> = restics
                .iter()
                .map(|snapshot| snapshot["id"].as_str().unwrap())
                .collect();
            let ours = decisions
                .iter()
                .filter(|decision| decision.is_kept() == kept);
            let ours: Vec<_> = ours.map(|decision| decision.id.to_string()).collect();
            assert_eq!(ours, restics, "{list} {rules:?}");
        }
        let reasons = groups[0]["reasons"].as_array().unwrap();
        for (decision, restics) in decisions
            .iter()
            .filter(|decision| decision.is_kept())
            .zip(reasons)
        {
            let restics = restics["matches"].as_array().unwrap().len();
            assert_eq!(decision.reasons.len(), restics, "{rules:?} {decision:?}");
        }
    }
}
