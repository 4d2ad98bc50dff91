//! What is done where the operator, or the system, ends the program.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use copal_repository::Repository;
use tokio::signal::unix::Signal;

use crate::failure::INTERRUPTED;

/// How long a storage that does not answer may keep the program from ending.
const PATIENCE: Duration = Duration::from_secs(1);

/// Ends the work, or the program, whenever one of these signals comes.
pub(crate) async fn heed(mut signals: Signal, ending: Arc<Ending>) {
    while signals.recv().await.is_some() {
        ending.end(INTERRUPTED.into()).await;
    }
}

/// How the program ends before it is done.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Whether the work is asked to end, because it has something to take back.
    ends_work: AtomicBool,
    cancel: Arc<AtomicBool>,
    /// Whether the program ends as soon as it holds no lock any more.
    is_near: AtomicBool,
    repositories: Mutex<Vec<Repository>>,
}

impl Ending {
    /// `cancel` is what asks the work to end.
    pub(crate) fn new(cancel: Arc<AtomicBool>) -> Self {
        Self {
            ends_work: AtomicBool::new(false),
            cancel,
            is_near: AtomicBool::new(false),
            repositories: Mutex::default(),
        }
    }

    /// From now on the work is asked to end.
    pub(crate) fn ends_work(&self) {
        self.ends_work.store(true, Ordering::Relaxed);
    }

    /// Returns unless the program is about to end: what the work says once its locks are gone is of no interest.
    pub(crate) fn give_way(&self) {
        while self.is_near.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The program may hold locks by it.
    pub(crate) fn remember(&self, repository: Repository) {
        let repositories = self.repositories.lock();
        let mut repositories = repositories.unwrap_or_else(PoisonError::into_inner);
        repositories.push(repository);
    }

    /// Asks the work to end, or where there is none to take back ends the program with this exit code, once it holds no lock any more.
    pub(crate) async fn end(&self, code: i32) {
        self.cancel.store(true, Ordering::Relaxed);
        if self.ends_work.load(Ordering::Relaxed) {
            return;
        }
        self.is_near.store(true, Ordering::Relaxed);
        let repositories = self.repositories.lock();
        let repositories = repositories.unwrap_or_else(PoisonError::into_inner).clone();
        let abandon = async {
            for repository in repositories {
                repository.abandon_locks().await;
            }
        };
        if tokio::time::timeout(PATIENCE, abandon).await.is_err() {
            tracing::warn!("the storage does not answer: locks may stay until they are stale");
        }
        std::process::exit(code);
    }
}
