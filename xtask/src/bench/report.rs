//! The table of medians.

use std::{fmt::Write as _, fs, thread, time::Duration};

use super::{
    corpus::Corpus,
    measure::Usage,
    tools::{Operation, Tool},
};

/// What one tool took for each of [`Operation::ALL`] in one run.
pub(crate) struct Measured {
    tool: String,
    usages: Vec<Usage>,
}

impl Measured {
    pub(crate) fn new(tool: &Tool, usages: Vec<Usage>) -> Self {
        Self {
            tool: tool.to_string(),
            usages,
        }
    }
}

/// The beginning of a page: what was measured, how, and where.
pub(crate) fn head(tools: &[Tool], runs: usize) -> String {
    let versions: Vec<_> = tools.iter().map(Tool::version).collect();
    format!(
        "# Benchmarks\n\n\
         Made by `cargo xtask bench`: medians of {runs} runs, the tools taking turns, each as it comes, on a local disk with the page\n\
         cache warm, encryption on. The ratio is to restic's wall time; below 1 is faster. The first run's restores were compared\n\
         with the originals.\n\n\
         Machine: {}\n\nTools: {}\n",
        machine(),
        versions.join("; "),
    )
}

/// The part of a page about one corpus.
pub(crate) fn table(corpus: Corpus, tools: &[Tool], measured: &[Measured]) -> String {
    let mut table = format!(
        "\n## {}\n\nThe corpus is {}.\n\n\
         | | | wall s | (range) | ratio | CPU s | peak MB |\n|---|---|--:|--:|--:|--:|--:|\n",
        corpus.name(),
        corpus.description()
    );
    for (index, operation) in Operation::ALL.into_iter().enumerate() {
        let usages = |tool: &str| -> Vec<Usage> {
            let runs = measured.iter().filter(|run| run.tool == tool);
            runs.filter_map(|run| run.usages.get(index).copied())
                .collect()
        };
        let restic = median(usages("restic").iter().map(|usage| seconds(usage.wall)));
        for (row, tool) in tools.iter().enumerate() {
            let usages = usages(&tool.to_string());
            let walls = || usages.iter().map(|usage| seconds(usage.wall));
            let wall = median(walls());
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "| {} | {tool} | {wall:.2} | {:.2}–{:.2} | {:.2} | {:.2} | {:.0} |",
                if row == 0 { operation.name() } else { "" },
                walls().fold(f64::INFINITY, f64::min),
                walls().fold(0.0, f64::max),
                wall / restic,
                median(usages.iter().map(|usage| seconds(usage.cpu))),
                median(usages.iter().map(|usage| usage.memory as f64 / 1e6)),
            );
        }
    }
    table
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// The middle value; of an even number of them, the mean of the two in the middle.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.get(half) {
        None => f64::NAN,
        Some(upper) if values.len() % 2 == 1 => *upper,
        Some(upper) => (values[half - 1] + upper) / 2.0,
    }
}

/// Processor and number of cores.
fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model);
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} cores")
}
