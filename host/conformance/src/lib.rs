//! Holds Copal plugins to their contract.
//!
//! Three things, from the outside in: [`check`] looks at a component and at what it says of itself; the [`Suite`] shows it trees, states and
//! bytes that no author thought of, and sees whether it keeps the contract's rules; a [`Case`] is a tree of its author's with what
//! is expected to come of it. Beside them, a [`Recorder`] keeps what a plugin asked its host, and a [`Replay`] answers from that.
//!
//! ```no_run
//! use copal_conformance::{Case, Suite, check};
//! use copal_sandbox::{Engine, EngineOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new(EngineOptions::default())?;
//! let inspection = check(&engine, &std::fs::read("notebook.wasm")?);
//! if let Some(plugin) = &inspection.plugin {
//!     let cases = Case::all("cases".as_ref())?;
//!     let report = Suite::new().cases(&cases).run(plugin)?;
//!     assert!(!report.failed(), "{report}");
//! }
//! # Ok(())
//! # }
//! ```

mod case;
mod check;
mod declared;
mod error;
mod filter;
mod hostile;
mod memory;
mod noise;
mod recording;
mod report;
mod saved;
mod schema;
mod suite;
mod view;
mod walk;

pub use case::{Case, Difference, Results};
pub use check::{Inspection, WORLD, check, contract};
pub use declared::check_looked_at;
pub use error::Error;
pub use filter::{filter, piece};
pub use memory::{EPOCH, MemoryTree};
pub use recording::{
    Answered, Bytes, CommandAnswer, CommandCall, RecordedTree, Recorder, Recording, Replay, Role,
};
pub use report::{Check, Outcome, Report};
pub use saved::{STREAMS, stream_entry};
pub use suite::Suite;
pub use view::as_snapshot;
pub use walk::{Decided, walk};
