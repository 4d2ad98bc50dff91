//! Trees on their way into a repository and out of it again.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod archive;
mod choice;
mod compare;
mod diff;
mod exact;
mod fixture;
mod hostile;
mod in_place;
mod look;
mod members;
mod restic;
mod restore;
mod resume;
mod set_id;
mod taken_over;
mod tarball;
mod walk;
