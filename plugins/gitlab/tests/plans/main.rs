//! Plans and passes of the plugin over trees in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod archives;
mod detect;
mod restore;
mod support;
mod verify;
mod volume;
