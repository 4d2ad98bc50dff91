//! The sandbox against plugins that behave and plugins that don't.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside of #[test] functions"
)]

mod guest;
mod limits;
mod loading;
mod logging;
mod wasi;
