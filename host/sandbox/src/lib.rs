//! Loads, grants, instantiates and calls Copal plugins.
//!
//! A plugin is a WebAssembly component of the world `copal:plugin/plugin`. It can only compute: it looks through the [`Tree`]s that a
//! call hands to it, asks for probes under the job's [`Grants`], and answers with plans that the host carries out. What it asks for must be
//! among its own capabilities (see [`Ceiling`]). Memory, time, stack and the size of what it may pass are bounded, and nothing of the machine
//! is within its reach.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use copal_sandbox::{Directory, Engine, EngineOptions, Probe};
//! # fn example(bytes: &[u8], probe: Arc<dyn Probe>) -> Result<(), Box<dyn std::error::Error>> {
//! let plugin = Engine::new(EngineOptions::default())?.load(bytes)?;
//! let found = plugin.detect(Arc::new(Directory::open("home", "/srv/jpom".as_ref())?), probe)?;
//! # Ok(())
//! # }
//! ```

mod bindings;
mod ceiling;
mod convert;
mod directory;
mod engine;
mod error;
mod extent;
pub mod grants;
mod host;
mod instance;
pub mod name;
pub mod needs;
mod pass;
pub mod placeholder;
mod plugin;
mod state;
mod text;
pub mod tree;
pub mod types;
pub mod validate;

pub use ceiling::Ceiling;
pub use directory::Directory;
pub use engine::{Engine, EngineOptions};
pub use error::Error;
pub use grants::{CapabilityPattern, Grant, Grants, Need};
pub use pass::Pass;
pub use plugin::{Described, MAX_COMPONENT, Plugin, digest};
pub use tree::{Probe, Tree};
