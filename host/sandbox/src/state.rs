//! What belongs to one store: its limits, its clock, its log, its handles.

use std::time::{Duration, Instant};

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::engine::{Engine, TICK};
use crate::extent::MAX_INSTANCES;
use crate::host::log::Log;
use crate::host::process::Probing;
use crate::host::wasi;

/// Bytes that a plugin may pass to the host at once, whether as an answer or as an argument: the 16 MiB that the contract allows to a
/// filter, and room for what describes them.
pub(crate) const MAX_PASSED: usize = (16 << 20) + (64 << 10);

/// Handles that one store may hold; far above what any plugin of ours needs.
const MAX_HANDLES: usize = 10_000;

/// Elements of all tables of a store. A table holds a component's function pointers.
const MAX_TABLE_ELEMENTS: usize = 1_000_000;

/// The data of one store.
pub(crate) struct State {
    pub(crate) handles: ResourceTable,
    pub(crate) memory: Memory,
    pub(crate) clock: Clock,
    pub(crate) log: Log,
    /// None during a pass, where the contract has nothing to probe for.
    pub(crate) probing: Option<Probing>,
    /// Made when first asked for: most plugins import no WASI.
    wasi: Option<WasiCtx>,
    pub(crate) wasi_clock: wasi::Monotonic,
}

impl State {
    /// A store in which one instance of a plugin may run, which takes `overhead` bytes beside its memories.
    pub(crate) fn store(
        engine: &Engine,
        overhead: usize,
        log: Log,
        probing: Option<Probing>,
    ) -> Store<Self> {
        let options = engine.options();
        let mut handles = ResourceTable::new();
        handles.set_max_capacity(MAX_HANDLES);
        let state = Self {
            handles,
            memory: Memory::new(options.memory_limit, overhead),
            clock: Clock::new(options.call_deadline, options.look_deadline),
            log,
            probing,
            wasi: None,
            wasi_clock: wasi::Monotonic::default(),
        };
        let mut store = Store::new(engine.wasmtime(), state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(MAX_PASSED);
        store.set_max_component_handles(MAX_HANDLES);
        store.epoch_deadline_callback(|store| match store.data().clock.left() {
            Some(left) => Ok(UpdateDeadline::Continue(ticks(left))),
            None => Err(Expired.into()),
        });
        store
    }

    /// Begins a call: its time starts now, and what earlier calls met is forgotten.
    pub(crate) fn begin(store: &mut Store<Self>) {
        let state = store.data_mut();
        state.clock.begin();
        state.memory.refused = false;
        state.log.forget();
        let ticks = ticks(state.clock.limit);
        store.set_epoch_deadline(ticks);
    }

    /// Does something for the guest at the host's expense; the call ends where that took longer than the host works for one.
    pub(crate) fn at_host_expense<T>(&mut self, work: impl FnOnce() -> T) -> wasmtime::Result<T> {
        let done = self.clock.pause(work);
        match self.clock.host_left() {
            Some(_) => Ok(done),
            None => Err(Expired.into()),
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: self
                .wasi
                .get_or_insert_with(|| wasi::context(&self.log, self.wasi_clock.clone())),
            table: &mut self.handles,
        }
    }
}

/// The ticks after which this time has passed for sure.
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX / 2) + 1
}

/// Raised in a guest whose time is over.
#[derive(Debug, thiserror::Error)]
#[error("the time of the call is over")]
pub(crate) struct Expired;

/// Counts the time that a call spends in the guest, and what the host spends for it.
pub(crate) struct Clock {
    pub(crate) limit: Duration,
    pub(crate) host_limit: Duration,
    began: Instant,
    in_host: Duration,
}

impl Clock {
    fn new(limit: Duration, host_limit: Duration) -> Self {
        Self {
            limit,
            host_limit,
            began: Instant::now(),
            in_host: Duration::ZERO,
        }
    }

    fn begin(&mut self) {
        *self = Self::new(self.limit, self.host_limit);
    }

    /// What the guest may still use; none where its time is over, or the host's for it.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.host_left()?;
        let used = self.began.elapsed().saturating_sub(self.in_host);
        self.limit.checked_sub(used).filter(|left| !left.is_zero())
    }

    /// For how long the host may still work for this call; none where it may not.
    pub(crate) fn host_left(&self) -> Option<Duration> {
        self.host_limit
            .checked_sub(self.in_host)
            .filter(|left| !left.is_zero())
    }

    fn pause<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.in_host += began.elapsed();
        done
    }
}

/// Limits what all memories and tables of a store hold together, and remembers a refusal: what a guest does after one is seldom clear.
pub(crate) struct Memory {
    pub(crate) limit: usize,
    pub(crate) refused: bool,
    pub(crate) used: usize,
    table_elements: usize,
}

impl Memory {
    fn new(limit: usize, used: usize) -> Self {
        Self {
            limit,
            refused: false,
            used,
            table_elements: 0,
        }
    }

    /// Grows `used` by the difference unless that passes the limit.
    fn grow(used: &mut usize, current: usize, desired: usize, limit: usize) -> bool {
        let after = used.saturating_add(desired.saturating_sub(current));
        let fits = after <= limit;
        if fits {
            *used = after;
        }
        fits
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = Self::grow(&mut self.used, current, desired, self.limit);
        self.refused |= !fits;
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = Self::grow(
            &mut self.table_elements,
            current,
            desired,
            MAX_TABLE_ELEMENTS,
        );
        self.refused |= !fits;
        Ok(fits)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        1_000
    }

    fn memories(&self) -> usize {
        64
    }
}
