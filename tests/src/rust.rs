//! Compiling what `copal plugin new` makes: with the toolchain that compiled the tests, and with the crates that are on this machine already.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::environment::{TestEnvironment, profile_directory};
use crate::programs::SYSTEM_PATH;
use crate::run::Program;

/// How long a project with all that it depends on may take to compile.
const LIMIT: Duration = Duration::from_secs(1200);

/// `cargo` in a project.
pub fn cargo(environment: &TestEnvironment, project: &Path, target: &str) -> Program {
    compiling(environment.program("cargo"), environment, target).current_dir(project)
}

/// `copal plugin build` of a project, with further arguments.
pub fn plugin_build(environment: &TestEnvironment, project: &Path, target: &str) -> Program {
    let program = environment.copal(["plugin", "build"]).arg(project);
    compiling(program, environment, target)
}

/// Gives a program the toolchain, the registry's crates and a target directory, which tests that name it alike share, this run and the next.
fn compiling(program: Program, environment: &TestEnvironment, target: &str) -> Program {
    let cargo = PathBuf::from(env::var_os("CARGO").expect("cargo runs the tests"));
    let toolchain = cargo.parent().expect("cargo lies in a folder").display();
    let programs = environment.path("programs");
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let crates = env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    program
        .env(
            "PATH",
            format!("{}:{toolchain}:{SYSTEM_PATH}", programs.display()),
        )
        .env("CARGO_HOME", crates.expect("there is a home directory"))
        .env(
            "CARGO_TARGET_DIR",
            profile_directory()
                .join("copal-tests-authoring")
                .join(target),
        )
        .within(LIMIT)
}

/// Whether the toolchain that compiled the tests has the standard library of a target.
pub fn has_target(target: &str) -> bool {
    let cargo = PathBuf::from(env::var_os("CARGO").expect("cargo runs the tests"));
    let asked = Command::new(cargo.with_file_name("rustc"))
        .args(["--print", "target-libdir", "--target", target])
        .output()
        .expect("rustc lies beside cargo");
    Path::new(String::from_utf8_lossy(&asked.stdout).trim()).is_dir()
}
