//! Set-up, plugin builds, tests, demo and benchmarks of Copal: `cargo xtask TASK`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what a task runner does"
)]

mod bench;
mod command;
mod debian;
mod demo;
mod deny;
mod docs;
mod examples;
mod plugins;
mod sbom;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
Usage: cargo xtask TASK

Tasks:
  plugins [--tests] [--toolchain rustup|debian] [--reproduce | --reproduce-all]
          Builds the plugins into target/plugins; with --tests also the guests that only tests use.
          --reproduce builds the smallest once more, from a copy of the sources in another place, and fails
          unless the bytes are the same; --reproduce-all does so with every plugin.
          --toolchain (or COPAL_WASM_TOOLCHAIN) says how to compile for wasm32-unknown-unknown;
          by default the first way that works here.
  examples
          Builds the examples in Python and JavaScript into target/plugins/examples, and runs their own
          tests. What builds them is fetched from PyPI and npm into target/examples.
  rustic
          Builds what of rustic the tests need, over its library, into target/rustic.
  test [ARGUMENT...]
          Installs what tests need, builds plugins, examples and copal, and runs all tests. The arguments
          are cargo test's, such as `--test jpom`.
  docs [--check]
          Writes the reference of the contract into docs/src/reference/contract from wit/. With --check it
          writes nothing: it fails where that is stale, where a link leads nowhere, where a finding's code
          or an error's kind is not explained, or where a translation has fallen behind.
  deny [--advisories]
          Holds all dependencies to deny.toml: licences, bans, sources, and known vulnerabilities. Where the
          database of these can't be reached they are skipped, and that is said; with --advisories that fails.
  sbom [--target TRIPLE] [--out FILE]
          Writes what is linked into copal, and the plugins that it embeds, as a bill of materials (CycloneDX
          1.5) into target/copal.cdx.json.
  demo    Backs a sample Jpom up and migrates it, step by step; all lies in target/demo afterwards.
  bench [--runs N] [--corpus sql|small|big|million]... [--in DIRECTORY] [--write]
          Measures copal beside restic (and borg and rustic where installed) with sql, small and big, in 5 runs.
          Corpora and repositories lie in target/bench, or in the directory given.
          --write keeps the figures in docs/benchmarks, and makes the page and the chart there anew.
  bench filters|engine
          Measures the filters of plugins, or the engine's inner loops.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match perform(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(arguments: &[String]) -> Result<()> {
    let Some((task, rest)) = arguments.split_first() else {
        bail!("no task given\n\n{USAGE}");
    };
    match task.as_str() {
        "plugins" => plugins::task(rest),
        "bench" => bench::task(rest),
        "demo" => demo::task(rest),
        "deny" => deny::task(rest),
        "docs" => docs::task(rest),
        "examples" => examples::task(rest),
        "rustic" => test::rustic(),
        "sbom" => sbom::task(rest),
        "test" => test::task(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("unknown task `{other}`\n\n{USAGE}"),
    }
}
