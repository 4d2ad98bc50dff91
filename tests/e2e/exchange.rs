//! Repositories among others: copies, keys, what lies in them, stores that keep everything, and several writers at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use copal_tests::environment::PASSWORD;
use copal_tests::restic::Restic;
use copal_tests::s3::{Kept, S3Server};
use copal_tests::{Program, TestEnvironment, sample, tree};
use rustix::process::Signal;
use serde_json::Value;

/// A repository with one snapshot of a simple tree, and that tree's path.
fn backed_up() -> (TestEnvironment, PathBuf) {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    environment
        .backup("files", &source, "--tag one")
        .run()
        .succeeds();
    (environment, source)
}

/// `copal` in another environment, with this one's repository to take from.
fn from(environment: &TestEnvironment, program: Program) -> Program {
    program
        .env("COPAL_FROM_REPOSITORY", environment.repository())
        .env("COPAL_FROM_PASSWORD", PASSWORD)
}

/// All files beneath a directory, with their sizes.
fn files(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => {
                // One that is being written is renamed in the end.
                let size = path.metadata().map_or(0, |metadata| metadata.len());
                files.push((path, size));
            }
        }
    }
    files
}

fn states(report: &Value) -> Vec<&str> {
    let snapshots = report["report"]["snapshots"].as_array().unwrap();
    let states = snapshots
        .iter()
        .map(|snapshot| snapshot["state"].as_str().unwrap());
    states.collect()
}

#[test]
fn snapshots_go_into_a_repository_with_another_password_on_other_storage() {
    let (environment, source) = backed_up();
    environment
        .backup("files", &source, "--tag two")
        .run()
        .succeeds();
    let place = TestEnvironment::new();
    let server = S3Server::start(&place.path("objects"));
    let other = server.environment();
    let password = other.write("password", "something else\n");
    let copal = |arguments: &str| {
        let program = other
            .copal(arguments.split(' '))
            .arg("--password-file")
            .arg(&password);
        from(&environment, program)
    };
    copal("init --copy-chunker-params").run().succeeds();

    let planned = copal("copy --dry-run --json").run().succeeds().json();
    assert_eq!(states(&planned), ["planned", "planned"], "{planned:#}");
    let one = copal("copy --tag one --json").run().succeeds().json();
    assert_eq!(states(&one), ["copied"]);
    assert_eq!(one["report"]["same_chunks"], true);
    let all = copal("copy --json").run().succeeds().json();
    assert_eq!(states(&all), ["present", "copied"]);
    let text = copal("copy latest").run().succeeds().text();
    assert!(text.contains("0 snapshots copied, 1 were there"), "{text}");
    other.refused(copal("copy 0000000"), 1).is("not-found");

    let target = environment.path("target");
    let restore = other
        .restore(&target, "")
        .arg("--password-file")
        .arg(&password);
    restore.run().succeeds();
    tree::assert_same(&source, &target);
    if let Some(restic) = Restic::find(&other) {
        let check = restic.command(["check", "--read-data"]);
        check
            .env("RESTIC_PASSWORD", "something else")
            .run()
            .succeeds();
        let copy = restic.command(["copy", "--from-repo", environment.repository()]);
        let copy = copy.env("RESTIC_FROM_PASSWORD", PASSWORD);
        copy.env("RESTIC_PASSWORD", "something else")
            .run()
            .succeeds();
    }
    let snapshots = copal("snapshots --json").run().succeeds().json();
    assert_eq!(
        snapshots.as_array().unwrap().len(),
        2,
        "restic copied what was copied"
    );

    let bare = other.copal(["copy"]).arg("--password-file").arg(&password);
    other.refused(bare, 1).is("usage").says("--from-repo");
    let wrong = copal("copy").env("COPAL_FROM_PASSWORD", "wrong");
    other.refused(wrong, 12).says(environment.repository());
    let alone = other.copal(["init", "--from-repo", "/nowhere"]);
    other.refused(alone, 2).says("--copy-chunker-params");
}

#[test]
fn the_repository_of_a_job_is_copied_from_with_its_own_password() {
    let (environment, _) = backed_up();
    let other = TestEnvironment::new();
    other.copal(["init"]).run().succeeds();
    other.write("password", PASSWORD);
    let file = format!(
        "[jobs.there]\nplugin = \"files\"\nrepository = {{ url = \"{}\", password = {{ file = \"password\" }} }}\n",
        environment.repository()
    );
    other.write("copal.toml", file);
    let report = other
        .copal(["copy", "--from-job", "there", "--json"])
        .run()
        .succeeds()
        .json();
    assert_eq!(states(&report), ["copied"]);
    let text = other
        .copal(["copy", "--from-job", "there"])
        .run()
        .succeeds()
        .text();
    assert!(text.contains("1 were there"), "{text}");
}

#[test]
fn a_damaged_part_is_named_and_the_rest_is_copied() {
    let (environment, source) = backed_up();
    let data = Path::new(environment.repository()).join("data");
    let (path, _) = files(&data)
        .into_iter()
        .max_by_key(|(_, size)| *size)
        .unwrap();
    std::fs::write(source.join("later"), "and what was there").unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let other = TestEnvironment::new();
    other.copal(["init"]).run().succeeds();
    let outcome = from(&environment, other.copal(["copy"])).run().exits(3);
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(outcome.text().contains(name), "{}", outcome.text());
    assert!(other.snapshots().is_empty());
}

#[test]
fn keys_are_added_listed_changed_and_removed() {
    let (environment, _) = backed_up();
    let with = |password: &str, arguments: &[&str]| {
        environment.copal(arguments).env("COPAL_PASSWORD", password)
    };
    let list = |password: &str| {
        with(password, &["key", "list", "--json"])
            .run()
            .succeeds()
            .json()
    };
    let second = environment.write("second", "second\n");
    let file = second.to_str().unwrap();
    let add = [
        "key",
        "add",
        "--user",
        "eve",
        "--host",
        "desk",
        "--new-password-file",
        file,
    ];
    let dry = [&add[..], &["--dry-run"]].concat();
    with(PASSWORD, &dry).run().succeeds();
    assert_eq!(list(PASSWORD).as_array().unwrap().len(), 1);
    let added = with(PASSWORD, &[&add[..], &["--json"]].concat())
        .run()
        .succeeds()
        .json();
    let id = added["key"]["id"].as_str().unwrap();
    assert_eq!(added["key"]["username"], "eve");

    let keys = list("second");
    let current = keys
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["current"] == true);
    assert_eq!(current.unwrap()["id"], id);
    let text = with("second", &["key", "list"]).run().succeeds().text();
    assert!(text.contains("eve") && text.contains("desk"), "{text}");

    environment
        .refused(with("second", &["key", "remove", &id[..8]]), 1)
        .is("key-in-use");
    environment
        .refused(with(PASSWORD, &["key", "add"]), 1)
        .is("password")
        .says("--new-password-file");
    let absent = ["key", "add", "--new-password-file", "absent"];
    environment
        .refused(with(PASSWORD, &absent), 1)
        .says("can't read the file absent");

    let passwd = ["key", "passwd", "--new-password-command", "echo third"];
    let text = with("second", &passwd).run().succeeds().text();
    assert!(text.contains("eve@desk"), "{text}");
    environment
        .refused(with("second", &["key", "list"]), 12)
        .is("wrong-password");
    let keys = list("third");
    let current = keys
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["current"] == true);
    let current = current.unwrap()["id"].as_str().unwrap();
    assert_ne!(current, id);
    if let Some(restic) = Restic::find(&environment) {
        restic
            .command(["check"])
            .env("RESTIC_PASSWORD", "third")
            .run()
            .succeeds();
    }

    with(PASSWORD, &["key", "remove", current, "--dry-run"])
        .run()
        .succeeds();
    with("third", &["snapshots"]).run().succeeds();
    with(PASSWORD, &["key", "remove", current]).run().succeeds();
    environment
        .refused(with("third", &["snapshots"]), 12)
        .is("wrong-password");
    assert_eq!(list(PASSWORD).as_array().unwrap().len(), 1);

    let keys = Path::new(environment.repository()).join("keys");
    let damaged = keys.join("1".repeat(64));
    std::fs::write(damaged, "not a key").unwrap();
    environment
        .refused(with("third", &["snapshots"]), 12)
        .says("one key is damaged");
    let listed = with(PASSWORD, &["key", "list", "--json"]).run().exits(3);
    let keys = listed.json();
    let keys = keys.as_array().unwrap();
    let damaged = keys.iter().filter(|key| !key["damage"].is_null());
    assert_eq!((keys.len(), damaged.count()), (2, 1));
}

/// What both print, as far as both print it.
#[test]
fn what_lies_in_the_repository_is_printed_as_restic_prints_it() {
    let (environment, _) = backed_up();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    let first = |kind: &str| {
        let list = restic
            .command(["list", kind, "--no-lock"])
            .run()
            .succeeds()
            .text();
        list.lines().next().unwrap().to_owned()
    };
    let same_json = |words: &[&str]| {
        let ours = environment
            .copal(["cat"])
            .args(words)
            .run()
            .succeeds()
            .json();
        let words = words.iter().filter(|word| **word != "--reveal");
        let theirs = restic.command(["cat"]).args(words).run().succeeds().json();
        // restic passes over fields that it does not know; ours are all there.
        for (field, value) in theirs.as_object().unwrap() {
            assert_eq!(&ours[field], value, "{field} of {ours:#}");
        }
    };
    same_json(&["config"]);
    same_json(&["snapshot", &first("snapshots")]);
    same_json(&["snapshot", &first("snapshots")[..8]]);
    same_json(&["index", &first("index")]);
    same_json(&["key", &first("keys")]);
    same_json(&["masterkey", "--reveal"]);
    environment
        .refused(environment.copal(["cat", "masterkey"]), 2)
        .is("arguments")
        .says("--reveal");

    let [pack, blob] = ["packs", "blobs"].map(first);
    let blob = blob.split(' ').nth(1).unwrap();
    for words in [["pack", &pack], ["blob", blob]] {
        let ours = environment.copal(["cat"]).args(words).run().succeeds();
        let theirs = restic.command(["cat"]).args(words).run().succeeds();
        assert!(ours.stdout == theirs.stdout, "{words:?}");
    }

    let tree = environment
        .copal(["cat", "tree", "latest"])
        .run()
        .succeeds()
        .json();
    let names: Vec<_> = tree["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| &node["name"])
        .collect();
    let manifest = environment.manifest();
    let root = manifest["roots"][0]["name"].as_str().unwrap();
    assert_eq!(names, [".copal", root]);
    let folder = format!("latest:{root}/folder");
    let within = environment
        .copal(["cat", "tree", &folder])
        .run()
        .succeeds()
        .json();
    assert!(
        within["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|node| node["name"] == "b.txt")
    );
    environment
        .refused(environment.copal(["cat", "tree", "latest:none"]), 1)
        .is("not-found");
    environment
        .refused(environment.copal(["cat", "blob", "abc"]), 1)
        .is("not-found");
    environment
        .refused(environment.copal(["cat", "lock", "abc"]), 1)
        .is("not-found");
}

#[test]
fn a_store_that_deletes_nothing_is_backed_up_to_with_a_warning() {
    let place = TestEnvironment::new();
    let server = S3Server::start(&place.path("objects"));
    let environment = server.environment();
    environment.copal(["init"]).run().succeeds();
    let source = environment.make_directory("source");
    sample::simple(&source);

    server.keep(Kept::AllButLocks);
    let outcome = environment.backup("files", &source, "").run().succeeds();
    assert!(!outcome.stderr.contains("lock"), "{}", outcome.stderr);

    server.keep(Kept::All);
    for _ in 0..2 {
        std::fs::write(source.join("more"), sample::noise(1, 1 << 20)).unwrap();
        let outcome = environment.backup("files", &source, "").run().succeeds();
        outcome
            .says("the lock could not be removed")
            .says("half an hour");
    }
    assert_eq!(environment.snapshots().len(), 3);
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    tree::assert_same(&source, &target);
    if let Some(restic) = Restic::find(&environment) {
        restic
            .command(["check", "--read-data", "--no-lock"])
            .run()
            .succeeds();
    }
    server.keep(Kept::Nothing);
    // The processes that left them are gone, so the locks are in nobody's way and go.
    environment.backup("files", &source, "").run().succeeds();
    let locks = place.path("objects/backups/below/a/prefix/locks");
    assert_eq!(files(&locks), []);
}

#[test]
fn processes_of_copal_and_restic_write_at_once_and_all_is_whole() {
    let environment = TestEnvironment::with_repository();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    let sources: Vec<_> = (0..4)
        .map(|writer| {
            let source = environment.make_directory(&format!("source {writer}"));
            sample::simple(&source);
            std::fs::write(source.join("shared"), sample::noise(1, 6 << 20)).unwrap();
            std::fs::write(source.join("own"), sample::noise(10 + writer, 6 << 20)).unwrap();
            source
        })
        .collect();
    let mut running = Vec::new();
    for source in &sources {
        running.push(environment.backup("files", source, "").start());
        running.push(restic.command(["backup"]).arg(source).start());
    }
    for writer in running {
        writer.wait().succeeds();
    }
    restic.check();
    environment.copal(["check", "--read-data"]).run().succeeds();
    let snapshots = environment.snapshots();
    assert_eq!(snapshots.len(), 8);
    for (index, source) in sources.iter().enumerate() {
        let of_copal = snapshots.iter().find(|snapshot| {
            snapshot["paths"][0] == source.to_str().unwrap() && !snapshot["tags"].is_null()
        });
        let target = environment.path(format!("target {index}"));
        let id = of_copal.unwrap()["id"].as_str().unwrap();
        let restore = environment
            .copal(["restore", id, "--yes", "--to"])
            .arg(&target);
        restore.run().succeeds();
        tree::assert_same(source, &target);
    }
}

#[test]
fn an_interrupted_backup_is_not_begun_anew() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    for index in 0..12 {
        let name = format!("{index:02}");
        std::fs::write(source.join(name), sample::noise(index, 20 << 20)).unwrap();
    }
    let backup = environment.backup("files", &source, "").start();
    let data = Path::new(environment.repository()).join("data");
    // Files that are being written have longer names.
    let is_pack = |path: &Path| path.file_name().is_some_and(|name| name.len() == 64);
    let packs = || files(&data).into_iter().filter(|(path, _)| is_pack(path));
    for _ in 0..3_000 {
        if packs().count() >= 3 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    backup.signal(Signal::INT);
    backup.wait().exits(130);
    assert!(environment.snapshots().is_empty());
    let there: u64 = packs().map(|(_, size)| size).sum();
    assert!(there >= 3 << 24, "{there} bytes were uploaded");
    if let Some(restic) = Restic::find(&environment) {
        restic.check();
    }
    let outcome = environment
        .backup("files", &source, "--json")
        .run()
        .succeeds()
        .json();
    let added = outcome["summary"]["data_added"].as_u64().unwrap();
    let total = 12 * (20 << 20);
    assert!(
        added < total - there + (8 << 20),
        "{added} bytes were added, and {there} were there"
    );
    environment.copal(["check", "--read-data"]).run().succeeds();
}

#[test]
fn a_damaged_snapshot_hides_no_other_and_keeps_no_backup_from_being_made() {
    let (environment, source) = backed_up();
    let snapshots = Path::new(environment.repository()).join("snapshots");
    let damaged = std::fs::read_dir(&snapshots)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let whole = std::fs::read(&damaged).unwrap();
    std::fs::write(&damaged, &whole[..whole.len() / 2]).unwrap();
    let name = damaged.file_name().unwrap().to_str().unwrap();
    environment
        .backup("files", &source, "")
        .run()
        .succeeds()
        .says(name);
    let listed = environment.copal(["snapshots"]).run().exits(3).says(name);
    assert!(listed.text().contains("1 snapshots"), "{}", listed.text());
    let outcome = environment.copal(["check"]).run().exits(1);
    assert!(outcome.text().contains(name), "{}", outcome.text());
}
