//! Trees on their way into a repository and out of it again.

mod archive;
mod fixture;
mod restic;
mod restore;
mod walk;
