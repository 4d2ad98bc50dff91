//! Keeping a repository in order: forgetting, pruning, repairing, rewriting, unlocking, and restic's opinion of what is left.

#![allow(clippy::unwrap_used)] // Clippy takes only functions marked as tests for tests.

mod faults;
mod fixture;
mod locks;
mod meddling;
mod model;
mod prune;
mod repair;
mod restic;
mod rewrite;
mod two_phase;
