//! Who signed a Copal plugin, what was approved of it, and what that allows.

mod bundle;

pub use bundle::{
    Bundle, BundleError, COMPONENT, MAX_SIGNATURES, MAX_VERSIONS, PUBLISHER, STATEMENT,
};
