//! What a drill proved, for machines and for people.

use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use copal_repository::SnapshotId;
use copal_sandbox::types::{Finding, Intent, Severity};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::page;
use super::recorder::{Compared, Phase, Purpose};
use crate::action;
use crate::error::Error;
use crate::manifest::{Missing, PluginIdentity};
use crate::steps::StepOutcome;

/// How a drill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The snapshot can be recovered, whole.
    Passed,
    /// It can be recovered, and something is not as it was: the snapshot lacks it, or it can't be set here.
    Incomplete,
    /// It can't be recovered, not to what it was, or the scratch place could not be removed.
    Failed,
}

/// The snapshot that was rehearsed.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsed {
    /// Its id.
    pub id: SnapshotId,
    /// When it was taken.
    pub time: Timestamp,
    /// How old it was when the drill began.
    pub age_seconds: i64,
    /// The machine that took it.
    pub hostname: String,
    /// What it was taken of.
    pub paths: Vec<String>,
}

/// What was proven, by whom, when, and how long a recovery takes.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    /// The version of this format: 1.
    pub format: u32,
    /// The job, by its name.
    pub job: String,
    /// How the drill ended.
    pub verdict: Verdict,
    /// What was proven, in sentences.
    pub proven: Vec<String>,
    /// What went wrong, in sentences.
    pub problems: Vec<String>,
    /// How long a recovery takes: opening the repository, planning, placing, the steps around it and verifying. None where the drill failed.
    pub recovery_seconds: Option<f64>,
    /// When the drill began.
    pub begun: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// The machine that it ran on.
    pub hostname: String,
    /// The program and its version.
    pub program: String,
    /// Where the repository is, without credentials.
    pub repository: String,
    /// The snapshot.
    pub snapshot: Rehearsed,
    /// The plugin; none where there was none, or the drill did not get that far.
    pub plugin: Option<PluginIdentity>,
    /// The scratch PostgreSQL server, as it calls itself; none where there was none.
    pub postgres: Option<String>,
    /// Why the restore happens; none where the drill did not get that far.
    pub intent: Option<Intent>,
    /// The plugin's configuration, without secrets.
    pub config: Map<String, Value>,
    /// How what was placed agrees with the snapshot, root by root.
    pub compared: Vec<Compared>,
    /// The streams that were fed to a command which took them.
    pub streams: Vec<String>,
    /// What the plugin and the host had to say, `verify` included.
    pub findings: Vec<Finding>,
    /// What could not be restored, or not exactly.
    pub missing: Vec<Missing>,
    /// How the steps of the restore ended.
    pub steps: Vec<StepOutcome>,
    /// The parts of the drill, in their order.
    pub phases: Vec<Phase>,
    /// Where what was restored lies, and the server, if they were to be kept; otherwise all of it is removed.
    pub kept: Vec<PathBuf>,
}

impl Evidence {
    /// The version of this format.
    pub(super) const FORMAT: u32 = 1;

    /// Writes `JOB-TIME.json` and, for people, `JOB-TIME.html` into the directory, which is made if it is not there. Gives their paths.
    pub fn write(&self, directory: &Path) -> Result<[PathBuf; 2], Error> {
        let failed = |e| Error::state("write the evidence into", directory, e);
        std::fs::create_dir_all(directory).map_err(failed)?;
        let dir = Dir::open_ambient_dir(directory, ambient_authority()).map_err(failed)?;
        let json = serde_json::to_vec_pretty(self).map_err(|e| failed(e.into()))?;
        let time = self.begun.strftime("%Y%m%dT%H%M%SZ");
        // Two drills may begin in one second.
        let mut marks = std::iter::once(String::new()).chain((2..).map(|n| format!("-{n}")));
        let free = |mark: &String| !dir.exists(format!("{}-{time}{mark}.json", self.job));
        let mark = marks.find(free).unwrap_or_default();
        let name = |ending: &str| format!("{}-{time}{mark}.{ending}", self.job);
        let files = [
            (name("json"), json),
            (name("html"), page::render(self).into_bytes()),
        ];
        for (name, content) in &files {
            action::replace(&dir, Path::new(name), content, Some(0o640)).map_err(failed)?;
        }
        Ok(files.map(|(name, _)| directory.join(name)))
    }

    /// Says in sentences what was proven. `whole` is whether all was placed, fed and verified.
    pub(super) fn conclude(&mut self, whole: bool) {
        let mut proven = Vec::new();
        for Compared { root, comparison } in &self.compared {
            if comparison.different > 0 {
                continue;
            }
            let mut sentence = format!(
                "`{root}` was restored: {} with {} and {} agree with the snapshot, the files byte for byte.",
                count(comparison.files, "file", "files"),
                page::bytes(comparison.bytes),
                count(comparison.others, "other entry", "other entries"),
            );
            if comparison.rewritten + comparison.left_out > 0 {
                sentence += &format!(
                    " The plugin rewrote {} and left {} out.",
                    count(comparison.rewritten, "file", "files"),
                    count(comparison.left_out, "entry", "entries"),
                );
            }
            proven.push(sentence);
        }
        for stream in self.streams.iter().filter(|_| whole) {
            proven.push(format!("The stream `{stream}` was read to its end, and the command that it was fed to took it."));
        }
        if let (Some(plugin), true) = (&self.plugin, whole) {
            let warnings = self
                .findings
                .iter()
                .filter(|finding| finding.severity == Severity::Warning);
            proven.push(format!(
                "The plugin {} {} verified what was restored: no errors, {} in all.",
                plugin.name,
                plugin.version,
                count(warnings.count() as u64, "warning", "warnings"),
            ));
        }
        if self.kept.is_empty() && self.verdict != Verdict::Failed {
            proven.push("The scratch place was removed.".to_owned());
        }
        self.proven = proven;
        if self.verdict == Verdict::Failed {
            return;
        }
        let recovery = self
            .phases
            .iter()
            .filter(|phase| phase.purpose == Purpose::Recover);
        self.recovery_seconds = Some(recovery.map(|phase| phase.seconds).sum());
    }
}

/// A number of things in words.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
