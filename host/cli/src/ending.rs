//! What is done where the operator, or the system, ends the program.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use copal_repository::{Error, Repository, WeakRepository};
use tokio::signal::unix::Signal;

use crate::failure::INTERRUPTED;
use crate::output;

/// How long a storage that does not answer may keep the program from ending.
const PATIENCE: Duration = Duration::from_secs(1);

/// How soon the program's other threads see that it ends.
pub(crate) const MOMENT: Duration = Duration::from_millis(20);

/// Ends the work, or the program, whenever one of these signals comes.
pub(crate) async fn heed(mut signals: Signal, ending: Arc<Ending>) {
    while signals.recv().await.is_some() {
        ending.end(INTERRUPTED.into()).await;
    }
}

/// What an end ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The program, at once.
    Program,
    /// The work, which has something to take back.
    Work,
    /// The program, as soon as it holds no lock any more: that has begun.
    Near,
}

/// How the program ends before it is done.
#[derive(Debug)]
pub(crate) struct Ending {
    way: Mutex<Way>,
    cancel: Arc<AtomicBool>,
    repositories: Mutex<Vec<WeakRepository>>,
    /// Whether it says so to machines.
    json: bool,
}

impl Ending {
    /// `cancel` is what asks the work to end.
    pub(crate) fn new(cancel: Arc<AtomicBool>, json: bool) -> Self {
        Self {
            way: Mutex::new(Way::Program),
            cancel,
            repositories: Mutex::default(),
            json,
        }
    }

    /// From now on the work is asked to end, which has something to take back.
    pub(crate) fn ends_work(&self) {
        {
            let mut way = lock(&self.way);
            if *way == Way::Program {
                *way = Way::Work;
            }
        }
        self.give_way();
    }

    /// Returns unless the program is about to end: then nothing more is begun, and what the work says of locks that are gone is of no interest.
    pub(crate) fn give_way(&self) {
        while *lock(&self.way) == Way::Near {
            std::thread::sleep(MOMENT);
        }
    }

    /// The program may hold locks by it.
    pub(crate) fn remember(&self, repository: &Repository) {
        let mut repositories = lock(&self.repositories);
        repositories.retain(|other| other.upgrade().is_some());
        repositories.push(repository.downgrade());
    }

    /// Asks the work to end, or where there is none to take back ends the program with this exit code, once it holds no lock any more.
    pub(crate) async fn end(&self, code: i32) {
        self.cancel.store(true, Ordering::Relaxed);
        let is_first = {
            let mut way = lock(&self.way);
            if *way == Way::Work {
                return;
            }
            std::mem::replace(&mut *way, Way::Near) == Way::Program
        };
        let repositories: Vec<_> = {
            let repositories = lock(&self.repositories);
            repositories
                .iter()
                .filter_map(WeakRepository::upgrade)
                .collect()
        };
        let abandon = async {
            for repository in repositories {
                repository.abandon_locks().await;
            }
        };
        if tokio::time::timeout(PATIENCE, abandon).await.is_err() {
            tracing::warn!("the storage does not answer: locks may stay until they are stale");
        }
        // Whoever asked for a password puts the terminal in order.
        tokio::time::sleep(MOMENT).await;
        if is_first && code == i32::from(INTERRUPTED) {
            let json = self.json;
            let said = std::thread::spawn(move || {
                output::failure(&Error::Interrupted.into(), json);
            });
            // Nobody may be reading.
            for _ in 0..10 {
                if said.is_finished() {
                    break;
                }
                tokio::time::sleep(MOMENT).await;
            }
        }
        std::process::exit(code);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
