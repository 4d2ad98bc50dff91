//! One instance of a plugin in a store of its own, and what its traps mean.

use std::io;
use std::sync::Arc;

use wasmtime::{OutOfMemory, Store, Trap};
use wasmtime_wasi::I32Exit;

use crate::Error;
use crate::bindings;
use crate::host::log::Log;
use crate::host::process::Probing;
use crate::host::tree::Handle;
use crate::plugin::Plugin;
use crate::state::{Expired, MAX_PASSED, State};
use crate::tree::Tree;

/// A running plugin. After an error that is not the plugin's own answer it must not be called again.
pub(crate) struct Instance {
    store: Store<State>,
    exports: bindings::Plugin,
}

impl Instance {
    /// Instantiates a plugin for `call`.
    pub(crate) fn new(
        plugin: &Plugin,
        probing: Option<Probing>,
        call: &'static str,
    ) -> Result<Self, Error> {
        let limit = plugin.engine().options().memory_limit;
        let overhead = plugin.overhead();
        if overhead > limit {
            return Err(Error::Memory { call, limit });
        }
        let log = Log::new(plugin.label());
        let mut store = State::store(plugin.engine(), overhead, log, probing);
        State::begin(&mut store);
        match plugin.prepared().instantiate(&mut store) {
            Ok(exports) => Ok(Self { store, exports }),
            Err(error) => Err(ended(&mut store, call, &error).unwrap_or_else(|| {
                let cause = error.root_cause();
                Error::Incompatible(format!("it can't be instantiated: {cause}"))
            })),
        }
    }

    /// Bytes that all of its memories have, and what the host takes for it beside them.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().memory.used
    }

    /// Calls one function of the contract, against its deadline.
    pub(crate) fn call<T>(
        &mut self,
        call: &'static str,
        function: impl FnOnce(&bindings::Plugin, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        State::begin(&mut self.store);
        function(&self.exports, &mut self.store).map_err(|error| {
            ended(&mut self.store, call, &error).unwrap_or_else(|| Error::Contract {
                call,
                rule: passed(&error),
            })
        })
    }
}

/// Hands trees over to the guest, which then owns the handles.
pub(crate) fn hand_over(
    store: &mut Store<State>,
    trees: Vec<Arc<dyn Tree>>,
) -> wasmtime::Result<Vec<wasmtime::component::Resource<Handle>>> {
    let handles = &mut store.data_mut().handles;
    trees
        .into_iter()
        .map(|tree| Ok(handles.push(Handle(tree))?))
        .collect()
}

/// Says what ended a call, where it is not how the plugin and the host understood each other. The one place, with [`passed`], that knows of wasmtime's
/// errors.
fn ended(store: &mut Store<State>, call: &'static str, error: &wasmtime::Error) -> Option<Error> {
    let state = store.data();
    if let Some(error) = error.downcast_ref::<Error>() {
        return Some(error.clone());
    }
    if error.is::<Expired>() {
        let clock = &state.clock;
        return Some(if clock.host_left().is_none() {
            let limit = clock.host_limit;
            Error::Looking { call, limit }
        } else {
            let limit = clock.limit;
            Error::Deadline { call, limit }
        });
    }
    if state.memory.refused {
        let limit = state.memory.limit;
        return Some(Error::Memory { call, limit });
    }
    let cause = error.root_cause();
    if cause.is::<io::Error>() || cause.is::<OutOfMemory>() {
        return Some(Error::Host(format!("in the plugin's `{call}`: {cause}")));
    }
    let end = if let Some(trap) = error.downcast_ref::<Trap>() {
        match trap {
            Trap::StackOverflow => "it ran out of stack, as by endless recursion".to_owned(),
            Trap::UnreachableCodeReached => "it gave up (`unreachable`)".to_owned(),
            trap => trap.to_string(),
        }
    } else {
        let I32Exit(code) = error.downcast_ref()?;
        format!("it ended itself with exit code {code}")
    };
    let message = match state.log.last_words() {
        Some(words) => format!("{words} ({end})"),
        None => end,
    };
    Some(Error::Trap { call, message })
}

/// What is wrong with what a plugin passed to the host: text that is none, a handle that it does not have, or too much.
fn passed(error: &wasmtime::Error) -> String {
    let cause = error.root_cause().to_string();
    // wasmtime keeps the type of this error to itself.
    if cause.contains("fuel allocated for hostcalls") {
        let limit = MAX_PASSED >> 20;
        return format!(
            "it passed too much to the host; at most {limit} MiB may be passed at once"
        );
    }
    format!("what it passed to the host can't be taken: {cause}")
}
