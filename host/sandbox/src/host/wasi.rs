//! WASI 0.2 for the plugins that import it, with nothing granted: no directories, no network, no environment, no arguments.
//! What they print goes into the log line by line. Clocks and random numbers are the host's.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::io::poll as unbounded;
use wasmtime_wasi::p2::bindings::sync::io::poll;
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult, add_to_linker_sync};
use wasmtime_wasi::runtime::in_tokio;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use super::log::Log;
use crate::state::{Expired, State};

/// Random bytes that may be asked for at once: the host makes them all before it hands them over.
const MAX_RANDOM: u64 = 1 << 20;

/// Bytes that a line of output may have before it is logged in pieces.
const MAX_LINE: usize = 4 << 10;

/// What a plugin gets to see.
pub(crate) fn context(log: &Log) -> WasiCtx {
    WasiCtxBuilder::new()
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(MAX_RANDOM)
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
        in_tokio(async move { tokio::time::timeout(left, wait(handles)).await })
            .map_err(|_| Expired)?
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
