//! Repositories among others: copied into each other, opened by several passwords, written by several programs at once, cut off, damaged.

#![allow(clippy::unwrap_used)] // Clippy takes only functions marked as tests for tests.

mod concurrent;
mod copy;
mod damaged;
mod fixture;
mod foreign;
mod interrupted;
mod keys;
