//! A worker's run over a tree: the calls of `copal:plugin/transform`.

use wasmtime::Store;
use wasmtime::component::ResourceAny;

use crate::bindings::exports::copal::plugin::transform::Guest;
use crate::instance::Instance;
use crate::plugin::Plugin;
use crate::state::State;
use crate::types::{Direction, Entry, Failure, Finding, Member, Verdict};
use crate::{Error, validate};

/// Entries that one call of `classify` may bring.
const MAX_BATCH: usize = 1_024;

/// Bytes that one call of `push` may bring.
const MAX_CHUNK: usize = 1 << 20;

/// A pass of one worker, in a store of its own. Once it trapped, ran out of time or broke the contract, every call returns that same error.
pub struct Pass(Result<Live, Error>);

struct Live {
    instance: Instance,
    pass: ResourceAny,
    filter: Option<Filter>,
}

struct Filter {
    handle: ResourceAny,
    /// Bytes that it has returned.
    returned: u64,
    /// Before this, no further member may begin.
    taken: u64,
}

impl Pass {
    pub(crate) fn start(
        plugin: &Plugin,
        direction: Direction,
        state: &[u8],
    ) -> Result<Self, Error> {
        const CALL: &str = "pass.start";
        let mut instance = Instance::new(plugin, None, CALL)?;
        let pass = instance
            .call(CALL, |plugin, store| {
                plugin
                    .copal_plugin_transform()
                    .pass()
                    .call_start(store, direction.into(), state)
            })?
            .map_err(validate::failure)?;
        Ok(Self(Ok(Live {
            instance,
            pass,
            filter: None,
        })))
    }

    /// One verdict for each entry, in their order. All entries are of one directory of `root`.
    pub fn classify(&mut self, root: &str, entries: &[Entry]) -> Result<Vec<Verdict>, Error> {
        let mut verdicts = Vec::with_capacity(entries.len());
        for batch in entries.chunks(MAX_BATCH) {
            let answer = self.call(
                "pass.classify",
                |live| Ok(live.pass),
                |transform, store, pass| transform.pass().call_classify(store, pass, root, batch),
                |answer| validate::verdicts(answer, batch.len()),
            )?;
            verdicts.extend(answer);
        }
        Ok(verdicts)
    }

    /// Opens a filter for the content of a file whose verdict said so; it takes the place of one that is open.
    pub fn open(&mut self, root: &str, entry: &Entry) -> Result<(), Error> {
        self.close()?;
        let filter = self.call(
            "pass.open",
            |live| Ok(live.pass),
            |transform, store, pass| transform.pass().call_open(store, pass, root, entry),
            Ok,
        )?;
        if let Ok(live) = &mut self.0 {
            live.filter = Some(Filter {
                handle: filter,
                returned: 0,
                taken: 0,
            });
        }
        Ok(())
    }

    /// Sends bytes of any number through the open filter; returns what is ready.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Vec<u8>, Error> {
        let mut ready = Vec::new();
        for chunk in chunk.chunks(MAX_CHUNK) {
            let output = self.call(
                "filter.push",
                Live::open_filter,
                |transform, store, filter| transform.filter().call_push(store, filter, chunk),
                validate::output,
            )?;
            self.count(&output);
            if ready.is_empty() {
                ready = output;
            } else {
                ready.extend_from_slice(&output);
            }
        }
        Ok(ready)
    }

    /// Says to the open filter that its input is at its end; returns the rest. After that it can only be asked for members.
    pub fn finish_filter(&mut self) -> Result<Vec<u8>, Error> {
        let rest = self.call(
            "filter.finish",
            Live::open_filter,
            |transform, store, filter| transform.filter().call_finish(store, filter),
            validate::output,
        )?;
        self.count(&rest);
        Ok(rest)
    }

    /// The members that begin in what the open filter has returned since this was last asked, in their order and not overlapping.
    /// The last may go on past what has been returned.
    pub fn members(&mut self) -> Result<Vec<Member>, Error> {
        let open = self.0.as_ref().ok().and_then(|live| live.filter.as_ref());
        let (taken, returned) = open.map_or((0, 0), |filter| (filter.taken, filter.returned));
        let (members, end) = self.call(
            "filter.members",
            Live::open_filter,
            |transform, store, filter| transform.filter().call_members(store, filter).map(Ok),
            |members| validate::members(members, taken..=returned),
        )?;
        if let Some(filter) = self.filter() {
            filter.taken = end.max(returned);
        }
        Ok(members)
    }

    /// Ends the pass; returns what it has to say to the operator.
    pub fn finish(mut self) -> Result<Vec<Finding>, Error> {
        self.close()?;
        self.call(
            "pass.finish",
            |live| Ok(live.pass),
            |transform, store, pass| transform.pass().call_finish(store, pass),
            validate::findings,
        )
    }

    /// Calls a function of the pass or of its filter, and checks the answer. After any error but the plugin's own answer the store is
    /// discarded.
    fn call<A, T>(
        &mut self,
        call: &'static str,
        handle: impl FnOnce(&Live) -> Result<ResourceAny, Error>,
        function: impl FnOnce(
            &Guest,
            &mut Store<State>,
            ResourceAny,
        ) -> wasmtime::Result<Result<A, Failure>>,
        check: impl FnOnce(A) -> Result<T, String>,
    ) -> Result<T, Error> {
        let live = self.0.as_mut().map_err(|error| error.clone())?;
        let handle = handle(live)?;
        let answer = live
            .instance
            .call(call, |plugin, store| {
                function(plugin.copal_plugin_transform(), store, handle)
            })
            .and_then(|answer| match answer {
                Ok(answer) => check(answer).map_err(|rule| Error::Contract { call, rule }),
                Err(failure) => Err(validate::failure(failure)),
            });
        if let Err(error) = &answer
            && !matches!(error, Error::Guest(_))
        {
            self.0 = Err(error.clone());
        }
        answer
    }

    fn filter(&mut self) -> Option<&mut Filter> {
        self.0.as_mut().ok()?.filter.as_mut()
    }

    fn count(&mut self, output: &[u8]) {
        if let Some(filter) = self.filter() {
            filter.returned = filter.returned.saturating_add(output.len() as u64);
        }
    }

    /// Drops the filter that is open, if any.
    fn close(&mut self) -> Result<(), Error> {
        let live = self.0.as_mut().map_err(|error| error.clone())?;
        let Some(filter) = live.filter.take() else {
            return Ok(());
        };
        let closed = live
            .instance
            .call("filter.drop", |_, store| filter.handle.resource_drop(store));
        if let Err(error) = &closed {
            self.0 = Err(error.clone());
        }
        closed
    }
}

impl Live {
    fn open_filter(&self) -> Result<ResourceAny, Error> {
        self.filter
            .as_ref()
            .map(|filter| filter.handle)
            .ok_or_else(|| Error::Host("no filter is open".to_owned()))
    }
}
