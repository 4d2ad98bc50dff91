//! Each operation of each command goes wrong in turn, in each way that it can.

use std::sync::Arc;
use std::time::{Duration, Instant};

use copal_repository::checker::{CheckOptions, check};
use copal_repository::copy::{Copied, CopyOptions, copy};
use copal_repository::format::BlobKind;
use copal_repository::format::tree::Node;
use copal_repository::progress::Silent;
use copal_repository::prune::{MaxUnused, PruneOptions, prune};
use copal_repository::repair::{
    IndexRepairOptions, PackRepairOptions, SnapshotRepair, repair_index, repair_packs,
};
use copal_repository::restorer::{RestoreOptions, restore_node};
use copal_repository::rewriter::{Edit, Fate, rewrite};
use copal_repository::walk::find;
use copal_repository::{
    Error, ErrorKind, LockMode, PackId, Repository, SnapshotId, UnlockOptions, WriterOptions,
};
use copal_storage::object_store::ObjectStore;
use copal_storage::object_store::memory::InMemory;

use crate::room::{Held, Room, name};
use crate::store::{Fault, Faulty, Operation, Plan};
use crate::thorough;

/// A command never takes longer, whatever goes wrong.
const LIMIT: Duration = Duration::from_secs(20);

/// In the short form, of so many operations in a row one goes wrong.
const STRIDE: usize = 3;

type Run = fn(&Room, Arc<dyn ObjectStore>, &Arc<InMemory>) -> Result<(), Error>;

/// A command that is to be done whatever happens.
struct Command {
    name: &'static str,
    room: Room,
    /// The repository before, of whose store an operation goes wrong.
    before: Arc<InMemory>,
    /// Another one that takes part.
    beside: Arc<InMemory>,
    run: Run,
    /// Whether the repository lacks something before, so that no check of it is without errors.
    damaged: bool,
    /// What can be read once it is done, where that is more than what can be read before.
    mended: Option<Held>,
    /// Snapshots that may go.
    given_up: Vec<SnapshotId>,
    /// Paths that may go.
    left_out: fn(&str) -> bool,
    /// Proves that it was done.
    done: fn(&Room, &Arc<InMemory>, &Arc<InMemory>),
}

impl Command {
    fn new(name: &'static str, room: Room, before: Arc<InMemory>, run: Run) -> Self {
        Self {
            name,
            room,
            before,
            beside: Arc::new(InMemory::new()),
            run,
            damaged: false,
            mended: None,
            given_up: Vec::new(),
            left_out: |_| false,
            done: |_, _, _| {},
        }
    }
}

/// What was tried, for the report.
#[derive(Default)]
struct Tally {
    tried: u32,
    /// The command was done in spite of it.
    survived: u32,
    longest: Duration,
}

impl Command {
    fn whatever_goes_wrong(self) {
        let begun = Instant::now();
        let held = self.room.held(self.before.clone());
        let mut tally = Tally::default();
        for operation in [
            Operation::Put,
            Operation::Get,
            Operation::List,
            Operation::Delete,
            Operation::Head,
        ] {
            for (offset, fault) in Fault::of(operation).iter().enumerate() {
                let (first, stride) = match thorough() {
                    true => (0, 1),
                    false => (offset % STRIDE, STRIDE),
                };
                let before = (tally.tried, tally.survived);
                for after in (first..).step_by(stride) {
                    let plan = Plan::new(operation, after, *fault);
                    if !self.one(operation, *fault, after, &plan, &held, &mut tally) {
                        break;
                    }
                }
                println!(
                    "| {} | {operation:?} {fault:?} | {} | {} |",
                    self.name,
                    tally.tried - before.0,
                    tally.survived - before.1
                );
            }
        }
        println!(
            "| {} | {} | {} | {:.1} s | {:.2} s |",
            self.name,
            tally.tried,
            tally.survived,
            begun.elapsed().as_secs_f64(),
            tally.longest.as_secs_f64()
        );
        assert!(tally.tried > 20, "too few to prove anything");
    }

    /// Whether the operation was reached.
    fn one(
        &self,
        operation: Operation,
        fault: Fault,
        after: usize,
        plan: &Arc<Plan>,
        held: &Held,
        tally: &mut Tally,
    ) -> bool {
        let Self { room, run, .. } = self;
        std::fs::remove_dir_all(room.path("target")).ok();
        let (store, beside) = (Arc::new(self.before.fork()), Arc::new(self.beside.fork()));
        let begun = Instant::now();
        let result = run(room, Faulty::over(store.clone(), plan), &beside);
        let took = begun.elapsed();
        let Some(path) = plan.hit() else {
            return false;
        };
        let what = format!(
            "{}: {operation:?} {after} of {path} {fault:?}: {result:?}",
            self.name
        );
        tally.tried += 1;
        tally.survived += u32::from(result.is_ok());
        tally.longest = tally.longest.max(took);
        assert!(took < LIMIT, "{what} took {took:?}");
        if fault == Fault::Loses {
            let is_of = |kind: &str| path.as_ref().starts_with(kind);
            let relied_on = match operation {
                // Whoever only reads relies on no lock.
                Operation::Put => !is_of("locks"),
                _ => is_of("index") || is_of("keys"),
            };
            assert!(result.is_err() || !relied_on, "{what}");
        }
        if let Err(error) = &result {
            assert_ne!(error.kind(), ErrorKind::Interrupted, "{what}");
            let harmless = matches!(fault, Fault::Delays | Fault::Repeats);
            assert!(!harmless, "{what}");
            // Of a process that dies, any of what it does at the same time may be told; and what a listing lacks, it does not tell.
            let names = error.to_string().contains(&name(&path));
            let lapsed = error.kind() == ErrorKind::Locked && path.as_ref().contains("locks");
            let other = matches!(fault, Fault::Dies | Fault::Stale);
            assert!(names || lapsed || other, "{what}");
        }
        let nothing_lost = |held: &Held, when| {
            let now = room.held(store.clone());
            for (id, readable) in held {
                let given_up = self.given_up.contains(id);
                let Some(now) = now.get(id) else {
                    assert!(given_up, "{what}: {id} is gone {when}");
                    continue;
                };
                for (path, about) in readable {
                    let same = now.get(path) == Some(about);
                    assert!(same || (self.left_out)(path), "{what}: {path} {when}");
                }
            }
        };
        nothing_lost(held, "at once");
        room.restored_is_right(held, &what);
        let is_whole = || {
            let errors = room.report(store.clone()).errors;
            assert!(self.damaged || errors.is_empty(), "{what}: {errors:?}");
        };
        is_whole();
        let mut again = run(room, store.clone(), &beside);
        if matches!(&again, Err(error) if error.kind() == ErrorKind::Locked) {
            let left = path.as_ref().contains("locks") || fault == Fault::Dies;
            assert!(left, "{what}: {again:?}");
            for store in [&store, &beside] {
                if let Ok(repository) = room.open(store.clone()) {
                    repository
                        .unlock(UnlockOptions {
                            all: true,
                            ..UnlockOptions::default()
                        })
                        .unwrap();
                }
            }
            again = run(room, store.clone(), &beside);
        }
        assert!(again.is_ok(), "{what}: again: {again:?}");
        nothing_lost(self.mended.as_ref().unwrap_or(held), "in the end");
        is_whole();
        (self.done)(room, &store, &beside);
        true
    }
}

/// What was told of items, as a failure.
fn told(errors: Vec<String>) -> Result<(), Error> {
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Error::NotFound(errors.join("; "))),
    }
}

fn is_whole(room: &Room, store: &Arc<InMemory>) {
    assert_eq!(room.report(store.clone()).errors, [""; 0]);
}

#[test]
fn a_key_that_cant_be_read_is_not_taken_for_one_that_does_not_open() {
    let room = Room::new();
    let store = room.init();
    let own = room.objects(&store, "keys").remove(0);
    for _ in 0..4 {
        room.add_key(&store);
    }
    // The config before, and the keys in any order.
    let failed = (1..=5).filter(|after| {
        let plan = Plan::new(Operation::Get, *after, Fault::Fails);
        let opened = room.open(Faulty::over(store.clone(), &plan));
        opened.is_err_and(|error| {
            assert_eq!(plan.hit(), Some(own.clone()));
            assert!(error.to_string().contains(&name(&own)), "{error}");
            true
        })
    });
    assert_eq!(failed.count(), 1);
}

#[test]
fn a_backup() {
    let room = Room::new();
    let before = room.with_history(2);
    room.change(2);
    let command = Command {
        done: |room, store, _| {
            // Nothing that is there twice would be the same snapshot.
            let held = room.held(store.clone());
            let mut contents = held.values();
            assert!(contents.any(|readable| readable.contains_key("/home/own/2/deep/small")));
        },
        ..Command::new("backup", room, before, |room, store, _| {
            room.back_up(store).map(drop)
        })
    };
    command.whatever_goes_wrong();
}

#[test]
fn a_check() {
    let room = Room::new();
    let before = room.with_history(3);
    let command = Command::new("check", room, before, |room, store, _| {
        let repository = room.open(store)?;
        let _lock = repository.lock(LockMode::Read)?;
        let options = CheckOptions::ALL;
        told(check(&repository, options, &Silent)?.errors)
    });
    command.whatever_goes_wrong();
}

pub(crate) fn restore(room: &Room, store: Arc<dyn ObjectStore>) -> Result<(), Error> {
    let repository = room.open(store)?;
    let _lock = repository.lock(LockMode::Read)?;
    let (_, snapshot) = repository.snapshot("latest")?;
    let node = find(&repository, &snapshot.tree, b"home")?.unwrap();
    let (target, options) = (room.path("target"), RestoreOptions::default());
    let restored = restore_node(&repository, &node, &target, None, &options, &Silent)?;
    let errors = restored.errors.into_iter();
    told(errors.map(|error| error.to_string()).collect())
}

#[test]
fn a_restore() {
    let room = Room::new();
    let before = room.with_history(3);
    let command = Command {
        done: |room, _, _| {
            for path in ["own/2/deep/small", "own/large", "same/large", "text"] {
                assert!(room.path("target").join(path).exists(), "{path}");
            }
        },
        ..Command::new("restore", room, before, |room, store, _| {
            restore(room, store)
        })
    };
    command.whatever_goes_wrong();
}

fn forget(room: &Room, store: Arc<dyn ObjectStore>) -> Result<(), Error> {
    let repository = room.open(store)?;
    let lock = repository.lock(LockMode::Exclusive)?;
    let mut snapshots = repository.snapshots()?;
    snapshots.truncate(snapshots.len().saturating_sub(1));
    let old: Vec<_> = snapshots.into_iter().map(|(id, _)| id).collect();
    repository.forget(&old, &lock)
}

/// All but the newest.
fn old(room: &Room, store: &Arc<InMemory>) -> Vec<SnapshotId> {
    let repository = room.open(store.clone()).unwrap();
    let mut snapshots = repository.snapshots().unwrap();
    snapshots.pop();
    snapshots.into_iter().map(|(id, _)| id).collect()
}

#[test]
fn a_forget() {
    let room = Room::new();
    let before = room.with_history(4);
    let command = Command {
        given_up: old(&room, &before),
        done: |room, store, _| assert_eq!(room.held(store.clone()).len(), 1),
        ..Command::new("forget", room, before, |room, store, _| forget(room, store))
    };
    command.whatever_goes_wrong();
}

fn prune_all(repository: &Repository, two_phase: Option<Duration>) -> Result<(), Error> {
    let options = PruneOptions {
        max_unused: MaxUnused::Bytes(0),
        two_phase,
        ..PruneOptions::default()
    };
    let lock = repository.lock(LockMode::Exclusive)?;
    prune(repository, &options, &lock, &Silent, &mut |_| {}).map(drop)
}

/// A repository of which a part of most packs is needed no longer.
fn pruneable(room: &Room) -> Arc<InMemory> {
    let before = room.with_history(4);
    forget(room, before.clone()).unwrap();
    before
}

/// Nothing that is not needed is left once all is pruned again: what a fault left behind goes then.
fn is_pruned(room: &Room, store: &Arc<InMemory>, _: &Arc<InMemory>) {
    let report = room.report(store.clone());
    assert_eq!((report.errors, report.hints), (vec![], vec![]));
}

#[test]
fn a_prune() {
    let room = Room::new();
    let before = pruneable(&room);
    let command = Command {
        done: is_pruned,
        ..Command::new("prune", room, before, |room, store, _| {
            prune_all(&room.open(store)?, None)
        })
    };
    command.whatever_goes_wrong();
}

#[test]
fn a_prune_in_two_phases() {
    let room = Room::new();
    let before = pruneable(&room);
    let command = Command {
        done: is_pruned,
        ..Command::new("prune in two phases", room, before, |room, store, _| {
            let repository = room.open(store)?;
            for _ in 0..2 {
                prune_all(&repository, Some(Duration::ZERO))?;
            }
            Ok(())
        })
    };
    command.whatever_goes_wrong();
}

fn copy_all(
    room: &Room,
    from: Arc<dyn ObjectStore>,
    to: Arc<dyn ObjectStore>,
) -> Result<(), Error> {
    let (source, target) = (room.open(from)?, room.open(to)?);
    let _reading = source.lock(LockMode::Read)?;
    let lock = target.lock(LockMode::Write)?;
    let snapshots = source.snapshots()?;
    let options = CopyOptions::default();
    let report = copy(&source, &target, snapshots, &lock, &options, &Silent)?;
    let damaged = report
        .snapshots
        .into_iter()
        .filter_map(|outcome| match outcome.copied {
            Copied::Damaged { reason } => Some(reason),
            _ => None,
        });
    told(damaged.collect())
}

fn are_the_same(room: &Room, one: &Arc<InMemory>, other: &Arc<InMemory>) {
    assert_eq!(room.held(one.clone()), room.held(other.clone()));
    is_whole(room, one);
    is_whole(room, other);
}

#[test]
fn a_copy_into_a_repository() {
    let room = Room::new();
    let beside = room.with_history(3);
    let before = room.init();
    let command = Command {
        beside,
        done: are_the_same,
        ..Command::new("copy, the target", room, before, |room, store, beside| {
            copy_all(room, beside.clone(), store)
        })
    };
    command.whatever_goes_wrong();
}

#[test]
fn a_copy_out_of_a_repository() {
    let room = Room::new();
    let before = room.with_history(3);
    let beside = room.init();
    let command = Command {
        beside,
        done: are_the_same,
        ..Command::new("copy, the source", room, before, |room, store, beside| {
            copy_all(room, store, beside.clone())
        })
    };
    command.whatever_goes_wrong();
}

#[test]
fn a_repair_of_the_index() {
    let room = Room::new();
    let before = room.with_history(3);
    let held = room.held(before.clone());
    let indexes = room.objects(&before, "index");
    room.delete(&before, &indexes[0]);
    let mut bytes = room.get(&before, &indexes[1]);
    bytes[40] ^= 1;
    room.put(&before, &indexes[1], bytes);
    let command = Command {
        damaged: true,
        mended: Some(held),
        done: |room, store, _| is_whole(room, store),
        ..Command::new("repair index", room, before, |room, store, _| {
            let repository = room.open(store)?;
            let lock = repository.lock(LockMode::Exclusive)?;
            let options = IndexRepairOptions::default();
            repair_index(&repository, &options, &lock, &Silent).map(drop)
        })
    };
    command.whatever_goes_wrong();
}

/// A repository whose newest snapshot has lost a file, and whose pack holds another one's.
fn hit(room: &Room) -> Arc<InMemory> {
    let before = room.with_history(3);
    let repository = room.open(before.clone()).unwrap();
    let (_, snapshot) = repository.snapshot("latest").unwrap();
    let node = find(&repository, &snapshot.tree, b"home/own/large").unwrap();
    let blob = node.unwrap().content[0];
    let location = repository.locate(BlobKind::Data, &blob).unwrap().unwrap();
    let packs = room.objects(&before, "data");
    let pack = packs
        .iter()
        .find(|pack| name(pack) == location.pack.to_string());
    let mut bytes = room.get(&before, pack.unwrap());
    bytes[location.offset as usize + 30] ^= 1;
    room.put(&before, pack.unwrap(), bytes);
    before
}

/// Repairs the packs that a check finds damaged; here it is known that it would.
fn repair_damaged_packs(room: &Room, store: Arc<dyn ObjectStore>) -> Result<(), Error> {
    let repository = room.open(store)?;
    let lock = repository.lock(LockMode::Exclusive)?;
    let report = check(&repository, CheckOptions::ALL, &Silent)?;
    let named = report.errors.iter().filter_map(|error| {
        let (_, rest) = error.split_once("pack ")?;
        rest.get(..64)?.parse::<PackId>().ok()
    });
    let packs: Vec<_> = named.collect();
    let options = PackRepairOptions {
        copies: room.path(""),
        ..PackRepairOptions::default()
    };
    repair_packs(&repository, &packs, &options, &lock, &Silent).map(drop)
}

#[test]
fn a_repair_of_packs() {
    let room = Room::new();
    let before = hit(&room);
    let command = Command {
        damaged: true,
        ..Command::new("repair packs", room, before, |room, store, _| {
            repair_damaged_packs(room, store)
        })
    };
    command.whatever_goes_wrong();
}

/// As the job engine does it.
pub(crate) fn repair_snapshots(room: &Room, store: Arc<dyn ObjectStore>) -> Result<(), Error> {
    let repository = room.open(store)?;
    let lock = repository.lock(LockMode::Exclusive)?;
    let snapshots = repository.snapshots()?;
    let mut repair = SnapshotRepair::new(&repository, |_| false)?;
    let writer = repository.writer(WriterOptions::default())?;
    let mut mended = Vec::new();
    for (id, mut snapshot) in snapshots {
        if !repair.losses(&snapshot.tree)?.is_empty() {
            snapshot.tree = repair.mend(&snapshot.tree, &[], Some(&writer))?;
            snapshot.original = Some(id);
            mended.push((id, snapshot));
        }
    }
    writer.finish()?;
    lock.check()?;
    replace(&repository, mended, &lock)
}

fn replace(
    repository: &Repository,
    new: Vec<(SnapshotId, copal_repository::format::snapshot::Snapshot)>,
    lock: &copal_repository::LockGuard,
) -> Result<(), Error> {
    let mut old = Vec::new();
    for (id, snapshot) in new {
        repository.save_snapshot(&snapshot)?;
        old.push(id);
    }
    repository.forget(&old, lock)
}

#[test]
fn a_repair_of_snapshots() {
    let room = Room::new();
    let before = hit(&room);
    repair_damaged_packs(&room, before.clone()).unwrap();
    let command = Command {
        damaged: true,
        done: |room, store, _| is_whole(room, store),
        ..Command::new("repair snapshots", room, before, |room, store, _| {
            repair_snapshots(room, store)
        })
    };
    command.whatever_goes_wrong();
}

#[test]
fn a_change_of_the_password() {
    let room = Room::new();
    let before = room.with_history(2);
    let command = Command::new("key passwd", room, before, |room, store, _| {
        let left = room.change_password(store)?.left;
        told(left.iter().map(ToString::to_string).collect())
    });
    command.whatever_goes_wrong();
}

struct WithoutOwn;

impl Edit for WithoutOwn {
    fn entry(&mut self, path: &[u8], _: &Node) -> Result<Fate, Error> {
        Ok(match path {
            b"home/own" => Fate::Drop,
            _ => Fate::Keep,
        })
    }
}

#[test]
fn a_rewrite() {
    let room = Room::new();
    let before = room.with_history(3);
    let command = Command {
        left_out: |path| path.starts_with("/home/own"),
        done: |room, store, _| {
            for readable in room.held(store.clone()).values() {
                assert!(!readable.contains_key("/home/own"));
            }
        },
        ..Command::new("rewrite", room, before, |room, store, _| {
            let repository = room.open(store)?;
            let lock = repository.lock(LockMode::Exclusive)?;
            let snapshots = repository.snapshots()?;
            let writer = repository.writer(WriterOptions::default())?;
            let mut new = Vec::new();
            for (id, mut snapshot) in snapshots {
                let old = snapshot.tree;
                snapshot.tree = rewrite(&repository, &old, &mut WithoutOwn, Some(&writer))?;
                // Once and for all: what was made of it before is made of the first.
                snapshot.original = snapshot.original.or(Some(id));
                if snapshot.tree != old {
                    new.push((id, snapshot));
                }
            }
            writer.finish()?;
            lock.check()?;
            replace(&repository, new, &lock)
        })
    };
    command.whatever_goes_wrong();
}
