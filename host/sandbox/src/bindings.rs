//! The contract's interfaces, made from `wit/`. Types come from [`crate::types`], except those that only the exported interfaces have.

#![allow(missing_docs, unreachable_pub, rust_2018_idioms)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "plugin",
    imports: { default: trappable },
    with: {
        "copal:plugin/types": crate::bindings::types,
        "copal:plugin/plan": crate::bindings::types,
        "copal:plugin/tree.tree": crate::host::tree::Handle,
    },
});

/// The types, beside what `bindgen!` expects of any interface that it did not make itself: these have no functions to link.
pub mod types {
    use wasmtime::component::{HasData, Linker};

    pub use crate::types::*;

    pub trait Host {}
    impl<T: ?Sized> Host for T {}

    pub trait HostWithStore<T> {}
    impl<T, D: ?Sized> HostWithStore<T> for D {}

    pub fn add_to_linker<T, D: HasData>(
        _: &mut Linker<T>,
        _: fn(&mut T) -> D::Data<'_>,
    ) -> wasmtime::Result<()> {
        Ok(())
    }
}
