//! Turns a URL into an object store for Copal.

mod error;
pub use error::Error;
