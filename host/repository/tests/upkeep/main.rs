//! Keeping a repository in order: forgetting, pruning, repairing, rewriting, unlocking, and restic's opinion of what is left.

#![allow(clippy::unwrap_used)] // Clippy takes only functions marked as tests for tests.

mod fixture;
mod locks;
mod meddling;
mod model;
mod prune;
mod repair;
mod restic;
mod rewrite;
#[allow(dead_code, reason = "the tests `faults` use all of it")]
#[path = "../faults/store.rs"]
mod store;
mod two_phase;
