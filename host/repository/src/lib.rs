//! The restic repository format, version 2, over an object store.

mod error;
pub mod format;
mod id;
mod metadata;
pub mod pass;
pub mod progress;

pub use error::{Error, ErrorKind};
pub use id::*;
