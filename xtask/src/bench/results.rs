//! What was measured, as it is kept between runs: one file for each corpus.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{
    corpus::Corpus,
    measure::Usage,
    tools::{Operation, PRIMITIVES, Tool},
};
use crate::{command, workspace};

/// All runs over one corpus.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    /// Processor and number of cores.
    pub(crate) machine: String,
    pub(crate) tools: Vec<Measured>,
}

/// All runs of one tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) version: String,
    /// For each run what each of [`Operation::ALL`] took, as far as the tool performs it.
    pub(crate) runs: Vec<Vec<Option<Usage>>>,
}

/// The middle of several runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Medians {
    /// Seconds.
    pub(crate) wall: f64,
    /// The fastest and the slowest run.
    pub(crate) range: (f64, f64),
    /// Seconds.
    pub(crate) cpu: f64,
    /// Bytes.
    pub(crate) memory: f64,
}

impl Results {
    /// Nothing yet of these tools, which work in `folder`.
    pub(crate) fn new(tools: &[Tool], folder: &Path) -> Result<Self> {
        Ok(Self {
            machine: machine(folder)?,
            tools: tools
                .iter()
                .map(|tool| Measured {
                    name: tool.to_string(),
                    version: tool.version().to_owned(),
                    runs: Vec::new(),
                })
                .collect(),
        })
    }

    pub(crate) fn add(&mut self, tool: &Tool, usages: Vec<Option<Usage>>) {
        let name = tool.to_string();
        if let Some(measured) = self.tools.iter_mut().find(|tool| tool.name == name) {
            measured.runs.push(usages);
        }
    }

    /// What was kept of a corpus; none where it was never measured.
    pub(crate) fn read(folder: &Path, corpus: Corpus) -> Result<Option<Self>> {
        let path = folder.join(format!("{}.json", corpus.name()));
        if !path.exists() {
            return Ok(None);
        }
        let results = serde_json::from_slice(&fs::read(&path)?);
        results.with_context(|| format!("{} can't be read", workspace::shown(&path)))
    }

    pub(crate) fn write(&self, folder: &Path, corpus: Corpus) -> Result<()> {
        fs::create_dir_all(folder)?;
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        let path = folder.join(format!("{}.json", corpus.name()));
        workspace::write_atomically(&path, json.as_bytes())
    }

    pub(crate) fn tool(&self, name: &str) -> Option<&Measured> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// The peer that is the fastest at an operation, and its wall time.
    pub(crate) fn fastest_peer(&self, operation: Operation) -> Option<(&str, f64)> {
        let peers = self.tools.iter();
        let peers = peers.filter(|tool| !tool.is_own());
        let walls = peers.filter_map(|tool| Some((&*tool.name, tool.medians(operation)?.wall)));
        walls.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

impl Measured {
    /// Whether it is no peer: Copal, or what it is made of.
    pub(crate) fn is_own(&self) -> bool {
        self.name.starts_with("copal") || self.name == PRIMITIVES
    }

    /// Of an operation; none where it was not measured.
    pub(crate) fn medians(&self, operation: Operation) -> Option<Medians> {
        let index = Operation::ALL
            .iter()
            .position(|&other| other == operation)?;
        let usages: Vec<Usage> = self
            .runs
            .iter()
            .filter_map(|run| run.get(index).copied().flatten())
            .collect();
        let walls = usages.iter().map(|usage| usage.wall);
        Some(Medians {
            wall: median(walls.clone())?,
            range: walls.fold((f64::INFINITY, 0.0), |(low, high), wall| {
                (low.min(wall), high.max(wall))
            }),
            cpu: median(usages.iter().map(|usage| usage.cpu))?,
            memory: median(usages.iter().map(|usage| usage.memory as f64))?,
        })
    }
}

/// The middle value; of an even number of them, the mean of the two in the middle.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = *values.get(half)?;
    match values.len() % 2 {
        1 => Some(upper),
        _ => Some((values.get(half.checked_sub(1)?)? + upper) / 2.0),
    }
}

fn machine(folder: &Path) -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut stat = Command::new("stat");
    let stat = stat.args(["--file-system", "--format=%T"]).arg(folder);
    let file_system = command::output(stat)?;
    Ok(format!("{model}, {cores} cores, {}", file_system.trim()))
}
