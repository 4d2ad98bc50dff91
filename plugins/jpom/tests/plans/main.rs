//! What the plugin plans and verifies, over trees in memory and real H2 databases.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod backup;
mod database;
mod detect;
mod restore;
mod support;
mod verify;
