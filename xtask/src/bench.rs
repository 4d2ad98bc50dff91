//! `cargo xtask bench`: Copal beside restic, and beside borg and rustic where they are installed.
//!
//! Every tool works as it comes, without tuning: its own compression, chunking and encryption, on a repository in a local directory and with
//! the page cache warm. Copal has its plugin compiled already, which a machine does once. A run is a first backup, a backup of the unchanged
//! corpus, a restore, a check of all data, and a prune. Copal runs once more through a plugin that has much to do, and what the format asks for is
//! done with nothing around it. The tools take turns, so that a machine that slows down slows all of them.

mod chart;
mod corpus;
mod measure;
mod report;
mod results;
mod tools;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{command, debian, plugins, workspace};
use corpus::Corpus;
use measure::Usage;
use results::Results;
use tools::{Job, Tool};

/// `cargo xtask bench [--runs N] [--corpus NAME]… [--in DIRECTORY] [--write]`, or `cargo xtask bench` with `page`, `filters` or `engine`
pub(crate) fn task(arguments: &[String]) -> Result<()> {
    match arguments {
        [only] if only == "filters" => return filters(),
        [only] if only == "engine" => return engine(),
        [only] if only == "page" => return write_page(&kept()),
        _ => {}
    }
    let options = Options::parse(arguments)?;
    debian::provide(&[debian::RESTIC])?;
    plugins::build(true, None)?;
    command::stage("Building copal for release", || {
        command::run(
            workspace::host_cargo()
                .args(["build", "--release", "--package", "copal", "--bin", "copal"])
                .args(["--package", "copal-repository", "--example", "primitives"]),
        )
    })?;
    let tools = Tool::installed()?;
    let folder = &options.folder;
    fs::create_dir_all(folder)?;
    let kept = kept();
    for corpus in &options.corpora {
        let data = command::stage(&format!("Making the corpus {}", corpus.name()), || {
            corpus.make(&folder.join("corpora"))
        })?;
        let mut results = Results::new(&tools, folder)?;
        for run in 1..=options.runs {
            let title = format!("{}, run {run} of {}", corpus.name(), options.runs);
            command::stage(&title, || {
                for turn in 0..tools.len() {
                    // Another tool begins in each run.
                    let tool = &tools[(turn + run) % tools.len()];
                    let verify = run == 1;
                    let usages = perform(tool, &data, &folder.join("work"), verify)
                        .with_context(|| tool.to_string())?;
                    results.add(tool, usages);
                }
                Ok(())
            })?;
        }
        println!("{}", report::table(*corpus, &results));
        if options.write {
            results.write(&kept, *corpus)?;
        }
    }
    if options.write {
        write_page(&kept)?;
    }
    Ok(())
}

/// Where figures are kept.
fn kept() -> PathBuf {
    workspace::root().join("docs/benchmarks")
}

/// Writes the page and the chart of all that was ever measured with `--write`.
fn write_page(folder: &Path) -> Result<()> {
    let mut all = Vec::new();
    for corpus in Corpus::ALL {
        if let Some(results) = Results::read(folder, corpus)? {
            all.push((corpus, results));
        }
    }
    workspace::write_atomically(&folder.join("chart.svg"), chart::chart(&all).as_bytes())?;
    let page = folder.join("README.md");
    workspace::write_atomically(&page, report::page(&all).as_bytes())?;
    println!("written to {}", workspace::shown(&page));
    Ok(())
}

/// What the filters of plugins let through, without anything around them.
fn filters() -> Result<()> {
    plugins::build(false, None)?;
    command::stage("Measuring filters", || {
        // One selection with the other tasks', so that nothing is compiled anew; the filters themselves are always built for release.
        let bench = [
            "bench",
            "--workspace",
            "--profile",
            "dev",
            "--bench",
            "filters",
        ];
        command::run(workspace::host_cargo().args(bench))
    })
}

/// What the engine's inner loops get through.
fn engine() -> Result<()> {
    command::stage("Measuring the engine", || {
        let bench = [
            "bench",
            "--package",
            "copal-repository",
            "--bench",
            "engine",
        ];
        command::run(workspace::host_cargo().args(bench))
    })
}

struct Options {
    runs: usize,
    corpora: Vec<Corpus>,
    /// Where corpora and repositories lie.
    folder: PathBuf,
    write: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            runs: 5,
            corpora: Vec::new(),
            folder: workspace::target().join("bench"),
            write: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--runs" => options.runs = value()?.parse().context("--runs needs a number")?,
                "--corpus" => options.corpora.push(Corpus::named(value()?)?),
                "--in" => options.folder = std::path::absolute(value()?)?,
                "--write" => options.write = true,
                other => bail!("unknown argument `{other}`"),
            }
        }
        if options.runs == 0 {
            bail!("--runs needs at least 1");
        }
        if options.corpora.is_empty() {
            options.corpora = Corpus::USUAL.to_vec();
        }
        Ok(options)
    }
}

/// One run of one tool: what each operation took.
fn perform(tool: &Tool, data: &Path, work: &Path, verify: bool) -> Result<Vec<Option<Usage>>> {
    if work.exists() {
        fs::remove_dir_all(work)?;
    }
    fs::create_dir_all(work)?;
    let job = Job { data, work };
    tool.initialise(&job)?;
    let mut usages = Vec::new();
    for operation in tools::Operation::ALL {
        let command = tool.command(operation, &job)?;
        usages.push(
            command
                .map(|mut command| measure::run(&mut command))
                .transpose()?,
        );
    }
    if verify {
        // A fast restore of something else would be no merit.
        command::run(
            std::process::Command::new("diff")
                .args(["--recursive", "--brief", "--no-dereference"])
                .arg(data)
                .arg(tool.restored(&job)),
        )?;
    }
    fs::remove_dir_all(work)?;
    Ok(usages)
}
