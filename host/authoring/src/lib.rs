//! Starts and builds plugins: a new project from a template, and a validated component from a project.
//!
//! [`create`] writes a project that stands alone: beside the template's files it has in `copal/` the contract and the SDK that this program was made
//! with, so that nothing of Copal need be fetched. [`build`] compiles a project with the toolchain that is there, wraps what comes out of it in
//! a component, and checks that it is a plugin.
//!
//! The crate prints nothing. What goes on is told line by line to the function that a caller hands over; what a compiler has to say
//! goes to the standard error.

mod build;
pub mod command;
pub mod component;
pub mod debian;
mod embedded;
mod error;
mod javascript;
mod language;
mod name;
mod new;
mod python;
mod rust;
pub mod toolchain;

pub use build::{BuildOptions, Built, OUTPUT, build};
pub use error::Error;
pub use language::Language;
pub use name::Name;
pub use new::{Created, New, Renewed, create, renew};
pub use rust::{Compilation, Module};
pub use toolchain::{Target, Toolchain};

/// What the house's results fail with.
type Result<T> = std::result::Result<T, Error>;
