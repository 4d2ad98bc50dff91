//! Killed before any change that it makes to a repository, in a directory or on a server of S3, every command that writes leaves one that is whole, with
//! all snapshots that are not to go, and does its work when it is run again. The same holds where its quota is used up from then on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells what it tried"
)]

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use copal_tests::environment::{PASSWORD, lay_out_repository};
use copal_tests::moments::Moment;
use copal_tests::proxy::Proxy;
use copal_tests::restic::Restic;
use copal_tests::s3::{self, S3Server};
use copal_tests::{Outcome, Program, TestEnvironment, moments, run, sample, tree};
use serde_json::Value;

const KILLED: i32 = 9;
const WRONG_PASSWORD: i32 = 12;
const NEW_PASSWORD: &str = "another password for tests";

/// Where a repository is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Directory,
    /// On a server of S3.
    Service,
}

impl Place {
    const BOTH: [Self; 2] = [Self::Directory, Self::Service];

    /// A world with an empty repository there, and what leads to it.
    fn environment(self) -> (TestEnvironment, Option<Service>) {
        match self {
            Self::Directory => (TestEnvironment::with_repository(), None),
            Self::Service => {
                let environment = TestEnvironment::new();
                let objects = environment.make_directory("objects");
                lay_out_repository(&objects.join(s3::REPOSITORY));
                let server = S3Server::start(&objects);
                let proxy = Proxy::to(server.port());
                let environment = server.reach(environment, proxy.port());
                let service = Service {
                    _server: server,
                    proxy,
                };
                (environment, Some(service))
            }
        }
    }
}

/// A server that keeps the objects of its world in the directory `objects`, and the way to it.
struct Service {
    _server: S3Server,
    proxy: Proxy,
}

/// A repository in which a command is killed.
struct Scene {
    environment: TestEnvironment,
    service: Option<Service>,
    /// Whether `check` finds nothing wrong before the command.
    whole: bool,
    /// Whether every run of it makes the same snapshots.
    repeats: bool,
    /// Whether something is lost for good, which `check` finds then.
    lost: bool,
    /// How it may end: left alone, and where a run before it was killed when all but a little was done.
    codes: &'static [i32],
    /// The password that opens the repository where that of the environment does no more.
    other_password: Option<&'static str>,
}

impl Scene {
    /// With so many snapshots of a directory `source`.
    fn new(place: Place, snapshots: u64) -> Self {
        let (environment, service) = place.environment();
        let source = environment.make_directory("source");
        sample::simple(&source);
        for version in 0..snapshots {
            change(&environment, version);
            environment.backup("files", &source, "").run().succeeds();
        }
        change(&environment, snapshots);
        let scene = Self {
            environment,
            service,
            whole: true,
            repeats: true,
            lost: false,
            codes: &[0],
            other_password: None,
        };
        // What is copied again and again is as little as may be.
        for directory in std::fs::read_dir(scene.files().join("data")).unwrap() {
            std::fs::remove_dir(directory.unwrap().path()).ok();
        }
        scene
    }

    /// What holds all that is stored.
    fn storage(&self) -> PathBuf {
        match self.service {
            None => self.environment.repository().into(),
            Some(_) => self.environment.path("objects"),
        }
    }

    /// The directory of the repository's files.
    fn files(&self) -> PathBuf {
        match self.service {
            None => self.storage(),
            Some(_) => self.storage().join(s3::REPOSITORY),
        }
    }

    /// Runs the command to its end and gives the changes that it makes.
    fn moments_of(&self, program: Program) -> (Vec<Moment>, Outcome) {
        match &self.service {
            None => moments::of(program, &self.files()),
            Some(service) => service.proxy.moments_of(program, s3::REPOSITORY),
        }
    }

    /// Kills the command at the change of this number.
    fn kill_at(&self, number: usize, program: Program) -> (Vec<Moment>, Outcome) {
        match &self.service {
            None => moments::kill_before(number, program, &self.files()),
            Some(service) => service.proxy.kill_at(number, program, s3::REPOSITORY),
        }
    }

    /// `copal` with these words.
    fn copal(&self, words: &str) -> Program {
        self.environment.copal(run::words(words))
    }

    /// The same with whichever password opens the repository.
    fn open(&self, words: &str) -> Outcome {
        let program = |password| self.copal(words).env("COPAL_PASSWORD", password).run();
        match (program(PASSWORD), self.other_password) {
            (outcome, Some(other)) if outcome.status.code() == Some(WRONG_PASSWORD) => {
                program(other)
            }
            (outcome, _) => outcome,
        }
    }

    /// What of the snapshots is the same whenever they are made: trees and tags.
    fn snapshots(&self) -> Vec<(String, String)> {
        if !self.files().join("config").exists() {
            return Vec::new();
        }
        let listed = self.open("snapshots --json").succeeds().json();
        let text = |snapshot: &Value, name: &str| snapshot[name].to_string();
        let snapshots = listed.as_array().unwrap().iter();
        snapshots
            .map(|snapshot| (text(snapshot, "tree"), text(snapshot, "tags")))
            .collect()
    }

    #[track_caller]
    fn check(&self) {
        let check = self.open("check --read-data");
        if !self.lost {
            check.succeeds();
            return;
        }
        let said = check.exits(1).text();
        let errors = said.lines().filter(|line| line.starts_with("ERROR"));
        let unlike: Vec<_> = errors
            .filter(|line| !line.ends_with(" is missing"))
            .collect();
        assert_eq!(unlike, [""; 0], "{said}");
    }

    /// Kills the command at its moments, and has it run out of quota from them on.
    #[track_caller]
    fn survives(&self, command: impl Fn() -> Program) {
        let storage = self.storage();
        let saved = self.environment.path("saved");
        tree::copy(&storage, &saved);
        let before = self.snapshots();
        let (moments, outcome) = self.moments_of(command());
        outcome.exits(self.codes[0]);
        let after = self.snapshots();
        let (mut killed, mut refused, mut failed) = (0, 0, 0);
        for number in moments::chosen(&moments) {
            tree::copy(&saved, &storage);
            let (seen, outcome) = self.kill_at(number, command());
            // Threads take turns as they like, so a run may do with fewer changes.
            if outcome.status.signal() != Some(KILLED) {
                outcome.exits(self.codes[0]);
                continue;
            }
            killed += 1;
            let moment = format!("killed before {:?}", seen.last().unwrap());
            self.goes_on(&moment, &command, &before, &after);
        }
        if self.service.is_none() && moments::can_refuse() {
            for number in moments::chosen(&moments) {
                tree::copy(&saved, &storage);
                let (seen, outcome) = moments::out_of_quota(number, command(), &self.files());
                let Some(first) = seen.get(number) else {
                    continue;
                };
                refused += 1;
                let moment = format!("out of quota from {first:?} on");
                let code = outcome.status.code();
                let code = code.unwrap_or_else(|| panic!("{moment}: {outcome:?}"));
                if code != self.codes[0] {
                    failed += 1;
                    assert!(outcome.stderr.contains("quota"), "{moment}: {outcome:?}");
                } else {
                    // Whoever says that it is done must have done it.
                    let left = self.snapshots();
                    let done = match self.repeats {
                        true => left == after,
                        false => left.len() == after.len(),
                    };
                    assert!(done, "{moment}: {left:?}");
                }
                self.goes_on(&moment, &command, &before, &after);
            }
        }
        let thread = std::thread::current();
        let test = thread.name().unwrap_or_default();
        let place = match self.service {
            None => "a directory",
            Some(_) => "S3",
        };
        println!(
            "{test}, {place}: {} moments, killed at {killed}, out of quota from {refused}, {failed} failed by that",
            moments.len()
        );
        assert!(killed > 0, "nothing was killed");
        let takes_space = moments.iter().any(Moment::takes_space);
        assert!(
            failed > 0 || refused == 0 || !takes_space,
            "no quota was used up"
        );
        if let Some(restic) = Restic::find(&self.environment).filter(|_| !self.lost) {
            let password = self.other_password.unwrap_or(PASSWORD);
            let check = restic.command(["check", "--read-data"]);
            check.env("RESTIC_PASSWORD", password).run().succeeds();
        }
    }

    /// Sees that the repository is whole, that no snapshot is gone which is not to go, and that the command does its work now.
    #[track_caller]
    fn goes_on(
        &self,
        moment: &str,
        command: impl Fn() -> Program,
        before: &[(String, String)],
        after: &[(String, String)],
    ) {
        let left = self.snapshots();
        for snapshot in before.iter().filter(|one| after.contains(one)) {
            assert!(left.contains(snapshot), "{moment}: {snapshot:?} is gone");
        }
        if self.whole && self.files().join("config").exists() {
            self.check();
        }
        let again = command().run();
        let code = again.status.code().unwrap();
        assert!(self.codes.contains(&code), "{moment}: {again:?}");
        self.check();
        let left = self.snapshots();
        for snapshot in before {
            let stays = after.contains(snapshot);
            assert_eq!(left.contains(snapshot), stays, "{moment}");
        }
        assert!(left.len() >= after.len(), "{moment}: {left:?}");
        assert!(!self.repeats || left == after, "{moment}: {left:?}");
        self.is_tidy(moment);
    }

    /// Sees that no lock is left, and that a prune removes what is half-written once it is old.
    #[track_caller]
    fn is_tidy(&self, moment: &str) {
        let then = SystemTime::now() - Duration::from_secs(48 * 60 * 60);
        let files = self.files();
        for path in tree::contents(&files).into_keys() {
            let file = File::open(files.join(path)).unwrap();
            file.set_modified(then).unwrap();
        }
        // Where something is lost, nothing is removed.
        if !self.lost {
            self.open("prune").succeeds();
        }
        for path in tree::contents(&files).into_keys() {
            let name = path.to_string_lossy();
            let fits = match name.contains('#') {
                true => self.lost,
                false => !name.starts_with("locks/"),
            };
            assert!(fits, "{moment}: {name} is left");
        }
    }
}

/// Makes the source another version of itself.
fn change(environment: &TestEnvironment, version: u64) {
    environment.write("source/noise", sample::noise(version, 300_000));
    environment.write("source/cache/large", sample::noise(version / 2, 100_000));
}

#[test]
fn a_killed_init() {
    for place in Place::BOTH {
        let scene = Scene {
            // One that was killed at the last moment has made it.
            codes: &[0, 1],
            ..Scene::new(place, 0)
        };
        std::fs::remove_dir_all(scene.files()).unwrap();
        std::fs::create_dir(scene.files()).unwrap();
        scene.survives(|| scene.copal("init"));
    }
}

#[test]
fn a_killed_backup() {
    for place in Place::BOTH {
        let scene = Scene {
            repeats: false,
            ..Scene::new(place, 2)
        };
        let source = scene.environment.path("source");
        scene.survives(|| scene.environment.backup("files", &source, ""));
    }
}

#[test]
fn a_killed_forget() {
    for place in Place::BOTH {
        let scene = Scene::new(place, 3);
        scene.survives(|| scene.copal("forget --keep-last 1"));
    }
}

#[test]
fn a_killed_forget_with_prune() {
    for place in Place::BOTH {
        let scene = Scene::new(place, 3);
        scene.survives(|| scene.copal("forget --keep-last 1 --prune --max-unused 0"));
    }
}

#[test]
fn a_killed_prune() {
    for place in Place::BOTH {
        let scene = Scene::new(place, 4);
        scene.copal("forget --keep-last 2").run().succeeds();
        scene.survives(|| scene.copal("prune --max-unused 0 --repack-small"));
    }
}

#[test]
fn a_killed_prune_in_two_phases() {
    for place in Place::BOTH {
        let scene = Scene::new(place, 4);
        scene.copal("forget --keep-last 2").run().succeeds();
        scene.survives(|| scene.copal("prune --two-phase --max-unused 0"));
    }
}

#[test]
fn a_killed_copy() {
    for place in Place::BOTH {
        let source = Scene::new(Place::Directory, 2);
        let scene = Scene::new(place, 1);
        let from = source.environment.repository();
        scene.survives(|| {
            let copy = scene.copal("copy --from-repo").arg(from);
            copy.env("COPAL_FROM_PASSWORD", PASSWORD)
        });
    }
}

#[test]
fn a_killed_rewrite() {
    for place in Place::BOTH {
        let scene = Scene::new(place, 2);
        scene.survives(|| scene.copal("rewrite --exclude /files/cache --forget"));
    }
}

#[test]
fn a_killed_change_of_tags() {
    for place in Place::BOTH {
        let scene = Scene::new(place, 2);
        scene.survives(|| scene.copal("tag --add kept --remove other"));
    }
}

#[test]
fn a_killed_unlock() {
    let scene = Scene::new(Place::Directory, 1);
    let source = scene.environment.path("source");
    let backup = || scene.environment.backup("files", &source, "");
    let locks = scene.files().join("locks");
    // It is killed before it removes its lock.
    let last = moments::of(backup(), &locks).0.len() - 1;
    moments::kill_before(last, backup(), &locks);
    assert_eq!(std::fs::read_dir(locks).unwrap().count(), 1);
    scene.survives(|| scene.copal("unlock"));
}

#[test]
fn a_killed_repair_of_the_index() {
    for place in Place::BOTH {
        let scene = Scene {
            whole: false,
            ..Scene::new(place, 3)
        };
        let index = std::fs::read_dir(scene.files().join("index"));
        std::fs::remove_file(index.unwrap().next().unwrap().unwrap().path()).unwrap();
        scene.survives(|| scene.copal("repair index"));
    }
}

/// The largest pack, with one bit that is another, and its name.
fn damaged_pack(scene: &Scene) -> (PathBuf, String) {
    let data = scene.files().join("data");
    let packs = tree::read(&data)
        .into_iter()
        .map(|(path, item)| (item.size, path));
    let (_, path) = packs.max().unwrap();
    let path = data.join(path);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    (path, name)
}

#[test]
fn a_killed_repair_of_packs() {
    for place in Place::BOTH {
        let scene = Scene {
            whole: false,
            lost: true,
            codes: &[3, 1],
            ..Scene::new(place, 2)
        };
        let (_, name) = damaged_pack(&scene);
        let copies = scene.environment.make_directory("copies");
        scene.survives(|| {
            let repair = scene.copal("repair packs --copies").arg(&copies);
            repair.arg(&name)
        });
    }
}

#[test]
fn a_killed_repair_of_snapshots() {
    for place in Place::BOTH {
        let scene = Scene {
            whole: false,
            codes: &[3, 0],
            ..Scene::new(place, 2)
        };
        let (path, _) = damaged_pack(&scene);
        std::fs::remove_file(path).unwrap();
        scene.copal("repair index").run().exits(3);
        scene.survives(|| scene.copal("repair snapshots --forget"));
    }
}

#[test]
fn a_killed_addition_of_a_key() {
    for place in Place::BOTH {
        let scene = Scene::new(place, 1);
        let file = scene.environment.write("new-password", NEW_PASSWORD);
        scene.survives(|| scene.copal("key add --new-password-file").arg(&file));
    }
}

#[test]
fn a_killed_removal_of_a_key() {
    for place in Place::BOTH {
        let scene = Scene {
            // One that was killed at the last moment has removed it.
            codes: &[0, 1],
            ..Scene::new(place, 1)
        };
        let file = scene.environment.write("new-password", NEW_PASSWORD);
        let key = scene.copal("key add --json --new-password-file").arg(&file);
        let key = key.run().succeeds().json();
        let id = key["key"]["id"].as_str().unwrap();
        scene.survives(|| scene.copal("key remove").arg(id));
        let file = scene.copal("check").env("COPAL_PASSWORD", NEW_PASSWORD);
        file.run().exits(WRONG_PASSWORD);
    }
}

/// Whichever moment it is, one of both passwords opens.
#[test]
fn a_killed_change_of_the_password() {
    for place in Place::BOTH {
        let scene = Scene {
            codes: &[0, WRONG_PASSWORD],
            other_password: Some(NEW_PASSWORD),
            ..Scene::new(place, 1)
        };
        let file = scene.environment.write("new-password", NEW_PASSWORD);
        scene.survives(|| scene.copal("key passwd --new-password-file").arg(&file));
        let check = scene.copal("check").run();
        check.exits(WRONG_PASSWORD);
    }
}
