//! Random operations on a repository beside a model of it in memory: whatever is done in whatever order, and wherever a process is killed, each
//! snapshot that was saved and not forgotten holds what was backed up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use copal_repository::format::tree::NodeKind;
use copal_repository::progress::Silent;
use copal_repository::prune::{MIN_GRACE, MaxUnused, PruneOptions};
use copal_repository::restorer::{RestoreOptions, restore_tree};
use copal_repository::walk::{Next, dump, walk};
use copal_repository::{
    BlobId, ErrorKind, LockGuard, LockMode, Repository, SnapshotId, TreeId, UnlockOptions,
};

use crate::fixture::{World, noise, prune_in};
use crate::store::{Fault, Faulty, Operation, Plan};

/// Set to run so many histories rather than [`HISTORIES`].
const VARIABLE: &str = "COPAL_TEST_HISTORIES";
const HISTORIES: u64 = 8;
/// Operations of a history.
const OPERATIONS: u32 = 150;
/// After so many operations everything is read.
const LOOK: u32 = 25;

/// Files by their paths, with the digests of their contents; directories without one.
type Contents = BTreeMap<String, Option<BlobId>>;

/// A backup that has stored everything but its snapshot.
struct Pending {
    repository: Repository,
    tree: TreeId,
    contents: Contents,
    #[expect(dead_code, reason = "held until the snapshot is saved")]
    lock: LockGuard,
}

struct History {
    seed: u64,
    random: u64,
    world: World,
    model: BTreeMap<SnapshotId, Contents>,
    pending: Vec<Pending>,
    /// What was done, for whoever has to find out what went wrong.
    done: Vec<String>,
}

impl History {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            world: World::new(),
            model: BTreeMap::new(),
            pending: Vec::new(),
            done: Vec::new(),
        }
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % bound
    }

    fn step(&mut self) {
        match self.below(20) {
            0..7 => self.change(),
            7..11 => self.back_up(),
            11..13 => self.begin(),
            13..15 => self.end(),
            15 => self.forget(),
            16 => self.prune(),
            17 => self.prune_in_two_phases(),
            18 => self.age(),
            _ => self.die(),
        }
        let held = self.world.open().snapshots().unwrap().into_iter();
        let held: BTreeSet<_> = held.map(|(id, _)| id).collect();
        let known: BTreeSet<_> = self.model.keys().copied().collect();
        assert_eq!(held, known, "{self}");
    }

    fn note(&mut self, what: impl Into<String>) {
        self.done.push(what.into());
    }

    /// Writes a file, often one with the content of another, or removes a directory.
    fn change(&mut self) {
        let name = format!("{}/{}", self.below(4), self.below(5));
        match self.below(8) {
            0 => {
                let name = self.below(4).to_string();
                let directory = self.world.source(&name);
                if directory.exists() {
                    fs::remove_dir_all(directory).unwrap();
                }
            }
            1 => self.world.write(&name, ""),
            2 => {
                let length = (1 << 20) + self.below(1 << 20) as usize;
                let content = noise(self.below(3), length);
                self.world.write(&name, content);
            }
            _ => {
                let length = self.below(20_000) as usize;
                let content = noise(self.below(30), length);
                self.world.write(&name, content);
            }
        }
    }

    fn back_up(&mut self) {
        let id = self.world.back_up();
        self.model.insert(id, there(&self.world.source("")));
        self.note(format!("backup {id}"));
    }

    /// Begins a backup that others overlap.
    fn begin(&mut self) {
        let repository = self.world.open();
        let lock = repository.lock(LockMode::Write).unwrap();
        let tree = self.world.archive(&repository);
        self.pending.push(Pending {
            repository,
            tree,
            contents: there(&self.world.source("")),
            lock,
        });
        self.note("begin");
    }

    fn end(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let which = self.below(self.pending.len() as u64) as usize;
        let pending = self.pending.swap_remove(which);
        let id = self.world.save(&pending.repository, pending.tree);
        self.model.insert(id, pending.contents);
        self.note(format!("end {id}"));
    }

    /// Some of the snapshots.
    fn some(&mut self) -> Vec<SnapshotId> {
        let all: Vec<_> = self.model.keys().copied().collect();
        let some = all.into_iter().filter(|_| self.below(3) == 0);
        some.collect()
    }

    fn forget(&mut self) {
        let some = self.some();
        let repository = self.world.open();
        match repository.lock(LockMode::Exclusive) {
            Ok(lock) => {
                repository.forget(&some, &lock).unwrap();
                self.model.retain(|id, _| !some.contains(id));
                self.note(format!("forget {some:?}"));
            }
            Err(error) => self.refused(&error),
        }
    }

    /// Only a backup that others have begun may keep a command from its lock.
    fn refused(&self, error: &copal_repository::Error) {
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}\n{self}");
        assert!(!self.pending.is_empty(), "{error}\n{self}");
    }

    fn options(&mut self) -> PruneOptions {
        PruneOptions {
            max_unused: match self.below(3) {
                0 => MaxUnused::Bytes(0),
                1 => MaxUnused::Unlimited,
                _ => MaxUnused::default(),
            },
            repack_small: self.below(2) == 0,
            ..PruneOptions::default()
        }
    }

    fn prune(&mut self) {
        let options = self.options();
        match self.world.prune(&options) {
            Ok(stats) => self.note(format!("prune {stats:?}")),
            Err(error) => self.refused(&error),
        }
    }

    fn prune_in_two_phases(&mut self) {
        let options = PruneOptions {
            two_phase: Some(MIN_GRACE),
            ..self.options()
        };
        let stats = self.world.prune(&options);
        let stats = stats.unwrap_or_else(|error| panic!("{error}\n{self}"));
        self.note(format!("prune in two phases {stats:?}"));
    }

    /// Lets two days pass, longer than any backup may take.
    fn age(&mut self) {
        if !self.pending.is_empty() {
            return;
        }
        let time = Duration::from_secs(2 * 24 * 60 * 60);
        for pack in self.world.files("data") {
            let pack = fs::File::open(pack).unwrap();
            pack.set_modified(SystemTime::now() - time).unwrap();
        }
        self.world.age_marks(time);
        self.note("two days pass");
    }

    /// Something is killed after a few changes of the storage, and with it all that had begun.
    fn die(&mut self) {
        self.pending.clear();
        let last = 1 + self.below(12) as usize;
        let plan = Plan::new(Operation::Put, last, Fault::Dies);
        let store = self.world.store();
        let store = store.through(|store| Faulty::over(store, &plan));
        let mortal = self.world.open_in(store).unwrap();
        match self.below(3) {
            0 => self.die_in_a_backup(&mortal),
            1 => self.die_forgetting(&mortal),
            _ => {
                let mut options = self.options();
                if self.below(2) == 0 {
                    options.two_phase = Some(MIN_GRACE);
                }
                let pruned = prune_in(&mortal, &options).is_ok();
                self.note(format!("prune with {last} changes: {pruned}"));
            }
        }
        drop(mortal);
        self.world
            .open()
            .unlock(UnlockOptions {
                all: true,
                ..UnlockOptions::default()
            })
            .unwrap();
    }

    fn die_in_a_backup(&mut self, mortal: &Repository) {
        let Ok(tree) = self.world.try_archive(mortal) else {
            return self.note("a backup dies");
        };
        if let Ok(id) = self.world.try_save(mortal, tree) {
            self.model.insert(id, there(&self.world.source("")));
            self.note(format!("a backup just lives: {id}"));
        }
    }

    fn die_forgetting(&mut self, mortal: &Repository) {
        let some = self.some();
        let Ok(lock) = mortal.lock(LockMode::Exclusive) else {
            return;
        };
        let done = mortal.forget(&some, &lock).is_ok();
        let left = self.world.open().snapshots().unwrap().into_iter();
        let left: BTreeSet<_> = left.map(|(id, _)| id).collect();
        for (id, asked) in self.model.keys().map(|id| (id, some.contains(id))) {
            match asked {
                false => assert!(left.contains(id), "{id} was not to go\n{self}"),
                true if done => assert!(!left.contains(id), "{id} is still there\n{self}"),
                true => {}
            }
        }
        self.model.retain(|id, _| left.contains(id));
        self.note(format!("forget {some:?} dies"));
    }

    /// Reads everything, and restores one snapshot.
    fn look(&mut self) {
        let report = self.world.report();
        assert_eq!(report.errors, [""; 0], "{self}");
        let repository = self.world.open();
        for (id, snapshot) in repository.snapshots().unwrap() {
            let held = held(&repository, &snapshot.tree);
            assert_eq!(held, self.model[&id], "{id}\n{self}");
        }
        let Some((id, snapshot)) = repository.snapshots().unwrap().pop() else {
            return;
        };
        // Over what an earlier one left there.
        let target = self.world.path("restored");
        let options = RestoreOptions {
            exact: true,
            ..RestoreOptions::default()
        };
        let restored = restore_tree(&repository, snapshot.tree, &target, None, &options, &Silent);
        assert!(restored.unwrap().errors.is_empty(), "{id}\n{self}");
        assert_eq!(there(&target.join("home")), self.model[&id], "{id}\n{self}");
    }
}

impl std::fmt::Display for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "history {}:\n{}", self.seed, self.done.join("\n"))
    }
}

/// What lies beneath a directory.
fn there(directory: &Path) -> Contents {
    let mut found = Contents::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(directory).unwrap();
            let name = name.to_str().unwrap().to_owned();
            if path.is_dir() {
                found.insert(name, None);
                open.push(path);
            } else {
                found.insert(name, Some(BlobId::of(&fs::read(path).unwrap())));
            }
        }
    }
    found
}

/// What a snapshot holds of the directory `home`.
fn held(repository: &Repository, tree: &TreeId) -> Contents {
    let mut found = Contents::new();
    walk(repository, tree, &mut |path, node| {
        let path = String::from_utf8_lossy(path).into_owned();
        let Some(name) = path.strip_prefix("home/") else {
            return Ok(Next::Continue);
        };
        let digest = match node.kind {
            NodeKind::File => {
                let mut content = Vec::new();
                dump(repository, node, &mut content)?;
                Some(BlobId::of(&content))
            }
            _ => None,
        };
        found.insert(name.to_owned(), digest);
        Ok(Next::Continue)
    })
    .unwrap();
    found
}

#[test]
fn every_snapshot_holds_what_was_backed_up_whatever_happens() {
    let histories = std::env::var(VARIABLE).ok();
    let histories = histories.map_or(HISTORIES, |number| number.parse().unwrap());
    for seed in 0..histories {
        let mut history = History::new(seed);
        for operation in 1..=OPERATIONS {
            history.step();
            if operation % LOOK == 0 {
                history.look();
            }
        }
        // With all that nobody needs any more gone, all that somebody needs is still there.
        history.pending.clear();
        history.age();
        let options = PruneOptions {
            max_unused: MaxUnused::Bytes(0),
            ..PruneOptions::default()
        };
        history.world.prune(&options).unwrap();
        history.look();
    }
}
