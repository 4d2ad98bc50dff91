//! One instance of a plugin in a store of its own, and what its traps mean.

use std::sync::Arc;

use wasmtime::{Store, Trap};
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
        let mut store = State::store(plugin.engine(), Log::new(plugin.label()), probing);
        State::begin(&mut store);
        match plugin.prepared().instantiate(&mut store) {
            Ok(exports) => Ok(Self { store, exports }),
            Err(error) => Err(explain(&mut store, call, error)),
        }
    }

    /// Calls one function of the contract, against its deadline.
    pub(crate) fn call<T>(
        &mut self,
        call: &'static str,
        function: impl FnOnce(&bindings::Plugin, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        State::begin(&mut self.store);
        function(&self.exports, &mut self.store)
            .map_err(|error| explain(&mut self.store, call, error))
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

/// Says what ended a call. The one place that knows of wasmtime's errors.
fn explain(store: &mut Store<State>, call: &'static str, error: wasmtime::Error) -> Error {
    let state = store.data();
    if let Some(error) = error.downcast_ref::<Error>() {
        return error.clone();
    }
    if error.is::<Expired>() {
        let clock = &state.clock;
        return if clock.is_host_worn_out() {
            let limit = clock.host_limit;
            Error::Looking { call, limit }
        } else {
            let limit = clock.limit;
            Error::Deadline { call, limit }
        };
    }
    if state.memory.refused {
        let limit = state.memory.limit;
        return Error::Memory { call, limit };
    }
    let end = if let Some(trap) = error.downcast_ref::<Trap>() {
        match trap {
            Trap::StackOverflow => "it ran out of stack, as by endless recursion".to_owned(),
            Trap::UnreachableCodeReached => "it gave up (`unreachable`)".to_owned(),
            trap => trap.to_string(),
        }
    } else if let Some(I32Exit(code)) = error.downcast_ref() {
        format!("it ended itself with exit code {code}")
    } else {
        let rule = format!(
            "what it passed to the host can't be taken: {} (at most {} MiB may be passed at once)",
            error.root_cause(),
            MAX_PASSED >> 20
        );
        return Error::Contract { call, rule };
    };
    let message = match state.log.last_words() {
        Some(words) => format!("{words} ({end})"),
        None => end,
    };
    Error::Trap { call, message }
}
