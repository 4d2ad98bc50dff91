//! `copal:plugin/tree`: read-only sight of the trees that the host hands over.

use std::sync::Arc;

use wasmtime::component::Resource;

use crate::Error;
use crate::bindings::copal::plugin::tree;
use crate::state::State;
use crate::tree::{MAX_READ, Tree};
use crate::types::{Entry, Failure, FailureKind};
use crate::validate;

/// A tree that a plugin holds.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct Handle(pub(crate) Arc<dyn Tree>);

impl State {
    /// Looks into a tree, at the host's expense, if the path is one that the contract allows.
    fn look<T>(
        &mut self,
        handle: &Resource<Handle>,
        path: &str,
        look: impl FnOnce(&dyn Tree) -> Result<T, Failure>,
    ) -> wasmtime::Result<Result<T, Failure>> {
        let tree = self.handles.get(handle)?.0.clone();
        if let Err(reason) = validate::path(path) {
            let message = format!("a path in `{}` {reason}", tree.name());
            return Ok(Err(Failure::new(
                FailureKind::Denied,
                "copal.path.misspelt",
                message,
            )));
        }
        self.at_host_expense(|| look(&*tree))
    }
}

impl tree::Host for State {}

impl tree::HostTree for State {
    fn name(&mut self, handle: Resource<Handle>) -> wasmtime::Result<String> {
        Ok(self.handles.get(&handle)?.0.name().to_owned())
    }

    fn location(&mut self, handle: Resource<Handle>) -> wasmtime::Result<String> {
        Ok(self.handles.get(&handle)?.0.location().to_owned())
    }

    fn stat(
        &mut self,
        handle: Resource<Handle>,
        path: String,
    ) -> wasmtime::Result<Result<Option<Entry>, Failure>> {
        self.look(&handle, &path, |tree| tree.stat(&path))
    }

    fn list(
        &mut self,
        handle: Resource<Handle>,
        path: String,
    ) -> wasmtime::Result<Result<Vec<Entry>, Failure>> {
        self.look(&handle, &path, |tree| tree.list(&path))
    }

    fn read(
        &mut self,
        handle: Resource<Handle>,
        path: String,
        offset: u64,
        length: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        if length > MAX_READ {
            return Err(Error::Contract {
                call: "tree.read",
                rule: format!(
                    "it asked for {length} bytes at once, at most {MAX_READ} are allowed"
                ),
            }
            .into());
        }
        self.look(&handle, &path, |tree| tree.read(&path, offset, length))
    }

    fn drop(&mut self, handle: Resource<Handle>) -> wasmtime::Result<()> {
        self.handles.delete(handle)?;
        Ok(())
    }
}
