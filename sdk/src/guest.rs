//! Joins a [`Plugin`](crate::Plugin) to the generated exports. Named by `export!` alone.

use std::cell::{Cell, RefCell, RefMut};
use std::marker::PhantomData;

use crate::bindings::copal::plugin::process;
use crate::bindings::copal::plugin::tree::Tree as HostTree;
use crate::bindings::exports::copal::plugin::{app, transform};
use crate::{
    BackupPlan, BackupRequest, Command, Description, Detection, Direction, Entry, Failure, Filter,
    Finding, Member, Output, Pass, Plugin, Probe, RestorePlan, RestoreRequest, Verdict,
    VerifyRequest, config, log,
};

/// The world's exports, answered by the plugin `P`.
pub struct Guest<P>(PhantomData<P>);

struct HostProbe;

impl Probe for HostProbe {
    fn run(&self, command: &Command) -> Result<Output, Failure> {
        process::run(command)
    }
}

impl<P: Plugin> app::Guest for Guest<P> {
    fn describe() -> Description {
        log::install();
        Description {
            config_schema: config::schema::<P::Config>(),
            ..P::describe()
        }
    }

    fn detect(root: HostTree) -> Result<Option<Detection>, Failure> {
        log::install();
        P::detect(&root, &HostProbe)
    }

    fn plan_backup(
        roots: Vec<HostTree>,
        request: app::BackupRequest,
    ) -> Result<BackupPlan, Failure> {
        log::install();
        P::plan_backup(&BackupRequest {
            roots: roots.into_iter().collect(),
            probe: &HostProbe,
            config: config::parse(&request.config)?,
            now: request.now,
        })
    }

    fn plan_restore(
        targets: Vec<HostTree>,
        snapshot: Vec<HostTree>,
        request: app::RestoreRequest,
    ) -> Result<RestorePlan, Failure> {
        log::install();
        P::plan_restore(&RestoreRequest {
            targets: targets.into_iter().collect(),
            snapshot: snapshot.into_iter().collect(),
            probe: &HostProbe,
            intent: request.intent,
            rehearsal: request.rehearsal,
            config: config::parse(&request.config)?,
            now: request.now,
            facts: request.facts.into(),
            streams: request.streams,
        })
    }

    fn verify(
        targets: Vec<HostTree>,
        snapshot: Vec<HostTree>,
        request: app::VerifyRequest,
    ) -> Result<Vec<Finding>, Failure> {
        log::install();
        P::verify(&VerifyRequest {
            targets: targets.into_iter().collect(),
            snapshot: snapshot.into_iter().collect(),
            probe: &HostProbe,
            intent: request.intent,
            rehearsal: request.rehearsal,
            config: config::parse(&request.config)?,
            facts: request.facts.into(),
            captures: request.captures,
        })
    }
}

impl<P: Plugin> transform::Guest for Guest<P> {
    type Pass = PassCell<P::Pass>;
    type Filter = FilterCell;
}

/// A pass as the component model wants it: shared, and ended by a call that does not consume it.
pub struct PassCell<T>(RefCell<Option<T>>);

impl<T> PassCell<T> {
    fn with<R>(&self, act: impl FnOnce(&mut T) -> Result<R, Failure>) -> Result<R, Failure> {
        match self.0.borrow_mut().as_mut() {
            Some(pass) => act(pass),
            None => Err(ended("pass")),
        }
    }
}

impl<T: Pass> transform::GuestPass for PassCell<T> {
    fn start(direction: Direction, state: Vec<u8>) -> Result<transform::Pass, Failure> {
        log::install();
        let pass = crate::transform::start(direction, &state)?;
        Ok(transform::Pass::new(Self(RefCell::new(Some(pass)))))
    }

    fn classify(&self, root: String, entries: Vec<Entry>) -> Result<Vec<Verdict>, Failure> {
        self.with(|pass| pass.classify_batch(&root, &entries))
    }

    fn open(&self, root: String, entry: Entry) -> Result<transform::Filter, Failure> {
        let filter = self.with(|pass| pass.open(&root, &entry))?;
        Ok(transform::Filter::new(FilterCell::new(filter)))
    }

    fn finish(&self) -> Result<Vec<Finding>, Failure> {
        match self.0.take() {
            Some(pass) => pass.finish(),
            None => Err(ended("pass")),
        }
    }
}

/// A filter as the component model wants it: ended by a call that does not consume it.
pub struct FilterCell {
    filter: RefCell<Box<dyn Filter>>,
    ended: Cell<bool>,
}

impl FilterCell {
    fn new(filter: Box<dyn Filter>) -> Self {
        Self {
            filter: RefCell::new(filter),
            ended: Cell::new(false),
        }
    }

    fn open(&self) -> Result<RefMut<'_, Box<dyn Filter>>, Failure> {
        match self.ended.get() {
            false => Ok(self.filter.borrow_mut()),
            true => Err(ended("filter")),
        }
    }
}

impl transform::GuestFilter for FilterCell {
    fn push(&self, chunk: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::with_capacity(chunk.len());
        self.open()?.push(&chunk, &mut out)?;
        Ok(out)
    }

    fn finish(&self) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        let finished = self.open()?.finish(&mut out);
        self.ended.set(true);
        finished.map(|()| out)
    }

    fn members(&self) -> Vec<Member> {
        self.filter.borrow_mut().members()
    }
}

fn ended(what: &str) -> Failure {
    Failure::internal("sdk.ended", format!("this {what} has been finished"))
}

/// Makes a type that implements [`Plugin`](crate::Plugin) the plugin of this crate, which is of the types `cdylib` (the component) and `rlib` (for
/// tests). Other targets than wasm32 have no exports, so there it expands to nothing.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exports = $crate::guest::Guest<$plugin>;
    $crate::bindings::export!(Exports with_types_in $crate::bindings);
        };
    };
}

#[cfg(test)]
mod tests {
    use transform::{GuestFilter as _, GuestPass as _};

    use super::*;

    struct Held(Vec<u8>);

    impl Filter for Held {
        fn push(&mut self, chunk: &[u8], _out: &mut Vec<u8>) -> Result<(), Failure> {
            self.0.extend(chunk);
            Ok(())
        }

        fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
            out.append(&mut self.0);
            Ok(())
        }
    }

    #[test]
    fn a_pass_and_a_filter_answer_until_they_are_finished() {
        let pass = PassCell(RefCell::new(Some(())));
        assert_eq!(pass.classify("home".to_owned(), Vec::new()).unwrap(), []);
        assert_eq!(pass.finish().unwrap(), []);
        assert_eq!(pass.finish().unwrap_err().code, "sdk.ended");
        let failure = pass.classify("home".to_owned(), Vec::new()).unwrap_err();
        assert_eq!(failure.code, "sdk.ended");

        let filter = FilterCell::new(Box::new(Held(Vec::new())));
        assert_eq!(filter.push(b"ab".to_vec()).unwrap(), b"");
        assert_eq!(filter.finish().unwrap(), b"ab");
        assert_eq!(filter.push(b"c".to_vec()).unwrap_err().code, "sdk.ended");
    }
}
