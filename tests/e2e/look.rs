//! Looking into a repository, taking parts out of it, and restoring parts and over what is there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use copal_tests::environment::copal_binary;
use copal_tests::restic::Restic;
use copal_tests::{TestEnvironment, mount, plugins, programs, sample, tree};
use rustix::process::Signal;
use serde_json::Value;

/// How long something may be mounted.
const TIME: Duration = Duration::from_secs(180);

/// A repository with one snapshot of a simple tree, and that tree's path.
fn backed_up() -> (TestEnvironment, PathBuf) {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    environment.backup("files", &source, "").run().succeeds();
    (environment, source)
}

fn json(environment: &TestEnvironment, arguments: &[&str]) -> Value {
    let program = environment.copal(arguments).arg("--json");
    program.run().succeeds().json()
}

#[test]
fn snapshots_are_chosen_and_grouped() {
    let (environment, source) = backed_up();
    let other = environment.make_directory("other");
    for tags in ["--tag a,b", "--tag a"] {
        environment.backup("files", &other, tags).run().succeeds();
    }
    let count = |arguments: &[&str]| {
        let arguments = [&["snapshots"], arguments].concat();
        json(&environment, &arguments).as_array().unwrap().len()
    };
    let path = source.to_str().unwrap();
    for (arguments, expected) in [
        (&["--tag", "a"][..], 2),
        (&["--tag", "a,b"], 1),
        (&["--tag", "b", "--tag", "c"], 1),
        (&["--tag", ""], 0),
        (&["--path", path], 1),
        (&["--host", "nosuch"], 0),
        (&["--latest", "1"], 2),
        (&["latest"], 1),
        (&["--group-by", "plugin"], 1),
        (&["--group-by", "paths,tags"], 3),
    ] {
        assert_eq!(count(arguments), expected, "{arguments:?}");
    }
    let compact = environment.copal(["snapshots", "--compact"]).run();
    assert!(!compact.succeeds().text().contains(path));
    // `latest` is the latest of those that are meant.
    let text = environment.copal(["ls", "latest", "--path", path]).run();
    assert!(text.succeeds().text().contains("files/a.txt"));
    let none = environment.copal(["ls", "latest", "--host", "nosuch"]);
    environment.refused(none, 1).is("not-found");
}

#[test]
fn a_directory_is_listed_as_deep_as_asked() {
    let (environment, _) = backed_up();
    let list = |further: &[&str]| {
        let listed = environment.copal(["ls", "latest"]).args(further).run();
        let text = listed.succeeds().text();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(list(&["/files/"]), ["files/a.txt", "files/folder"]);
    assert_eq!(list(&["files", "--recursive"]).len(), 4);
    let two = list(&["files/a.txt", "files/folder"]);
    assert_eq!(
        two,
        ["files/a.txt", "files/folder/b.txt", "files/folder/empty"]
    );
    assert!(list(&["/"]).contains(&".copal".to_owned()));
    assert!(!list(&["/"]).contains(&"files/a.txt".to_owned()));
}

/// Whatever a snapshot of Copal's own holds, restic finds, compares and counts the same.
#[test]
fn restic_says_the_same_of_copals_snapshots() {
    let environment = TestEnvironment::with_repository();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    let source = environment.make_directory("source");
    sample::awkward(&source);
    environment.backup("files", &source, "").run().succeeds();
    std::fs::rename(source.join("large"), source.join("folder/moved")).unwrap();
    std::fs::write(source.join("a.txt"), "another\n").unwrap();
    environment.backup("files", &source, "").run().succeeds();
    let snapshots = environment.snapshots();
    let ids: Vec<_> = snapshots
        .iter()
        .map(|snapshot| snapshot["id"].as_str().unwrap())
        .collect();
    let theirs = |arguments: &[&str]| restic.command(arguments).run().succeeds();

    for mode in [
        "restore-size",
        "files-by-contents",
        "blobs-per-file",
        "raw-data",
    ] {
        let theirs = theirs(&["stats", "--json", "--mode", mode]).json();
        let ours = json(&environment, &["stats", "--mode", mode]);
        for key in [
            "total_size",
            "total_file_count",
            "total_blob_count",
            "snapshots_count",
        ] {
            let number = |document: &Value| document[key].as_u64().unwrap_or(0);
            assert_eq!(number(&ours), number(&theirs), "{mode} {key}");
        }
    }

    let lines = theirs(&["diff", "--json", ids[0], ids[1]]).text();
    let theirs_of = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let statistics = theirs_of(lines.lines().last().unwrap());
    let ours = json(&environment, &["diff", ids[0], ids[1]]);
    for side in ["added", "removed"] {
        assert_eq!(ours["summary"][side], statistics[side], "{side}");
    }
    assert_eq!(
        ours["summary"]["changed_files"],
        statistics["changed_files"]
    );
    let moved = ours["changes"].as_array().unwrap();
    let moved: Vec<_> = moved
        .iter()
        .filter(|change| change["change"] == "moved")
        .collect();
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_eq!(moved[0]["from"], "files/large");
    assert_eq!(moved[0]["path"], "files/folder/moved");

    for pattern in ["*same*", "/files/folder", "*.txt", "folder/*"] {
        let hits = |document: &Value| {
            let snapshots = document.as_array().unwrap().iter();
            let mut hits: Vec<_> = snapshots
                .map(|found| (found["snapshot"].to_string(), found["hits"].as_u64()))
                .collect();
            hits.sort();
            hits
        };
        let theirs = theirs(&["find", "--json", pattern]).json();
        let ours = json(&environment, &["find", pattern]);
        assert_eq!(hits(&ours), hits(&theirs), "{pattern}");
        assert_eq!(hits(&ours).len(), 2, "{pattern}");
    }
}

#[test]
fn a_folder_is_dumped_as_a_tar_that_gnu_tar_unpacks() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::awkward(&source);
    environment.backup("files", &source, "").run().succeeds();
    let file = environment.path("all.tar");
    let dump = |entry: &str| environment.copal(["dump", "latest", entry]);
    let output = dump("/").arg("--target").arg(&file).run().succeeds();
    assert!(output.stdout.is_empty());
    let to_output = dump("/").run().succeeds().stdout;
    assert!(to_output == std::fs::read(&file).unwrap());
    let target = environment.make_directory("unpacked");
    environment
        .program("tar")
        .args(["-x", "-p", "--xattrs", "-f"])
        .arg(&file)
        .arg("-C")
        .arg(&target)
        .run()
        .succeeds();
    // The folder's own entry is in it, as it is not the one that was asked for.
    tree::assert_same(&source, &target.join("files"));

    std::fs::create_dir(environment.path("in the way")).unwrap();
    let taken = dump("files")
        .arg("--target")
        .arg(environment.path("in the way"));
    environment.refused(taken, 1).is("output");
    let nowhere = dump("files").args(["--target", "/nowhere/x.tar"]);
    environment
        .refused(nowhere, 1)
        .is("output")
        .says("/nowhere");
    let left = std::fs::read_dir(environment.path(""))
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with(".copal-dump")
        });
    assert_eq!(left.count(), 0);
}

#[test]
fn a_dump_that_nobody_reads_to_the_end_fails() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::awkward(&source);
    environment.backup("files", &source, "").run().succeeds();
    let copal = copal_binary().display().to_string();
    let code = |command: &str| {
        let line = format!("{{ '{copal}' {command}; echo $? > code; }} | head -c 1");
        let shell = environment.copal(["ls"]).through_shell(&line);
        shell.run().succeeds();
        let code = std::fs::read_to_string(environment.path("code")).unwrap();
        code.trim().to_owned()
    };
    assert_eq!(code("dump latest files/large"), "1");
    assert_eq!(code("dump latest /"), "1");
}

#[test]
fn a_file_that_is_dumped_has_the_mode_of_any_other() {
    let (environment, _) = backed_up();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let dump = |path: &Path| {
        let dump = environment.copal(["dump", "latest", "files/a.txt", "--target"]);
        dump.arg(path).run().succeeds();
        assert_eq!(std::fs::read(path).unwrap(), b"first\n");
        mode(path)
    };
    let ordinary = mode(&environment.write("ordinary", ""));
    assert_eq!(dump(&environment.path("new")), ordinary);
    let own = environment.write("own", "");
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(dump(&own), 0o640);
}

/// What a backup could not read is in no snapshot, and would be lost for good.
#[test]
fn what_the_backup_could_not_read_is_not_removed() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    let [secret, closed] = ["source/secret", "source/closed/inner"]
        .map(|path| environment.write(path, "out of reach"));
    let close = |mode| {
        for path in [&secret, &source.join("closed")] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    close(0o000);
    let backup = environment.backup("files", &source, "");
    backup.bound_by_permissions().run().exits(3);
    close(0o700);
    let extra = environment.write("source/extra", "extra");
    let restored = environment.restore(&source, "--delete").run();
    assert!(restored.succeeds().text().contains("stays"));
    assert!(!extra.exists());
    for path in [secret, closed] {
        assert_eq!(std::fs::read(&path).unwrap(), b"out of reach", "{path:?}");
    }
}

#[test]
fn what_a_pattern_can_not_be_is_wrong_usage() {
    let (environment, _) = backed_up();
    let find = environment.copal(["find", "a["]);
    environment.refused(find, 2).is("arguments").says("a[");
    let restore = environment.restore(&environment.path("target"), "--include a[");
    environment.refused(restore, 2).is("arguments");
    let blob = environment.copal(["find", "--blob", "0123456789abcdef"]);
    environment.refused(blob, 1).is("not-found");
    environment
        .copal(["find", "x", "--oldest", "yesterday"])
        .run()
        .exits(2)
        .says("--oldest");
}

#[test]
fn a_part_is_restored_and_the_rest_is_named() {
    let (environment, _) = backed_up();
    let target = environment.path("target");
    let patterns = environment.write("patterns", "# none of these\n*.TXT\n\nempty\n");
    let patterns = patterns.to_str().unwrap();
    let restored = environment
        .restore(&target, "--include /files/folder --exclude-file")
        .arg(patterns)
        .run()
        .succeeds();
    assert!(
        restored.text().contains("2 entries not chosen"),
        "{}",
        restored.text()
    );
    let paths: Vec<_> = tree::contents(&target).into_keys().collect();
    assert_eq!(paths, ["", "folder", "folder/b.txt"].map(PathBuf::from));
    let restored = environment
        .restore(&target, "--iexclude *.TXT --json")
        .run();
    let outcome = restored.succeeds().json();
    let placed = &outcome["placed"][0];
    assert_eq!(placed["left_out"], 2, "{outcome:#}");
    assert!(target.join("folder/empty").exists() && !target.join("a.txt").exists());
    assert_eq!(outcome["complete"], true);
}

#[test]
fn what_is_to_be_restored_and_is_not_there_is_named() {
    let (environment, _) = backed_up();
    let target = environment.path("target");
    let restore = |further: &str| environment.restore(&target, further);
    let unmatched = |plan: &Value, severity: &str| {
        let findings = plan["findings"].as_array().unwrap().iter();
        let ours = findings.filter(|finding| finding["code"] == "copal.part.unmatched");
        ours.map(|finding| {
            assert_eq!(finding["severity"], severity, "{finding}");
            finding["message"].as_str().unwrap().to_owned()
        })
        .collect::<Vec<_>>()
    };
    // Copal's own files are not among them.
    let none = "--include /a.txt --include manifest.json";
    restore(none).run().exits(1).says("copal.part.unmatched");
    assert!(!target.exists());
    let planned = restore(&format!("{none} --dry-run --json")).run().exits(1);
    let plan = &planned.json()["plan"];
    assert_eq!(
        unmatched(plan, "error"),
        ["/a.txt", "manifest.json"].map(|one| format!("No path in the snapshot matches `{one}`."))
    );

    let some = restore("--include *.none --include a.txt --json").run();
    let some = some.succeeds().json();
    assert_eq!(some["files"], 1);
    assert_eq!(unmatched(&some, "warning").len(), 1, "{some:#}");
    environment.write("target/folder/extra", "");
    let removed = restore("--include folder/extra --delete --json").run();
    let removed = removed.succeeds().json();
    assert_eq!(removed["placed"][0]["removed"]["count"], 1, "{removed:#}");
    let empty = restore("--include folder/empty --json").run();
    assert_eq!(unmatched(&empty.succeeds().json(), "warning"), [""; 0]);
}

#[test]
fn a_plugin_does_not_verify_a_part() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    let hostile = plugins::guest("hostile");
    environment.backup(&hostile, &source, "").run().succeeds();
    let fails = "--set mode=fail --set stage=verify";
    let restore = |name: &str, further: &str| {
        environment.restore(&environment.path(name), &format!("{fails} {further}"))
    };
    restore("whole", "").run().exits(1);
    let part = restore("part", "--include a.txt").run().succeeds();
    assert!(
        part.text().contains("copal.part.unverified"),
        "{}",
        part.text()
    );
    assert!(environment.path("part/a.txt").exists());
}

/// The plan says what happens, it happens, and nothing outside the target does.
#[test]
fn a_target_becomes_what_the_snapshot_holds() {
    let (environment, source) = backed_up();
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    let outside = environment.write("outside/precious", "mine");
    symlink(environment.path("outside"), target.join("link")).unwrap();
    environment.write("target/extra/file", "extra");
    environment.write("target/a.txt", "changed\n");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(target.join("folder/b.txt"), mode).unwrap();
    let before = tree::read(&target);

    let restore = |further: &str| environment.restore(&target, further);
    let plan = restore("--delete --dry-run").run().succeeds().text();
    for line in ["a.txt", "extra", "link", "2 are removed", "1 are replaced"] {
        assert!(plan.contains(line), "{line}\n{plan}");
    }
    let document = restore("--delete --dry-run --json").run().succeeds().json();
    let preview = &document["preview"][0];
    assert_eq!(
        preview["removed"]["paths"],
        serde_json::json!(["extra", "link"])
    );
    assert_eq!(preview["mended"], 1, "{preview:#}");
    assert_eq!(document["delete"], true);
    assert_eq!(tree::read(&target), before);

    let outcome = restore("--delete --json").run().succeeds().json();
    let placed = &outcome["placed"][0];
    for key in ["removed", "replaced", "mended", "unchanged", "files"] {
        assert_eq!(placed[key], preview[key], "{key}");
    }
    tree::assert_same(&source, &target);
    assert_eq!(std::fs::read(outside).unwrap(), b"mine");
    let again = restore("--delete --json").run().succeeds().json();
    assert_eq!(again["bytes"], 0, "{again:#}");
    assert_eq!(again["placed"][0]["unchanged"], again["files"]);
}

#[test]
fn a_target_from_which_too_much_would_be_removed_is_refused() {
    let (environment, _) = backed_up();
    let refused = |to: &Path| environment.refused(environment.restore(to, "--delete"), 1);
    refused(Path::new("/")).is("roots").says("--include");
    // The repository and the journals lie in it.
    refused(&environment.path(""))
        .is("roots")
        .says("keep them apart");
}

#[test]
fn files_that_are_there_are_overwritten_as_asked() {
    let (environment, _) = backed_up();
    let target = environment.path("target");
    environment.write("target/a.txt", "mine\n");
    let outcome = environment
        .restore(&target, "--overwrite never --json")
        .run();
    let outcome = outcome.succeeds().json();
    assert_eq!(outcome["placed"][0]["kept"], 1, "{outcome:#}");
    let content = || std::fs::read_to_string(target.join("a.txt")).unwrap();
    assert_eq!(content(), "mine\n");
    // What is there was modified after the snapshot's.
    environment
        .restore(&target, "--overwrite if-newer")
        .run()
        .succeeds();
    assert_eq!(content(), "mine\n");
    environment
        .restore(&target, "--overwrite if-changed")
        .run()
        .succeeds();
    assert_eq!(content(), "first\n");
}

/// Whoever unmounts it may have something else at its place by then.
#[test]
fn what_somebody_else_has_unmounted_is_not_unmounted_again() {
    if !mount::is_possible() {
        return;
    }
    let (environment, _) = backed_up();
    let place = environment.make_directory("place");
    let shell = |line: &str| {
        let line = format!("{line} '{}'", place.display());
        environment.copal([""]).through_shell(&line).run().status
    };
    let root = programs::is_root();
    let beneath = root && shell("mount -t tmpfs none").success();
    let mounted = environment.copal(["mount"]).arg(&place).start();
    let answers = (0..1_000).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        place.join("ids").exists()
    });
    assert!(answers, "it was never mounted");
    let unmounted = shell(if root { "umount" } else { "fusermount3 -u" });
    let ended = mounted.wait();
    let stays = mount::is_mounted(&place);
    if beneath {
        shell("umount");
    }
    assert!(unmounted.success());
    ended.succeeds();
    assert_eq!(stays, beneath);
}

#[test]
fn a_mount_that_is_in_use_ends_and_says_so() {
    if !mount::is_possible() {
        return;
    }
    let (environment, _) = backed_up();
    let (place, mounted) = mount::mounted(&environment, TIME);
    let used = std::fs::File::open(place.join("snapshots/latest/files/a.txt")).unwrap();
    mounted.signal(Signal::INT);
    mounted.wait().exits(1).says("still in use");
    drop(used);
    assert!(!mount::is_mounted(&place));
}

#[test]
fn a_place_whose_mount_was_killed_is_named_as_such() {
    if !mount::is_possible() || !programs::is_root() {
        return;
    }
    let (environment, _) = backed_up();
    let (place, mounted) = mount::mounted(&environment, TIME);
    mounted.signal(Signal::KILL);
    drop(mounted);
    let again = environment.copal(["mount"]).arg(&place);
    let refused = environment.refused(again, 1);
    let unmounted = std::process::Command::new("umount").arg(&place).status();
    assert!(unmounted.unwrap().success());
    refused.is("mount").says("the program is gone");
}

#[test]
fn a_damaged_snapshot_does_not_keep_the_others_from_being_mounted() {
    if !mount::is_possible() {
        return;
    }
    let (environment, source) = backed_up();
    environment.backup("files", &source, "").run().succeeds();
    let snapshots = environment.snapshots();
    let id = snapshots[0]["id"].as_str().unwrap();
    let file = Path::new(environment.repository())
        .join("snapshots")
        .join(id);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&file, "no snapshot at all").unwrap();
    let (place, mounted) = mount::mounted(&environment, TIME);
    assert_eq!(std::fs::read_dir(place.join("ids")).unwrap().count(), 1);
    mounted.signal(Signal::INT);
    mounted.wait().succeeds().says(&id[..8]);
}

#[test]
fn snapshots_are_mounted_until_an_interrupt() {
    if !mount::is_possible() {
        return;
    }
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::awkward(&source);
    environment
        .backup("files", &source, "--tag a/b")
        .run()
        .succeeds();
    let id = environment.snapshots()[0]["id"].as_str().unwrap()[..8].to_owned();
    let (place, mounted) = mount::mounted(&environment, TIME);
    let list = |folder: &str| {
        let entries = std::fs::read_dir(place.join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    assert_eq!(list(""), ["hosts", "ids", "snapshots", "tags"]);
    assert_eq!(list("ids"), [&*id]);
    assert_eq!(list("tags"), ["a_b", "plugin:copal_files"]);
    assert_eq!(list("tags/a_b"), list("snapshots"));
    let latest = std::fs::read_link(place.join("snapshots/latest")).unwrap();
    assert_eq!(list("snapshots"), [latest.to_str().unwrap(), "latest"]);
    for path in ["ids", "snapshots"] {
        let folder = place.join(path).join(&id).join("files");
        tree::assert_same(&source, &folder);
    }
    tree::assert_same(&source, &place.join("snapshots/latest/files"));
    let large = place.join("snapshots/latest/files/large");
    let error = std::fs::write(&large, "x").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    // By another way the system takes it for another file, of which it has nothing yet.
    let large = place.join("tags/a_b/latest/files/large");
    read_here_and_there(&source.join("large"), &large);

    let restic = Restic::find(&environment);
    if let Some(restic) = restic {
        // Its lock is a reader's: others may add, and nobody may remove.
        restic.backup(&source);
        restic
            .command(["prune"])
            .run()
            .exits(1)
            .says("already locked");
    }
    mounted.signal(Signal::INT);
    mounted.wait().succeeds();
    assert!(!mount::is_mounted(&place));
    let locks = Path::new(environment.repository()).join("locks");
    assert_eq!(std::fs::read_dir(locks).unwrap().count(), 0);
}

/// Both files have the same bytes, wherever one begins to read.
fn read_here_and_there(expected: &Path, found: &Path) {
    use std::os::unix::fs::FileExt;
    let [expected, found] = [expected, found].map(|path| std::fs::File::open(path).unwrap());
    let size = expected.metadata().unwrap().len();
    for step in 0..40 {
        let offset = (step * 7_919_113) % size;
        let length = usize::try_from(size - offset).unwrap().min(70_000);
        let [ours, theirs] = [&expected, &found].map(|file| {
            let mut buffer = vec![0; length];
            file.read_exact_at(&mut buffer, offset).unwrap();
            buffer
        });
        assert!(ours == theirs, "{offset}");
    }
}

#[test]
fn a_place_that_can_not_be_mounted_at_is_refused() {
    let (environment, _) = backed_up();
    let absent = environment.copal(["mount", "/nowhere/at all"]);
    environment
        .refused(absent, 1)
        .is("mount")
        .says("/nowhere/at all");
    let full = environment.path("source");
    let covering = environment.copal(["mount"]).arg(full);
    environment
        .refused(covering, 1)
        .is("mount")
        .says("not empty");
}
