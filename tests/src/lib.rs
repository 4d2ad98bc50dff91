//! What Copal's end-to-end tests are written with: the real `copal` binary in an environment of its own, the programs that
//! prove it right (restic, Java with H2, an S3 server) and the ones it drives (a stand-in for `docker`).
//!
//! Tests share nothing but what is costly to make and the same for all (compiled plugins, a new PostgreSQL cluster): each [`TestEnvironment`] has
//! its own directories, repository, state and search path, and whatever it starts ends with it. A program that is missing fails the test where the variable `CI` is set; elsewhere the test
//! says what it skipped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of tests fails by panicking"
)]
#![allow(clippy::print_stderr, reason = "a skipped test has to say so")]

pub mod applications;
pub mod azure;
pub mod b2;
pub mod book;
pub mod cloudfoundry;
pub mod environment;
pub mod fetched;
pub mod gitlab;
pub mod interoperation;
pub mod jpom;
pub mod liquibase;
pub mod metabase;
pub mod moments;
pub mod mount;
pub mod plugins;
pub mod postgres;
pub mod programs;
pub mod proxy;
pub mod registry;
pub mod restic;
pub mod run;
pub mod rust;
pub mod rustic;
pub mod s3;
pub mod sample;
pub mod server;
pub mod slow;
pub mod ssh;
pub mod tree;
pub mod vendor;
pub mod webdav;

pub mod h2;

pub use environment::TestEnvironment;
pub use run::{Outcome, Program, Running};
