//! Tests of a plugin without wasm: trees, probes, and a host that runs passes and filters.
//!
//! Functions that check a plugin panic where it breaks the contract, as assertions do.

mod description;
mod disk;
mod memory;
mod pass;
mod probe;

pub use description::check_description;
pub use disk::DiskTree;
pub use memory::MemoryTree;
pub use pass::{filter_all_chunkings, run_pass};
pub use probe::FakeProbe;

use crate::Timestamp;

/// A present for requests, and the time of a [`MemoryTree`]'s entries: 2025-01-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp {
    seconds: 1_735_689_600,
    nanoseconds: 0,
};

#[cfg(test)]
mod tests;
