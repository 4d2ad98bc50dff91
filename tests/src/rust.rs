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

/// Variables by which cargo compiles a plugin fast rather than well, where a test is about what is done with the plugin: its own profile takes
/// the compiler most of its time.
pub const QUICK: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
];

/// The variable that says where cargo keeps what it compiles on the way.
pub const BUILD_DIRECTORY: &str = "CARGO_BUILD_BUILD_DIR";

/// A directory for that, which the projects of all tests share, this run and the next: most of them depend on the same crates.
pub fn build_directory() -> PathBuf {
    profile_directory().join("copal-tests-build")
}

/// `cargo` in a project.
pub fn cargo(environment: &TestEnvironment, project: &Path, target: &str) -> Program {
    compiling(environment.program("cargo"), environment, target).current_dir(project)
}

/// `copal plugin build` of a project, with further arguments.
pub fn plugin_build(environment: &TestEnvironment, project: &Path, target: &str) -> Program {
    let program = environment.copal(["plugin", "build"]).arg(project);
    compiling(program, environment, target)
}

/// Gives a program the toolchain, the registry's crates and a target directory, which tests that name it alike share.
fn compiling(program: Program, environment: &TestEnvironment, target: &str) -> Program {
    let cargo = PathBuf::from(env::var_os("CARGO").expect("cargo runs the tests"));
    let toolchain = cargo.parent().expect("cargo lies in a folder").display();
    let programs = environment.path("programs");
    let variables = ["CARGO_HOME", "RUSTUP_HOME"]
        .map(|name| (name.to_owned(), home_of(name)))
        .into_iter()
        // Cargo finds its subcommands by way of rustup, where it came so.
        .chain(
            env::var_os("RUSTUP_TOOLCHAIN")
                .map(|name| ("RUSTUP_TOOLCHAIN".to_owned(), name.into())),
        );
    program
        .env(
            "PATH",
            format!("{}:{toolchain}:{SYSTEM_PATH}", programs.display()),
        )
        .envs(variables)
        .env(BUILD_DIRECTORY, build_directory())
        .env(
            "CARGO_TARGET_DIR",
            profile_directory()
                .join("copal-tests-authoring")
                .join(target),
        )
        .within(LIMIT)
}

/// The folder of `CARGO_HOME` or `RUSTUP_HOME`: as the variable says, or where it is without.
fn home_of(name: &str) -> PathBuf {
    let usual = match name {
        "CARGO_HOME" => ".cargo",
        _ => ".rustup",
    };
    let own = env::var_os(name).map(PathBuf::from);
    own.or_else(|| Some(env::home_dir()?.join(usual)))
        .expect("there is a home directory")
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
