//! The same work on many things, on as many threads as help.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use crate::backend::Backend;

/// How many threads the system runs at a time. It takes longer to say so than to store a small file, so it is asked once.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Threads for work that waits for a store as well as it computes.
pub(crate) fn threads() -> usize {
    cores() * 2
}

/// Threads for work that fetches parts of packs and computes less than it waits: while one computes, the others keep the connections busy.
pub(crate) fn fetch_threads(backend: &Backend) -> usize {
    threads().max(backend.connections() + 1)
}

/// Threads for work on whole packs, which compute most of the time and hold much memory.
pub(crate) fn pack_threads(backend: &Backend) -> usize {
    cores().max(backend.connections())
}

/// Calls `work` with each item on several threads. Results come in the order of the items; the first failure stops all.
pub(crate) fn map<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    map_on(threads(), items, work)
}

/// As [`map`], on so many threads.
pub(crate) fn map_on<T: Sync, R: Send, E: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new((Vec::with_capacity(items.len()), None));
    let worker = || {
        while let Some((index, item)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, item))
        } {
            let result = work(item);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(result) => results.0.push((index, result)),
                Err(error) => {
                    next.store(items.len(), Ordering::Relaxed);
                    results.1.get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(worker);
        }
        worker();
    });
    let (mut results, error) = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = error {
        return Err(error);
    }
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// What is left to do for [`spread`].
struct Left<T, E> {
    items: Vec<T>,
    /// Threads that may still add some.
    working: usize,
    error: Option<E>,
}

/// Calls `work` with each item, on several threads, the latest first; it may add more. The first failure stops all.
pub(crate) fn spread<T: Send, E: Send>(
    items: Vec<T>,
    work: impl Fn(T, &mut Vec<T>) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let left = Mutex::new(Left {
        items,
        working: 0,
        error: None,
    });
    let changed = Condvar::new();
    let take = || {
        let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if left.error.is_some() {
                return None;
            }
            if let Some(item) = left.items.pop() {
                left.working += 1;
                return Some(item);
            }
            if left.working == 0 {
                return None;
            }
            left = changed.wait(left).unwrap_or_else(PoisonError::into_inner);
        }
    };
    let worker = || {
        let mut more = Vec::new();
        while let Some(item) = take() {
            let worked = work(item, &mut more);
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            left.items.append(&mut more);
            left.working -= 1;
            if let Err(error) = worked {
                left.error.get_or_insert(error);
            }
            changed.notify_all();
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads() {
            scope.spawn(worker);
        }
        worker();
    });
    let left = left.into_inner().unwrap_or_else(PoisonError::into_inner);
    left.error.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_makes_more_work_is_all_done_and_a_failure_ends_it() {
        let done = AtomicUsize::new(0);
        let halve = |number: usize, more: &mut Vec<usize>| {
            done.fetch_add(1, Ordering::Relaxed);
            if number > 1 {
                more.extend([number / 2, number - number / 2]);
            }
            if number == 0 { Err("nothing") } else { Ok(()) }
        };
        assert_eq!(spread(vec![1_000, 24], halve), Ok(()));
        assert_eq!(done.load(Ordering::Relaxed), 2 * 1_024 - 2);
        assert_eq!(spread(vec![10, 0, 10], halve), Err("nothing"));
        assert_eq!(spread(vec![], halve), Ok(()));
    }
}
