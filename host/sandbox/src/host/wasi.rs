//! WASI 0.2 for the plugins that import it, with nothing granted: no directories, no network, no environment, no arguments.
//! What they print goes into the log line by line. Clocks and random numbers are the same in every instance, so that what a plugin computes depends on
//! nothing but what the contract hands to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::io::AsyncWrite;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::io::poll as unbounded;
use wasmtime_wasi::p2::bindings::sync::io::poll;
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult, add_to_linker_sync};
use wasmtime_wasi::runtime::in_tokio;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use super::log::Log;
use crate::state::{Expired, State};

/// Random bytes that may be asked for at once: the host makes them all before it hands them over.
const MAX_RANDOM: u64 = 1 << 20;

/// Where the random numbers of every instance begin.
const SEED: u64 = 0;

/// Nanoseconds by which each look at the monotonic clock moves it on, so that a loop that waits for it comes to an end.
const STEP: u64 = 1_000_000;

/// Bytes that a line of output may have before it is logged in pieces.
const MAX_LINE: usize = 4 << 10;

/// What a plugin gets to see.
pub(crate) fn context(log: &Log, clock: Monotonic) -> WasiCtx {
    WasiCtxBuilder::new()
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(MAX_RANDOM)
        .secure_random(StdRng::seed_from_u64(SEED))
        .insecure_random(StdRng::seed_from_u64(SEED))
        .insecure_random_seed(SEED.into())
        .wall_clock(Epoch)
        .monotonic_clock(clock)
        .stdout(Stdio {
            log: log.clone(),
            write: Log::stdout,
        })
        .stderr(Stdio {
            log: log.clone(),
            write: Log::stderr,
        })
        .build()
}

/// A wall clock that stands at 1970-01-01T00:00:00Z. The time of a backup or restore stands in its request.
struct Epoch;

impl HostWallClock for Epoch {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

/// A clock that tells how often it was looked at and how long the instance has slept, in nanoseconds. Clones are the same clock.
#[derive(Clone, Default)]
pub(crate) struct Monotonic(Arc<AtomicU64>);

impl Monotonic {
    /// Moves it on by the time that a sleep took, in whole steps and at least that long.
    fn slept(&self, time: Duration) {
        let steps = time.as_nanos().div_ceil(STEP.into());
        let steps = u64::try_from(steps).unwrap_or_default();
        self.0
            .fetch_add(steps.saturating_mul(STEP), Ordering::Relaxed);
    }
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        STEP
    }

    fn now(&self) -> u64 {
        self.0.fetch_add(STEP, Ordering::Relaxed)
    }
}

/// Adds all of `wasi:cli/imports`.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    add_to_linker_sync(linker)?;
    // WASI's own would let a guest sleep beyond its deadline.
    linker.allow_shadowing(true);
    poll::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl State {
    /// Waits for something of WASI's, for as long as the call may still take.
    fn wait<'a, T>(
        &'a mut self,
        wait: impl AsyncFnOnce(&'a mut wasmtime::component::ResourceTable) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        let left = self.clock.left().unwrap_or(Duration::ZERO);
        let handles = &mut self.handles;
        let began = Instant::now();
        let waited = in_tokio(async move { tokio::time::timeout(left, wait(handles)).await });
        self.wasi_clock.slept(began.elapsed());
        waited.map_err(|_| Expired)?
    }
}

impl poll::Host for State {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.wait(async |handles| unbounded::Host::poll(handles, pollables).await)
    }
}

impl poll::HostPollable for State {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        poll::HostPollable::ready(&mut self.handles, pollable)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.wait(async |handles| unbounded::HostPollable::block(handles, pollable).await)
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(&mut self.handles, pollable)
    }
}

/// Standard output or standard error, going into the log.
#[derive(Clone)]
struct Stdio {
    log: Log,
    write: fn(&Log, &str),
}

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for it, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines {
            to: self.clone(),
            line: vec![],
        })
    }
}

/// Cuts what is written into lines.
struct Lines {
    to: Stdio,
    line: Vec<u8>,
}

impl Lines {
    fn end_line(&mut self) {
        let Stdio { log, write } = &self.to;
        write(log, &String::from_utf8_lossy(&self.line));
        self.line.clear();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        for byte in bytes {
            if byte == b'\n' || self.line.len() == MAX_LINE {
                self.end_line();
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_LINE)
    }
}
