//! Whom to trust, against those who are trusted and those who only would like to be.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside of #[test] functions"
)]

mod approvals;
mod documents;
mod keys;
mod minisign;
mod parsers;
mod publishers;
mod releases;
mod revocation;
mod store;
mod unsigned;
mod world;
