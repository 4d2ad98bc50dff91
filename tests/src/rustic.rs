//! rustic, by its library: `cargo xtask rustic` builds what of it the tests need, in `tests/rustic`.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::environment::{PASSWORD, TestEnvironment, profile_directory};
use crate::programs;
use crate::run::Program;

/// rustic on the repository of one environment.
#[derive(Debug)]
pub struct Rustic<'a> {
    environment: &'a TestEnvironment,
    program: PathBuf,
}

impl<'a> Rustic<'a> {
    /// rustic, or none where it has not been built.
    pub fn find(environment: &'a TestEnvironment) -> Option<Self> {
        let program = profile_directory().join("../rustic/debug/rustic");
        if !program.is_file() {
            programs::missing("rustic has not been built (`cargo xtask rustic` does it)");
            return None;
        }
        Some(Self {
            environment,
            program,
        })
    }

    /// rustic with these arguments.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Program {
        self.environment
            .program(&self.program)
            .env("RUSTIC_REPOSITORY", self.environment.repository())
            .env("RUSTIC_PASSWORD", PASSWORD)
            .args(arguments)
    }
}
