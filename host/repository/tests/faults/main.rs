//! What becomes of a repository whose store fails, dies, loses, lies, or is damaged: nothing that was stored is lost but what the damage itself took,
//! what is lost is named, and doing it again finishes the work.
//!
//! Every test has a short form and, with the variable `COPAL_TEST_FAULTS` set, a long one.

#![allow(clippy::unwrap_used)] // Clippy takes only functions marked as tests for tests.
#![allow(clippy::print_stdout, reason = "the book has the figures")]

mod flips;
mod operations;
mod room;
mod store;

/// Whether all is to be tried, rather than a part of it.
fn thorough() -> bool {
    std::env::var_os("COPAL_TEST_FAULTS").is_some()
}
