//! What was read last, as much of it as fits.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The lock, also if a thread that held it panicked: what it guards is never half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that a value takes besides its own, roughly.
const SLOT: usize = 400;

/// Values by key, of which those that were not asked for longest go first. Whoever asks for what another is loading waits for it.
///
/// A value counts for no more than half of the limit: one that is larger stays beside small ones for as long as it is asked for, or a large directory
/// would be read anew for each of those in it.
pub(crate) struct Cache<K, V> {
    state: Mutex<State<K, V>>,
    /// Bytes that it may hold.
    limit: usize,
}

struct State<K, V> {
    slots: HashMap<K, Slot<V>>,
    /// Keys by when they were asked for last.
    order: BTreeMap<u64, K>,
    clock: u64,
    bytes: usize,
}

struct Slot<V> {
    value: Arc<Mutex<Option<V>>>,
    asked: u64,
    /// 0 until it is loaded.
    bytes: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            state: Mutex::new(State {
                slots: HashMap::new(),
                order: BTreeMap::new(),
                clock: 0,
                bytes: 0,
            }),
            limit,
        }
    }

    /// The value, which `load` gives with its size in bytes if it is not there.
    pub(crate) fn get<E>(
        &self,
        key: &K,
        load: impl FnOnce() -> Result<(V, usize), E>,
    ) -> Result<V, E> {
        let slot = lock(&self.state).touch(key);
        let mut value = lock(&slot);
        if let Some(value) = &*value {
            return Ok(value.clone());
        }
        let loaded = load();
        let mut state = lock(&self.state);
        match loaded {
            Ok((loaded, bytes)) => {
                *value = Some(loaded.clone());
                let bytes = (bytes + SLOT).min(self.limit / 2);
                state.weigh(key, bytes, self.limit);
                Ok(loaded)
            }
            Err(error) => {
                state.remove(key);
                Err(error)
            }
        }
    }
}

impl<K: Clone + Eq + Hash, V> State<K, V> {
    fn touch(&mut self, key: &K) -> Arc<Mutex<Option<V>>> {
        self.clock += 1;
        let now = self.clock;
        let slot = self.slots.entry(key.clone()).or_insert_with(|| Slot {
            value: Arc::default(),
            asked: now,
            bytes: 0,
        });
        self.order.remove(&slot.asked);
        slot.asked = now;
        self.order.insert(now, key.clone());
        Arc::clone(&slot.value)
    }

    /// Notes the size of what was loaded, and lets go of the oldest until all fits.
    fn weigh(&mut self, key: &K, bytes: usize, limit: usize) {
        if let Some(slot) = self.slots.get_mut(key) {
            self.bytes += bytes - slot.bytes.min(bytes);
            slot.bytes = bytes;
        }
        while self.bytes > limit
            && let Some((_, oldest)) = self.order.first_key_value()
        {
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some(slot) = self.slots.remove(key) {
            self.order.remove(&slot.asked);
            self.bytes -= slot.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn what_was_not_asked_for_longest_goes_first() {
        let cache = Cache::new(10 + 3 * SLOT);
        let loads = AtomicUsize::new(0);
        let get = |key: u8| {
            let load = || {
                loads.fetch_add(1, Ordering::Relaxed);
                Ok::<_, ()>((key, 4))
            };
            assert_eq!(cache.get(&key, load), Ok(key));
            loads.load(Ordering::Relaxed)
        };
        assert_eq!([get(1), get(2), get(1)], [1, 2, 2]);
        // The third drives out the second.
        assert_eq!([get(3), get(1), get(2)], [3, 3, 4]);
        assert_eq!(lock(&cache.state).bytes, 2 * (4 + SLOT));
    }

    #[test]
    fn what_is_larger_than_all_that_fits_stays_beside_what_is_small_while_it_is_asked_for() {
        let cache = Cache::new(8 * SLOT);
        let get = |key: u8, bytes| cache.get(&key, || Ok::<_, ()>((key, bytes)));
        let has = |key: u8| cache.get(&key, || Err(())).is_ok();
        get(0, 1 << 30).unwrap();
        for small in 1..20 {
            get(small, 0).unwrap();
            assert!(has(0) && has(small), "{small}");
        }
        assert!(has(16) && !has(15), "four fit beside it");
        for small in 20..28 {
            get(small, 0).unwrap();
        }
        assert!(!has(0));
        assert_eq!(lock(&cache.state).bytes, 8 * SLOT);
    }

    #[test]
    fn a_failure_is_not_kept() {
        let cache = Cache::new(10 * SLOT);
        assert_eq!(cache.get(&1, || Err::<(u8, usize), _>(())), Err(()));
        assert_eq!(cache.get(&1, || Ok::<_, ()>((1, 1))), Ok(1));
    }
}
