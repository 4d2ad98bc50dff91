//! Trees on their way into a repository and out of it again.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod archive;
mod compare;
mod exact;
mod fixture;
mod members;
mod restic;
mod restore;
mod walk;
