//! `cargo xtask test`: everything from set-up to the last test.

use std::env;

use anyhow::Result;

use crate::{
    command,
    debian::{
        self, DOCKER_REGISTRY, FAKETIME, H2, JAVA, MINISIGN, NPM, POSTGRESQL, RCLONE, RESTIC, SSH,
        SSHD,
    },
    examples, plugins, workspace,
};

/// `cargo xtask test [ARGUMENT OF cargo test…]`
pub(crate) fn task(arguments: &[String]) -> Result<()> {
    command::stage("Finding the programs that tests run", programs)?;
    plugins::build(true, None)?;
    examples::build()?;
    rustic()?;
    command::stage("Building copal and the tests", || {
        // One selection with the tests, so that cargo compiles every dependency with one set of features.
        let build = ["build", "--workspace", "--all-targets"];
        command::run(workspace::host_cargo().args(build))
    })?;
    command::stage("Testing", || {
        let test = ["test", "--workspace"];
        command::run(workspace::host_cargo().args(test).args(arguments))
    })
}

/// `cargo xtask rustic`: what of rustic the tests need, in a workspace of its own.
pub(crate) fn rustic() -> Result<()> {
    command::stage("Building rustic's library", || {
        let manifest = workspace::root().join("tests/rustic/Cargo.toml");
        let mut build = workspace::cargo();
        build
            .args(["build", "--locked", "--manifest-path"])
            .arg(manifest);
        build
            .arg("--target-dir")
            .arg(workspace::cargo_target().join("rustic"));
        command::run(&mut build)
    })
}

/// Installs missing programs; where that can't be, the tests that need them say so and are skipped, but fail where `CI` is set.
fn programs() -> Result<()> {
    let programs = [
        RESTIC,
        MINISIGN,
        JAVA,
        H2,
        POSTGRESQL,
        NPM,
        DOCKER_REGISTRY,
        SSH,
        SSHD,
        RCLONE,
        FAKETIME,
    ];
    let Err(reason) = debian::provide(&programs) else {
        return Ok(());
    };
    if env::var_os("CI").is_some() {
        return Err(reason);
    }
    println!("    {reason:#}");
    println!("    going on without: tests that need them are skipped");
    Ok(())
}
