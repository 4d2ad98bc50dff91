//! Tests of a plugin without wasm: trees, probes, and a host that runs passes and filters.
//!
//! Functions that check a plugin panic where it breaks the contract, as assertions do.
//!
//! ```
//! use copal_sdk::testing::{DiskTree, FakeProbe, MemoryTree, run_pass};
//! use copal_sdk::{Command, Direction, Probe, Tree};
//!
//! // A directory as the plugin sees it, without a file on disk; or a real one.
//! let home = MemoryTree::new("home").file("conf/app.ini", "port = 1").symlink("current", "releases/2");
//! assert_eq!(home.read_to_string("conf/app.ini", 1 << 10)?, "port = 1");
//! let real = DiskTree::new("home", env!("CARGO_MANIFEST_DIR")).expect("a directory");
//! assert!(real.exists("Cargo.toml")?);
//!
//! // Commands that look, with the answers that they give; any other is denied, as without a grant.
//! let probe = FakeProbe::new().answer(["systemctl", "is-active", "app"], 3, "inactive");
//! assert_eq!(probe.run(&Command::new(["systemctl", "is-active", "app"]))?.text(), "inactive");
//! assert!(probe.run(&Command::new(["id"])).is_err());
//!
//! // What a pass makes of a tree: here one that keeps all.
//! let (saved, findings) = run_pass::<()>(&home, Direction::Backup, b"null")?;
//! assert!(saved.exists("conf/app.ini")? && findings.is_empty());
//! # Ok::<(), copal_sdk::Failure>(())
//! ```

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
